"""The facts, a module for each subject."""
