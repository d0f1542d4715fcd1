"""`rescoring_script.py ORDER …`: evaluates a model without weights by suites with a few questions each."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.scripted_evaluations import run
from tests.support.models import suite_v1_datasets, suite_v2_datasets
from workers.starter import dataset_files

REPOS: Mapping[str, Any] = {**suite_v1_datasets.REPOS, **suite_v2_datasets.REPOS}


def rows_of(path: str, name: str | None) -> dict[str, list[dict[str, Any]]]:
    """The questions of the three suites' data sets: split → rows."""
    if path in REPOS:
        return {split: rows for (config, split), rows in REPOS[path]().items() if config == (name or "default")}
    files = dataset_files()
    return {
        split: [json.loads(line) for line in files[f"data/{name}/{split}.jsonl"].splitlines()]
        for split in ("fewshot", "test")
    }


if __name__ == "__main__":
    run(sys.argv[1:], rows_of)
