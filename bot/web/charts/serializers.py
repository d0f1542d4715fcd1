"""A picture as a page shows it: an address for each of its sizes, and what is said in its place."""

from __future__ import annotations

from dataclasses import dataclass

from bot.web.charts import models
from bot.web.charts.drawing import WIDTHS, Picture
from bot.web.charts.pictures import scores
from bot.web.frame import as_path

UP_TO = ("40rem", "64rem", "")
"""Up to which width of the window each of WIDTHS is shown; the last one beyond."""


@dataclass(frozen=True)
class ChartImage:
    """One drawing of a picture, for windows up to a width."""

    address: str
    up_to: str
    width: int
    height: int


@dataclass(frozen=True)
class ChartContext:
    """What the macro `chart` of `templates/chart.html` wants to know; the sizes from the smallest to the largest."""

    title: str
    says: str
    sizes: tuple[ChartImage, ...]


def chart_context(picture: Picture | None, address: str) -> ChartContext | None:
    """`picture`, which is to be had at `address`, a query that goes on; None where there is none."""
    if picture is None:
        return None
    sizes = zip(WIDTHS, UP_TO, strict=True)
    drawn = (ChartImage(f"{address}width={width}", up_to, width, picture.height(width)) for width, up_to in sizes)
    return ChartContext(picture.title, picture.says, tuple(drawn))


def model_chart(found: models.ComparisonView | None) -> ChartContext | None:
    """A model's scores beside others'; None where there are none."""
    return chart_context(scores(found), f"/charts/models/{as_path(found.model)}?") if found is not None else None
