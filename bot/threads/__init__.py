"""People's discussions: first answers, replies to commands, and the maintainers' list."""
