"""Writes the figures as a table for the terminal and docs/peers.md, and the charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from simulations.peers.metrics import quantile

ROOT = Path(__file__).parents[2]
PAGE, PICTURES = ROOT / "docs" / "peers.md", ROOT / "docs" / "pictures"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
NONE = "–"
COLOURS = {"steward": "#2563a8", "template": "#c2410c", "cluster": "#a16207", "bare queue": "#6b7280"}
MOST_MINUTES = 360

Day = dict[str, Any]
Row = tuple[str, list[str]]


def rows(day: Day) -> Iterator[Row]:
    """Yield the rows of one day's table: a label, and a cell for each peer."""

    def of(name: str) -> list[str]:
        return [f"{peer[name]:,}" if name in peer else NONE for peer in day["peers"].values()]

    def times(name: str, share: float) -> list[str]:
        return [_minutes(quantile(peer.get(name, []), share)) for peer in day["peers"].values()]

    for words, name in (("to start", "to_start"), ("to scores", "to_scores"), ("to the right end", "to_right_end")):
        yield f"{words}, median", times(name, 0.5)
        yield f"{words}, 95 %", times(name, 0.95)
    yield "scores, of those that have some", [f"{p['scored']} of {p['good']}" for p in day["peers"].values()]
    yield "wrongly failed", of("wrongly_failed")
    yield "finished without scores of its own", of("wrongly_finished")
    yield "FAILED or FINISHED, then not", of("changed_its_mind")
    yield "never ended", of("without_end")
    yield "ended silently", of("silent_ends")
    yield "evaluated twice", of("evaluated_twice")
    yield "hours of machines", of("machine_hours")
    yield "of these for evaluations that were repeated", of("repeated_hours")
    yield "commits", of("commits")
    yield "commits to one repo, busiest hour", of("busiest_hour")
    yield "calls to the Hub", of("calls")
    yield "hours until all had ended", of("hours")


def table(day: Day) -> str:
    """Return the table of one day for a terminal."""
    lines = [f"{title(day):38}" + "".join(f"{name:>14}" for name in day["peers"])]
    lines += [f"{label:38}" + "".join(f"{cell:>14}" for cell in cells) for label, cells in rows(day)]
    return "\n".join([*lines, f"({day['seconds']:,} s of real time)", ""])


def title(day: Day) -> str:
    """Return the title of a day."""
    count = next(iter(day["peers"].values()))["submissions"]
    words = (
        f"{day['hours']:g} hours, {day['machines']} machine{'s' if day['machines'] > 1 else ''}, {count} submissions"
    )
    return words if day["faults"] else f"{words}, no faults"


def write(measured: dict[str, Any]) -> None:
    """Write figures and charts to docs/peers.md and docs/pictures."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, *_figures(measured), END + after]))
    day = [day for day in measured["days"] if day["faults"]][-1]
    for name, picture in (
        ("start", _curve(day, "to_start")),
        ("scores", _curve(day, "to_scores")),
        ("wrong", _wrong(day)),
    ):
        (PICTURES / f"peers-{name}.svg").write_bytes(picture)


def _figures(measured: dict[str, Any]) -> Iterator[str]:
    options = measured["options"]
    yield f"Seed {options['seed']}; the submissions need {options['load']:.0%} of the machines' time."
    for day in measured["days"]:
        yield from _markdown(title(day), list(day["peers"]), rows(day))
    if routes := measured.get("routes"):
        cells = (("deliveries a second, 64 senders", "deliveries_a_second"), ("ms for one, one sender", "ms_for_one"))
        yield from _markdown(
            "by the real clock", list(routes), ((w, [f"{r[n]:,}" for r in routes.values()]) for w, n in cells)
        )
    yield ""


def _markdown(head: str, names: list[str], body: Iterable[Row]) -> Iterator[str]:
    yield from ("", f"| {head} | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}")
    for label, cells in body:
        yield f"| {label} | {' | '.join(cells)} |"


def _minutes(seconds: float | None) -> str:
    return NONE if seconds is None else f"{seconds / 60:.1f} min"


# --- charts


def _curve(day: Day, name: str) -> bytes:
    """Draw the share of submissions that reached a state, over minutes."""
    pygal = _pygal()
    words = {"to_start": "begun", "to_scores": "with scores"}[name]
    chart = pygal.XY(
        **_looks(day, f"Submissions {words} after so many minutes, in per cent"),
        show_dots=False,
        range=(0, 100),
        xrange=(0, MOST_MINUTES),
        y_labels=[0, 25, 50, 75, 100],
        x_labels=list(range(0, MOST_MINUTES + 1, 60)),
    )
    for peer, figures in day["peers"].items():
        of = figures["submissions"] if name == "to_start" else figures["good"]
        times = [seconds / 60 for seconds in figures[name]]
        points = [(0.0, 0.0)] + [(at, 100 * (number + 1) / of) for number, at in enumerate(times) if at <= MOST_MINUTES]
        chart.add(peer, [*points, (float(MOST_MINUTES), points[-1][1])])
    return _rendered(chart)


def _wrong(day: Day) -> bytes:
    """Draw the numbers of submissions that went wrong."""
    pygal = _pygal()
    kinds = {
        "wrongly failed": "wrongly_failed",
        "no scores of its own": "wrongly_finished",
        "ended silently": "silent_ends",
        "evaluated twice": "evaluated_twice",
    }
    chart = pygal.Bar(
        **_looks(day, "What went wrong"),
        print_values=True,
        print_zeroes=True,
        show_y_labels=False,
        print_values_position="top",
    )
    chart.x_labels = list(kinds)
    for peer, figures in day["peers"].items():
        chart.add(peer, [figures.get(name) for name in kinds.values()])
    return _rendered(chart)


def _pygal() -> Any:
    """Return pygal, set to use the standard library's XML trees."""
    import pygal
    from pygal.etree import etree

    etree.to_etree()
    return pygal


def _rendered(chart: Any) -> bytes:
    """Return the picture without the parts for scripts."""
    from xml.etree import ElementTree

    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] in ("script", "desc"):
                parent.remove(child)
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _looks(day: Day, head: str) -> dict[str, Any]:
    from pygal.style import Style

    style = Style(
        background="#ffffff",
        plot_background="#ffffff",
        foreground="#374151",
        foreground_strong="#111827",
        foreground_subtle="#9ca3af",
        colors=tuple(COLOURS[name] for name in day["peers"]),
        font_family="system-ui, sans-serif",
        guide_stroke_color="#e5e7eb",
        major_guide_stroke_color="#e5e7eb",
        value_colors=("#111827",) * len(day["peers"]),
        stroke_width="2.5",
        opacity="1",
        title_font_size=13,
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=13,
        value_font_size=12,
    )
    shape = {"width": 760, "height": 340, "legend_at_bottom": True, "legend_at_bottom_columns": 4}
    return {"title": f"{head} ({title(day)})", "style": style, "js": (), "truncate_label": -1, **shape}
