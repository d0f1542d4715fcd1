"""The clients with which the people of the month read and write on the Hub and on the board's pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import httpx2
from huggingface_hub import HfApi, set_client_factory

from bot.core.context import BoardContext
from hub.comments import marker_of
from hub.records import Comment, Repo
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.results import suite_digest
from redis_state.board.entry import IndexEntry
from simulations.month.event_loop import Flow
from simulations.month.hub_setup import SPACE, token_of
from simulations.month.page_visitors import PageVisitors, SentForm
from simulations.month.processes import FORM
from simulations.month.schedule import Script

DIGEST = re.compile(r"`/approve ([0-9a-f]{6,64})`")
BUTTON_ANSWERS = ("Done.", "Nothing was changed.", "It was not done.", "Proposed:")


@dataclass
class BoardUsers:
    """The clients of all people, and what the simulation remembers of their actions."""

    script: Script
    url: str
    context: BoardContext
    now: Callable[[], float]
    pages: PageVisitors
    used: set[str] = field(default_factory=set)
    """Models with an action in progress."""
    expected: dict[str, str] = field(default_factory=dict)
    """Path of a request → the expected code of its refusal; empty: accepted."""
    asked_for_pages: set[str] = field(default_factory=set)
    """Models whose owners asked for scores on their own pages."""
    _apis: dict[str, HfApi] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_client_factory(one_connection_a_call)

    def api(self, person: str) -> HfApi:
        """Return the Hub client of `person`."""
        return self._apis.setdefault(person, HfApi(self.url, token=FORM if person == "form" else token_of(person)))

    def own_page_pulls(self) -> dict[str, list[int]]:
        """Return the numbers of the bot's open pull requests on models' own repos, by model."""
        pulls = {model: self.page_pulls(model, "open") for model in sorted(self.asked_for_pages)}
        return {model: numbers for model, numbers in pulls.items() if numbers}

    def page_pulls(self, model: str, *statuses: str) -> list[int]:
        """Return the numbers of the bot's pull requests on a model's own repo, with one of these statuses if given."""
        pulls = self.api(model.partition("/")[0]).get_repo_discussions(model, author="scores")
        return [pull.num for pull in pulls if not statuses or pull.status in statuses]

    def has_present_scores(self, entry: IndexEntry) -> bool:
        """Whether the results of a finished request are of the board's present suite."""
        path = entry.standing.results
        file = self.context.hub.find_file(self.context.results, path) if path else None
        return file is not None and suite_digest(file.data) == self.context.suite.digest

    def random_person(self, random: Random) -> str:
        """Return a random person."""
        return random.choice(self.script.submissions).owner

    def entries(self, *states: str) -> list[IndexEntry]:
        """Return the index entries in these states, or with these statuses, by path."""
        index = self.context.index
        entries = [entry for entry in index.find(sorted(index.paths())) if entry is not None]
        return [entry for entry in entries if _state_or_status(entry) in states]

    def free(self, *states: str) -> list[IndexEntry]:
        """Return `entries(*states)` without models that have an action in progress."""
        return [entry for entry in self.entries(*states) if entry.model not in self.used]

    def discuss(self, person: str, title: str, words: str, *, repo: str = SPACE) -> int:
        """Open a discussion and return its number."""
        kind = "space" if repo == SPACE else "dataset"
        return self.api(person).create_discussion(repo, title, description=words, repo_type=kind).num

    def say(self, person: str, repo: str, number: int, words: str) -> None:
        """Comment in a discussion."""
        kind = "space" if repo == SPACE else "dataset"
        self.api(person).comment_discussion(repo, number, comment=words, repo_type=kind)

    def comments(self, repo: str, number: int) -> tuple[Comment, ...]:
        """Return the comments of a thread."""
        return self.context.hub.thread(Repo("space" if repo == SPACE else "dataset", repo), number).comments

    def answered(self, repo: str, number: int) -> bool:
        """Whether the bot has commented in a thread."""
        return any(comment.author_name == "bot" for comment in self.comments(repo, number))

    def digest(self, number: int) -> str:
        """Return the digest of the bot's proposal in a discussion; empty without a proposal."""
        texts = [comment.text for comment in self.comments(SPACE, number) if marker_of(comment.text)]
        digests = [match[1] for text in texts for match in DIGEST.finditer(text)]
        return digests[-1] if digests else ""

    def iso(self) -> str:
        """Return the simulated time."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def press(self, person: str, verb: str, **fields: str) -> Flow:
        """Press a button on the board's pages, and read the page with the answer."""
        key = f"{verb} {self.now():.0f}"
        form = SentForm(self.pages, person, "/act", {"verb": verb, "key": key, "back": "/", **fields})
        yield form.is_sent
        yield lambda: form.is_answered(BUTTON_ANSWERS)


def one_connection_a_call() -> httpx2.Client:
    """Return a client without idle connections: the Hub's fast clock closes them after an eighth of a real second."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    return httpx2.Client(follow_redirects=True, timeout=60.0, limits=limits)


def model_of(entry: IndexEntry) -> str:
    """Return the model's name, which for a request before admission is only in its path."""
    path = parse_path(entry.path)
    return path.model if isinstance(path, RequestPath) else entry.model


def _state_or_status(entry: IndexEntry) -> str:
    return entry.standing.status if entry.state == "settled" else entry.state
