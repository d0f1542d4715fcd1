"""The type of JSON objects; untrusted values, converted so that JSON can carry them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from localhub.errors import printable

JsonObject = dict[str, object]
"""An object of the API, as JSON carries it."""

_MAX_NODES = 100_000


def to_json_values(value: Any) -> Any:
    """Return the value with keys as text, dates in ISO form, no lone surrogates and no NaN.

    `ValueError` for more than 100,000 values: a few aliases in YAML can make gigabytes.
    """
    return _plain(value, itertools.count())


def _plain(value: Any, counter: Iterator[int]) -> Any:
    if next(counter) > _MAX_NODES:
        raise ValueError("it is too large once its aliases are followed")
    if isinstance(value, Mapping):
        return {printable(str(key)): _plain(item, counter) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item, counter) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, date):
        return value.isoformat()
    return printable(str(value))
