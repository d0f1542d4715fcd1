"""Three pages about threads: commands, what people decided by them, and discussions that wait for a maintainer."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import ConfigDict, Field

from bot.core.context import BoardContext, repo_of
from bot.read_models.lists import BadCursor, read_cursor, write_cursor
from bot.read_models.models import PATH, ApiModel
from bot.threads.maintainers_list import waiting_threads
from bot.threads.verbs import REGISTRY
from bot.web.api import Limit
from bot.web.board import BoardReader
from bot.web.page import PAGE_ROWS, NoQuery, Page
from leaderboard.roles import who_may
from redis_state.board.decisions import CommandDecision, DecisionThread
from redis_state.clock import iso

MAX_CURSOR, MAX_WAITING, MAX_REQUESTS = 2_000, 1_000, 20
"""Characters of a cursor, waiting threads listed, and requests shown of a decision that was not made in a thread."""
MAX_REASON = 300
"""Characters of a reason that are shown."""
OUTCOMES = {
    "done": "done",
    "proposed": "waits for approval",
    "refused": "refused",
    "failed": "failed",
    "unchanged": "nothing to do",
}
"""Outcome → its text on the page."""
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
DECIDED: dict[str, Any] = {
    "at": "2026-11-24T12:00:00Z",
    "person": "mia",
    "person_id": "5f6b6d1a3a1f0a3f6f8e5b8b",
    "roles": ["anyone", "maintainer"],
    "command": "/hold ada/tiny the licence is not clear",
    "verb": "hold",
    "model": "ada/tiny",
    "requests": [PATH],
    "allowed": True,
    "outcome": "done",
    "reason": "",
    "answer": "It gets no turn until the hold is lifted.",
    "thread_url": "https://huggingface.co/datasets/board/requests/discussions/7",
}


class CommandDecisionView(ApiModel):
    """One command that decided something, or tried to: its author, whether it was allowed, and the answer."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [DECIDED]})

    at: str
    person: str = Field(description="name of the account at that time")
    person_id: str = Field(description="id of the account, which stays when it is renamed")
    roles: list[str]
    command: str = Field(description="the line as written")
    verb: str
    model: str = ""
    requests: list[str] = Field(
        default_factory=list, description="paths of the requests that it was about; the first ones of many"
    )
    allowed: bool = Field(description="whether the author had permission and the command was applicable")
    outcome: str = Field(
        description="done, proposed (a plan waits for approval), refused, failed, or unchanged (nothing to do); "
        "empty if it was not recorded"
    )
    reason: str = Field(description="why it was refused or failed, as plain text")
    answer: str = Field(description="Markdown; a long answer is cut")
    thread_url: str


