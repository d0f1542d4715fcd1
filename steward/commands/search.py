"""`steward search`: finds requests by the queries of `/search`, the pages and the API."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from steward.commands.board import AsJson, in_sentences, settings_of
from steward.commands.output import say
from steward.commands.status import UNKNOWN

Query = Annotated[
    list[str],
    typer.Argument(help="Names, separated by `;`, and filters such as `Hub License: mit`."),
]


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(in_sentences(search))


def search(
    query: Query,
    limit: Annotated[int, typer.Option(min=1, help="Maximal number of hits, the best first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Find models by name, licence or any other column. Exit status 1 if there are none."""
    from bot.core.reader_context import read_only_context
    from bot.results import searching
    from bot.results.verb_search import result_text

    settings = settings_of()
    context = read_only_context(settings, settings.read_board())
    words = " ".join(query)
    result = searching.find(context, words, limit=limit)
    if as_json:
        hits = [{"path": hit.entry.path, "model": hit.row.name, "average": hit.average} for hit in result.hits]
        print(json.dumps({"hits": hits, "more": result.more, "near": list(result.near)}))
    else:
        say(result_text(context, words, result))
    raise typer.Exit(0 if result.hits else UNKNOWN)
