"""A chart as a page shows it: the address of each of its sizes, and its alternative text."""

from __future__ import annotations

from dataclasses import dataclass

from bot.web.charts import models
from bot.web.charts.drawing import WIDTHS, Picture
from bot.web.charts.pictures import scores
from bot.web.frame import as_path

MAX_WINDOW_WIDTHS = ("40rem", "64rem", "")
"""Width of the window up to which each of WIDTHS is shown; the last one is for all wider windows."""


@dataclass(frozen=True)
class ChartImage:
    """One size of a chart, for windows up to the width `up_to`."""

    address: str
    up_to: str
    width: int
    height: int


@dataclass(frozen=True)
class ChartContext:
    """The argument of the macro `chart` in `templates/chart.html`; the sizes from the smallest to the largest."""

    title: str
    says: str
    sizes: tuple[ChartImage, ...]


def chart_context(picture: Picture | None, address: str) -> ChartContext | None:
    """The context for `picture`, whose images are at `address` plus a `width` parameter; None without a picture."""
    if picture is None:
        return None
    sizes = zip(WIDTHS, MAX_WINDOW_WIDTHS, strict=True)
    images = (ChartImage(f"{address}width={width}", up_to, width, picture.height(width)) for width, up_to in sizes)
    return ChartContext(picture.title, picture.says, tuple(images))


def model_chart(comparison: models.ComparisonView | None) -> ChartContext | None:
    """The chart of a model's compared scores; None if there are none."""
    if comparison is None:
        return None
    return chart_context(scores(comparison), f"/charts/models/{as_path(comparison.model)}?")
