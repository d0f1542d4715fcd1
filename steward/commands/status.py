"""`steward status`: shows the state of a request, or of all requests of a model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson, in_sentences, model_named, settings_of
from steward.commands.output import ending

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.read_models.models import QueuePositionView, RequestView
    from redis_state.board.entry import IndexEntry

UNKNOWN = 1
What = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="The model, as org/name, org/name@revision or the address of its page; or the path of a request's file.",
    ),
]
WhichPrecision = Annotated[str, typer.Option("--precision", help="Only the request in this precision.")]
WhichWeightType = Annotated[str, typer.Option("--weight-type", help="Only the request with this type of weights.")]


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(in_sentences(status))


def status(
    what: What,
    precision: WhichPrecision = "",
    weight_type: WhichWeightType = "",
    as_json: AsJson = False,
) -> None:
    """Show requests: state, position, reason, log and thread. Exit status 1 if there is none."""
    from bot.core.reader_context import read_only_context
    from bot.read_models import serializers

    settings = settings_of()
    context = read_only_context(settings, settings.read_board())
    requests = [
        serializers.request(context, entry, public=False)
        for entry in find_requests(context, what, precision=precision, weight_type=weight_type)
    ]
    if as_json:
        print(json.dumps({"requests": [request.model_dump() for request in requests]}))
    elif requests:
        print("\n\n".join("\n".join(request_lines(request)) for request in requests))
    else:
        print(none_known(what))
    raise typer.Exit(0 if requests else UNKNOWN)


def none_known(what: str) -> str:
    """Return the sentence for a name without a request."""
    return f"There is no request for {what}: give a model as org/name, or the path of a request's file."


def find_requests(context: BoardContext, what: str, *, precision: str = "", weight_type: str = "") -> list[IndexEntry]:
    """Return the requests with this path, or of this model, with the named properties, by path."""
    from bot.core.commands.targets import is_meant
    from leaderboard.request_paths import is_request_path

    if is_request_path(what):
        return [entry for entry in context.index.find([what]) if entry is not None]
    name, _, revision = what.partition("@")
    named = {"precision": precision, "weight_type": weight_type}
    arguments = {name: value for name, value in named.items() if value}
    return [
        entry
        for entry in context.index.of_model(model_named(name, context.hub.endpoint))
        if is_meant(entry, arguments) and entry.commit.startswith(revision)
    ]


def one_request(context: BoardContext, what: str, *, precision: str = "", weight_type: str = "") -> IndexEntry:
    """Return the only request that matches. Raises typer.Exit after a sentence if there are none or several."""
    entries = find_requests(context, what, precision=precision, weight_type=weight_type)
    if len(entries) == 1:
        return entries[0]
    several = f"several requests match {what}: name one by --precision, --weight-type or its path:"
    from bot.core.render import printable

    end = ending(several if entries else none_known(what), UNKNOWN)
    for entry in entries:
        print(f"  {printable(entry.path)}", file=sys.stderr)
    raise end


def request_lines(request: RequestView) -> Iterator[str]:
    """Yield the facts of one request, one per line."""
    from bot.core.render import printable

    yield printable(request.path)
    facts = {
        "state": f"{request.state} ({request.status})",
        "submitted": _submitted(request),
        "revision": request.revision,
        "access": request.access if request.access != "public" else "",
        "place": _place(request.place) if request.place is not None else "",
        "progress": _progress(request),
        "attempt": str(request.attempt or ""),
        "thread": request.thread_url or "",
        "log": request.log_url or "",
        "results": request.results_url or "",
    }
    yield from (f"  {name:10} {printable(value)}" for name, value in facts.items() if value)
    if request.held is not None:
        by = f" ({request.held.by})" if request.held.by else ""
        yield f"  {'held back':10} {printable(f'{request.held.words}{by}')}"
    if request.failure is not None:
        yield f"  {'reason':10} {printable(request.failure.message)} (cause: {request.failure.cause})"
        if request.failure.advice:
            yield f"  {'':10} → {printable(request.failure.advice)}"


def _submitted(request: RequestView) -> str:
    by = f" by {request.submitter}" if request.submitter else ""
    before = ", before Steward took over the board" if request.from_before else ""
    return f"{request.submitted or 'at an unknown time'}{by}{before}"


def _place(place: QueuePositionView) -> str:
    about = f", starts between {place.start.earliest} and {place.start.latest}" if place.start is not None else ""
    workers = f"{place.workers} worker{'' if place.workers == 1 else 's'}"
    return f"{place.position} of {place.among} for {workers}{about}"


def _progress(request: RequestView) -> str:
    progress = request.progress
    if progress is None:
        return ""
    if not progress.total:
        return progress.phase
    before = f", {progress.replayed} of them computed before" if progress.replayed else ""
    return f"{progress.phase}, {progress.done} of {progress.total}{before}"
