"""Repositories: records, access, commits, contents, LFS, metadata."""
