"""The parts from which the rows of all generated datasets are made, and the files of a repo that holds them.

All words are drawn at random, the same in each run; no text of a real dataset is copied. A dataset is a map from
(config, split) to rows.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import yaml

from benchmarks.engine_shapes import sentence

Rows = list[dict[str, Any]]
Splits = dict[tuple[str, str], Rows]
Maker = Callable[[int | None], Splits]
"""Makes a dataset with that many questions in each task; at most, and with None, as many as the real one has."""


def files(splits: Splits) -> dict[str, bytes]:
    """The files of a dataset repo that holds (config, split) → rows."""
    configs: dict[str, list[dict[str, str]]] = {}
    contents: dict[str, bytes] = {}
    for (config, split), rows in splits.items():
        path = f"data/{config}/{split}.jsonl"
        configs.setdefault(config, []).append({"split": split, "path": path})
        contents[path] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    head = yaml.safe_dump(
        {"configs": [{"config_name": name, "data_files": splits} for name, splits in configs.items()]}
    )
    return {"README.md": f"---\n{head}---\n".encode(), **contents}


def few(count: int | None, real: int) -> int:
    """`count`, but at most `real`, the size of the real dataset; `real` if `count` is None."""
    return real if count is None else min(count, real)


def sentences(rng: random.Random, count: int) -> str:
    """About `count` words in sentences."""
    ends = [rng.randint(8, 20) for _ in range(max(1, round(count / 14)))]
    scale = count / sum(ends)
    return " ".join(sentence(rng, max(1, round(end * scale))) for end in ends)


def size(text: str) -> int:
    """About the number of tokens: words, digits and signs."""
    return len(re.findall(r"\d|[^\W\d]+|[^\w\s]", text))