class DecisionListResponse(ApiModel):
    """A page of decisions, newest first."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"decisions": [DECIDED], "next": None}]})

    decisions: list[CommandDecisionView]
    next: str | None = Field(description="cursor of the next page; null where there is none")


@dataclass(frozen=True)
class DecisionsQuery:
    """Which page of decisions is shown."""

    cursor: Annotated[str, Query(max_length=MAX_CURSOR, description="`next` of the page before")] = ""
    limit: Limit = 100


def decisions(board: BoardReader, query: DecisionsQuery) -> DecisionListResponse:
    """Commands that decided something, newest first: person, command, whether it was allowed, and the answer."""
    context, after = board.context, read_cursor(query.cursor) if query.cursor else None
    page = context.decisions.newest(limit=query.limit, after=after)
    last = page[-1] if len(page) == query.limit else None
    following = write_cursor((last.seconds, last.id)) if last is not None else None
    return DecisionListResponse(decisions=list(_public_views(context, page)), next=following)


def _public_views(context: BoardContext, decisions: Sequence[CommandDecision]) -> Iterator[CommandDecisionView]:
    """The view of each decision, without the names of models that are not public. At most one round trip.

    A decision made in a thread is public there and shown in full. One made by API, on a page or in a shell is shown
    without the requests of hidden models, and without its command and answer if it was about hidden models alone. Only
    the first MAX_REQUESTS requests of such a decision are shown: its file has all of them.
    """
    paths = [path for decision in decisions if decision.thread is None for path in decision.requests[:MAX_REQUESTS]]
    # A request that is not in the index may be private only if the board takes private models.
    hides_unknown = context.board.admission.private_models
    entries = dict(zip(paths, context.index.find(paths), strict=True))
    public = {path for path, entry in entries.items() if not (hides_unknown if entry is None else entry.is_private)}
    for decision in decisions:
        requests = [path for path in decision.requests if decision.thread is not None or path in public]
        yield _decision_view(context, decision, requests, is_hidden=bool(decision.requests) and not requests)


def _decision_view(
    context: BoardContext, decision: CommandDecision, requests: list[str], *, is_hidden: bool
) -> CommandDecisionView:
    verb = decision.command.split(maxsplit=1)[0] if decision.command.split() else decision.verb
    return CommandDecisionView(
        at=decision.at,
        person=decision.person.name,
        person_id=decision.person.id,
        roles=decision.roles,
        command=f"{verb} …" if is_hidden else decision.command,
        verb=decision.verb,
        model="" if is_hidden else decision.model,
        requests=requests,
        allowed=decision.allowed,
        outcome=decision.outcome,
        reason="" if is_hidden or decision.outcome not in ("refused", "failed") else _reason(decision.answer),
        answer="" if is_hidden else decision.answer,
        thread_url=_thread_url(context, decision.thread),
    )


def _reason(answer: str) -> str:
    """The first problem that an answer lists, else its first line, without Markdown's signs."""
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    first = next((line for line in lines if line.startswith("- ")), next(iter(lines), ""))
    words = re.sub(r"[*`\\]", "", _LINK.sub(r"\1", first.removeprefix("- ")))
    return words if len(words) <= MAX_REASON else f"{words[:MAX_REASON]}…"


def _thread_url(context: BoardContext, thread: DecisionThread | None) -> str:
    repo = repo_of(thread.repo) if thread is not None else None
    return f"{context.address(repo)}/discussions/{thread.number}" if thread is not None and repo is not None else ""


def _query_of_page(request: Request, _board: BoardReader) -> DecisionsQuery:
    cursor = request.query_params.get("cursor", "")[:MAX_CURSOR]
    try:
        read_cursor(cursor)
    except BadCursor:
        cursor = ""
    return DecisionsQuery(cursor, PAGE_ROWS)


DECISIONS = Page(
    "/decisions",
    "decisions",
    decisions,
    DecisionsQuery,
    query_of_page=_query_of_page,
    more_values=lambda _board, _query, _view: {"outcomes": OUTCOMES},
    menu="Decisions",
    api_path="/api/decisions",
    summary="What people decided",
    tag="api",
    operation="decided",
)


class WaitingThreadView(ApiModel):
    """One thread that waits for a maintainer's answer."""

    title: str
    url: str
    place: str = Field(default="", description="repo and number of the thread, as `owner/name #7`")
    topic: str = Field(description="the topic that triage gave it")
    author: str
    since: str
    sha: str = Field(default="", description="the plan, or the checked commit, that `/approve` can name")


class WaitingThreadsResponse(ApiModel):
    """The waiting threads, the oldest first."""

    threads: list[WaitingThreadView]


def threads_waiting(board: BoardReader, _query: NoQuery) -> WaitingThreadsResponse:
    """Discussions that wait for a maintainer, the longest first."""
    views = [
        WaitingThreadView(
            title=thread.title,
            url=thread.url,
            place=thread.place,
            topic=thread.topic,
            author=thread.author,
            since=iso(thread.since),
            sha=thread.sha,
        )
        for thread in waiting_threads(board.context)[:MAX_WAITING]
    ]
    return WaitingThreadsResponse(threads=views)


WAITING = Page(
    "/threads-waiting",
    "threads_waiting",
    threads_waiting,
    NoQuery,
    menu="Waiting threads",
    api_path="/api/threads-waiting",
    summary="Threads that wait",
    tag="api",
    operation="waiting",
)

COMMANDS = Page(
    "/commands",
    "commands",
    lambda _board, _query: ApiModel(),  # the commands do not depend on the board; docs/commands.md lists them too
    NoQuery,
    more_values=lambda _board, _query, _view: {"verbs": REGISTRY.verbs, "who_may": who_may},
    menu="Commands",
)
