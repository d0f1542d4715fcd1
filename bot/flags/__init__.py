"""Flags of models: records, reports, evidence, commands, and the thread in which an author can appeal."""
