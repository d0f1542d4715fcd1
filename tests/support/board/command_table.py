"""Plays `commands_table.md` on a running board: each cell is a person's comment, delivered by a real webhook."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from bot.core.pull_records import find_report
from hub.comments import marker_of
from leaderboard.attempts import attempt_id
from leaderboard.request_paths import RequestPath
from localhub.testing import HubWorld
from redis_state import clock
from steward.testing.board import FORM, REQUESTS, BoardDriver
from steward.testing.hub import board_world, model_files
from steward.testing.waiting import wait_until
from tests.support.board.pull_requests import propose

SPACE = "board/space"
PEOPLE = {"stranger": "bob", "submitter": "sue", "owner": "ada", "maintainer": "mia", "keeper": "kim"}
WORDS = {
    "help": "Write a command in a new comment",
    "unknown": "Did you mean `/status`?",
    "none": "There is no request for",
    "waiting": ": waiting, number",
    "running": ": running",
    "finished": ": finished",
    "failed": ": failed: Weights are NaN.",
    "cancelled": ": cancelled",
    "accepted": "was accepted and waits for its turn",
    "on-hold": "is on hold by `mia`: The licence is not clear.",
    "not-failed": "has not failed: it is finished",
    "cause": "**Cause:** a problem with the submission (`nan-weights`).",
    "not-repeated": "There is no command line that repeats the evaluation of",
    "passes": "passes every check",
    "submitted": "passed all checks and is submitted",
    "exists": "at this precision; its status is",
    "same": "is already waiting at",
    "runs": "is being evaluated right now",
    "resubmitted": "passed all checks and waits for an evaluation",
    "no": "Only {who} can use `/{verb}`.",
    "under-way": "is already under way",
    "has-results": "only a maintainer can have the same commit evaluated again",
    "relaunched": "will be evaluated again",
    "spent": "You have already relaunched",
    "withdrawn": "I am cancelling",
    "withdrawn-already": "is already cancelled, so I changed nothing",
    "over": "has ended",
    "following": "I will write here",
    "ended": "has already ended",
    "nothing": "I found nothing for",
    "found": "| model | precision | state | average |",
    "set": "now has `high` priority",
    "held": "will not start until the hold is lifted",
    "unheld": "is lifted. It is back in the queue",
    "not-held": "is not on hold, so I changed nothing",
    "paused": "No new evaluation starts until it is resumed",
    "resumed": "Resumed: ",
    "not-proposed": "There is no plan in this discussion",
    "merged": "exactly as I checked it at",
    "not-passed": "does not pass the checks",
    "nothing-to-approve": "is already closed, so there is nothing to approve",
    "rejected": "This pull request is closed: not now",
    "already": "is already closed, so I changed nothing",
}
"""Outcome → text that the bot's reply contains."""
EFFECTS: Mapping[str, Callable[[dict[str, Any]], bool]] = {
    "relaunched": lambda file: file["status"] == "RERUN",
    "resubmitted": lambda file: file["status"] in ("PENDING", "PENDING_NEW_EVAL"),
    "submitted": lambda file: file["status"] == "PENDING",
    "withdrawn": lambda file: file["status"] == "CANCELLED",
    "set": lambda file: file["steward"]["priority"] == "high",
    "held": lambda file: file["steward"]["hold"]["reason"] == "I say so",
    "unheld": lambda file: "hold" not in file["steward"],
}
"""Outcome that changes the request → whether the request file shows the change; such a cell has its own request."""
ENDS = {"finished": "FINISHED", "failed": "FAILED", "spent": "FAILED", "cancelled": "CANCELLED"}
WRITTEN = {
    "help": "",
    "statsu": "{model}",
    "check": "{model} precision=float32",
    "submit": "{model} precision=float32",
    "priority": "{model} high",
    "hold": "{model} I say so",
    "pause": "{target} I say so",
    "resume": "{target}",
    "search": "{cell}",
    "approve": "{sha}",
    "reject": "not now",
}
"""Verb → what follows it in the comment; the model for all other verbs."""
TARGETS = {
    "pause": {"maintainer": "tier:large", "keeper": "suite:other"},
    "resume": {"maintainer": "tier:medium", "keeper": "suite:old"},
}


@dataclass(frozen=True)
class Cell:
    """One cell of the table: the outcome of a command, by place, state of the request, and role of the author."""

    verb: str
    place: str
    state: str
    role: str
    outcome: str

    @property
    def name(self) -> str:
        """The name of the cell's model; cells whose commands change nothing share a model."""
        own = self.outcome in EFFECTS or self.outcome in ("merged", "rejected")
        return "-".join((self.verb, self.place, self.state, self.role) if own else (self.place, self.state))

    @property
    def model(self) -> str:
        """The id of the model that the command is about."""
        return f"ada/{self.name}"

    @property
    def path(self) -> str:
        """The path of the model's request file."""
        return str(RequestPath("ada", self.name, private=False, precision="float32", weight_type="Original"))

    @property
    def has_request(self) -> bool:
        """Whether there is a request before the command."""
        return self.place != "pull" and self.state not in ("none", "paused")

    def __str__(self) -> str:
        return f"{self.verb}, {self.place}, {self.state}: {self.role}"


