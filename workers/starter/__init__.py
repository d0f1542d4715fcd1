"""The questions of the `starter` suite: generated from a seed, published as a dataset repo, read through the Hub."""

from __future__ import annotations

from workers.starter.repo import dataset_files

__all__ = ["dataset_files"]
