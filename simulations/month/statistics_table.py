"""Computes the figures of the month, and formats them as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value below which `share` of all values lie; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return median, 95th percentile and maximum, to a tenth."""
    known = list(values)
    return {
        "p50": round(quantile(known, 0.5), 1),
        "p95": round(quantile(known, 0.95), 1),
        "most": round(max(known, default=0), 1),
    }


def per(count: float, of: int) -> float:
    """Return a share, to a hundredth."""
    return round(count / of, 2) if of else 0.0


def table(figures: Mapping[str, Any], indent: str = "") -> list[str]:
    """Return `figures` as lines: names on the left, figures on the right, groups indented."""
    width = max((len(str(name)) for name in figures), default=0)
    lines = []
    for name, value in figures.items():
        if isinstance(value, Mapping) and value and not all(isinstance(item, int | float) for item in value.values()):
            lines += [f"{indent}{name}", *table(value, indent + "  ")]
        elif isinstance(value, Mapping):
            lines.append(f"{indent}{name:<{width}}  " + "  ".join(f"{key} {number:,}" for key, number in value.items()))
        elif isinstance(value, list):
            lines.append(f"{indent}{name:<{width}}  {len(value)}")
            lines += [f"{indent}  - {item}" for item in value[:20]]
        else:
            lines.append(
                f"{indent}{name:<{width}}  {value:,}"
                if isinstance(value, int | float)
                else f"{indent}{name:<{width}}  {value}"
            )
    return lines