def cells(text: str) -> Iterator[Cell]:
    """Every cell of the table in `text`."""
    rows = [[word.strip() for word in line.strip("|\n ").split("|")] for line in text.splitlines() if line[:2] == "| "]
    for verb, place, state, *outcomes in rows[1:]:
        yield from (Cell(verb, place, state, role, what) for role, what in zip(PEOPLE, outcomes, strict=True))


def people_and_models(table: list[Cell]) -> HubWorld:
    """Return the world of the bot's tests, with the people and the models of the table."""
    made = board_world().user("sue").user("mia").user("kim")
    made.org("keepers", {"kim": "admin", "bob": "read", "steward-bot": "read"})
    for name in sorted({cell.model for cell in table}):
        made.repo("model", name, model_files())
    return made


@dataclass
class Table:
    """A running board on which all cells of the table are played."""

    stand: BoardDriver
    cells: list[Cell]
    said: dict[Cell, tuple[str, int, str]] = field(default_factory=dict)
    """Repo kind, thread and id of each cell's comment."""
    pulls: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Number and head of the pull request of each model."""
    begun: dict[str, Any] = field(default_factory=dict)
    """Path → the content of the file before the first command."""
    answers: dict[Cell, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.apis = {role: HfApi(self.stand.hub.url, token=f"hf_{name}") for role, name in PEOPLE.items()}
        self.form = HfApi(self.stand.hub.url, token=FORM)
        self.known = {cell.path: cell for cell in self.cells if cell.has_request}

    def play(self) -> None:
        """Bring all requests into their states, post all comments, and wait until the bot has answered and synced."""
        self._propose()
        self._requests()
        talks = [self._talk(number) for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            told = pool.map(lambda at: self._say(at[1], talks[at[0] % 4]), enumerate(self.cells))
            self.said = dict(zip(self.cells, told, strict=True))
        self._sync_all()
        wait_until(lambda: all(self._read_answers().values()), seconds=120)
        wait_until(lambda: len(self.stand.context.dirty) == 0)

    def _sync_all(self) -> None:
        """Wait until all deliveries are sent and no key is dirty; this costs less than reading every thread."""
        self.stand.hub.state.webhooks.drain(120)
        wait_until(lambda: len(self.stand.context.dirty) == 0, seconds=120)

    def _requests(self) -> None:
        sha = {path: str(self.form.model_info(cell.model).sha) for path, cell in self.known.items()}
        first = {path: self._fields(cell) for path, cell in self.known.items() if self._begins(cell)}
        pauses = {name: {"reason": "The cluster moves."} for name in TARGETS["resume"].values()}
        self._commit({**first, ".steward/pauses": pauses})
        wait_until(lambda: all(self._stands(path, "waiting") for path in first), seconds=60)
        later = {path: self._end(cell, sha[path]) for path, cell in self.known.items() if not self._waits(cell)}
        self._commit(later)
        ends = {path: "running" if self.known[path].state == "running" else "settled" for path in later}
        wait_until(lambda: all(self._stands(path, state) for path, state in ends.items()), seconds=60)
        for cell in self.known.values():
            if cell.verb == "resubmit" and cell.state in ("finished", "failed"):
                self.stand.ada.upload_file(repo_id=cell.model, path_or_fileobj=b"newer", path_in_repo="newer.txt")

    def _waits(self, cell: Cell) -> bool:
        return cell.state in ("waiting", "held")

    def _begins(self, cell: Cell) -> bool:
        """Whether the request is first committed as waiting, so that the bot opens its thread."""
        return self._waits(cell) or cell.place == "thread"

    def _stands(self, path: str, state: str) -> bool:
        entry = self.stand.context.index.get(path)
        has_thread = entry.thread is not None or self.known[path].place != "thread"
        return entry.state == state and has_thread

    def _commit(self, files: Mapping[str, Any]) -> None:
        adds = [CommitOperationAdd(path, json.dumps(content).encode()) for path, content in files.items()]
        self.begun |= files
        self.form.create_commit(REQUESTS, adds, commit_message="Submit", repo_type="dataset")

    def _fields(self, cell: Cell, **changes: Any) -> dict[str, Any]:
        held = {"steward": {"hold": {"reason": "The licence is not clear.", "by": "mia"}}}
        made = {"model": cell.model, "status": "PENDING", "revision": "main", "precision": "float32", "sender": "sue"}
        return {**made, "weight_type": "Original", **(held if cell.state == "held" else {}), **changes}

    def _end(self, cell: Cell, sha: str) -> dict[str, Any]:
        """Return the request file of a running or ended request, after one attempt."""
        attempt = attempt_id(self.stand.context.board.name, cell.path, sha, 1)
        facts: dict[str, Any] = {"attempt": 1, "first": 1, "spent": 1, "revision": sha, "submitter": "sue"}
        failure = {"cause": "nan-weights", "fault": "submission", "message": "Weights are NaN.", "advice": "Save them."}
        if cell.state in ("failed", "spent"):
            facts["failure"] = failure
        if cell.state == "spent":
            facts["causes"] = [f"relaunch:{self.stand.context.hub.user('sue').id}:0123:0"]
        if cell.state == "finished":
            facts["results"] = f"{cell.model}/results_2026-01-01T00-00-00.000000.json"
        if cell.state == "running":
            self.stand.context.attempts.take(attempt, cell.path, "w", now=clock.now() + 3_600)
        return self._fields(cell, status=ENDS.get(cell.state, "RUNNING"), job_id=attempt, steward=facts)

    def _propose(self) -> None:
        """Open the pull request of each model that needs one, and wait until the bot has reported on all."""
        for cell in self.cells:
            if cell.place == "pull" and cell.model not in self.pulls and cell.state != "none":
                broken = {"status": "FINISHED"} if cell.state == "problems" else {}
                number, head = propose(
                    self.stand, {cell.path: self._fields(cell, **broken)}, who=self.apis["submitter"]
                )
                self.pulls[cell.model] = number, head
        context = self.stand.context
        self._sync_all()
        wait_until(self._is_reported)
        for cell in self.cells:
            number = self.pulls.get(cell.model, (0, ""))[0]
            if cell.state == "closed" and context.hub.thread(context.requests, number).status == "open":
                self.apis["submitter"].change_discussion_status(REQUESTS, number, "closed", repo_type="dataset")

    def _is_reported(self) -> bool:
        """Whether there is a report on each pull request."""
        context = self.stand.context
        reports = [
            find_report(context, context.hub.thread(context.requests, number))[1] for number, _ in self.pulls.values()
        ]
        return all(report is not None and not report.checking for report in reports)

    def _talk(self, number: int) -> int:
        made = self.apis["stranger"].create_discussion(SPACE, f"Talk {number}", description="Hello.", repo_type="space")
        return int(made.num)

    def _say(self, cell: Cell, talk: int) -> tuple[str, int, str]:
        kind, number, sha = "dataset", self.stand.context.index.get(cell.path).thread or 0, "0123456789ab"
        if cell.place == "talk":
            kind, number = "space", talk
        if cell.place == "pull":
            number, sha = self.pulls[cell.model]
        target = TARGETS.get(cell.verb, {}).get(cell.role, "tier:large")
        model = cell.model if cell.place == "talk" else ""
        words = {"model": model, "target": target, "sha": sha[:12], "cell": cell.name}
        rest = WRITTEN.get(cell.verb, "{model}").format(**words)
        repo = SPACE if kind == "space" else REQUESTS
        text = f"/{cell.verb} {rest}".strip()
        comment = self.apis[cell.role].comment_discussion(repo, number, comment=text, repo_type=kind)
        return kind, number, str(comment.id)

    def _read_answers(self) -> dict[Cell, list[str]]:
        """The final replies to the comment of each cell."""
        answers: dict[str, list[str]] = {}
        for kind, number in sorted({(kind, number) for kind, number, _ in self.said.values()}):
            repo = SPACE if kind == "space" else REQUESTS
            thread = self.form.get_discussion_details(repo, number, repo_type=kind)
            for event in thread.events:
                content = getattr(event, "content", "")
                marker = marker_of(content) if getattr(event, "author", "") == "steward-bot" else None
                if marker is not None and marker.kind == "answer":
                    answers.setdefault(marker.key, []).append(content)
        self.answers = {cell: answers.get(comment, []) for cell, (_, _, comment) in self.said.items()}
        return self.answers

    def is_answered(self, talk: int, comment: str) -> bool:
        """Whether there is a final reply to a comment in a discussion on the Space."""
        thread = self.stand.context.hub.thread(self.stand.context.community, talk)
        markers = (marker_of(message.text) for message in thread.comments)
        return any(marker is not None and (marker.kind, marker.key) == ("answer", comment) for marker in markers)

    def files(self) -> dict[str, dict[str, Any]]:
        """Every request file as it is on the Hub."""
        context = self.stand.context
        paths = [file.path for file in context.hub.list_files(context.requests) if file.path.startswith("ada/")]
        return {path: self.stand.file(path) for path in paths}


def read_table() -> list[Cell]:
    """The cells, in the order of the table."""
    return list(cells((Path(__file__).parent / "commands_table.md").read_text()))
