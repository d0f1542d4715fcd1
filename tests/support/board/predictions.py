"""A board that takes predictions: its world, suite and private answers, and submissions of its users."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import redis
from huggingface_hub import CommitOperationAdd, HfApi

from bot.probe import Probe
from bot.results.contents import gather, table_settings
from hub.records import Repo
from leaderboard.contents import compile_rows
from leaderboard.predictions import predictions_place
from leaderboard.suites import Suite
from leaderboard.times import write_time
from localhub.testing import HubWorld, LocalHub
from steward.testing.board import ADA, BOB, REQUESTS, BoardDriver
from steward.testing.hub import empty_board_world, hub_with

PUBLIC_COUNT, PRIVATE_COUNT = 10, 10
CHOICES = ("red", "green", "blue")
ANSWER_REPO = "board/answers"
SECRET_WORD = "zanzibar-quokka"
"""Part of each answer's note, so that a leak of any of the file's text is found."""


def question_ids() -> list[str]:
    """Return the ids of all questions."""
    return [f"q{number}" for number in range(PUBLIC_COUNT + PRIVATE_COUNT)]


def right_answers() -> dict[str, str]:
    """Return question → answer."""
    return {question: CHOICES[number % 3] for number, question in enumerate(question_ids())}


def answer_rows() -> list[dict[str, str]]:
    """Return the rows of the board's answer file: the first questions are public, the others private."""
    return [
        {
            "id": question,
            "answer": answer,
            "split": "public" if number < PUBLIC_COUNT else "private",
            "note": f"{SECRET_WORD}-{question}",
        }
        for number, (question, answer) in enumerate(right_answers().items())
    ]


def lines(rows: list[Any]) -> bytes:
    """Return the rows as JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def predictions(*, public: int = PUBLIC_COUNT, private: int = PRIVATE_COUNT) -> dict[str, str]:
    """Return predictions with this number of right answers in each part."""
    wrong = {"red": "green", "green": "blue", "blue": "red"}
    answers = {}
    for number, (question, answer) in enumerate(right_answers().items()):
        is_public = number < PUBLIC_COUNT
        is_right = number < public if is_public else number - PUBLIC_COUNT < private
        answers[question] = answer if is_right else wrong[answer]
    return answers


def as_file(answers: Mapping[str, Any]) -> bytes:
    """Return the predictions as the content of a file."""
    return lines([{"id": question, "prediction": value} for question, value in answers.items()])


def suite_at(revision: str, *, metric: str = "accuracy,none", **rules: Any) -> Suite:
    """Return the suite whose private answers are those at `revision`."""
    return Suite.model_validate(
        {
            "name": "colours",
            "title": "Colours",
            "version": 1,
            "run": ["colours"],
            "benchmarks": [
                {
                    "name": "Colours",
                    "source": "colours",
                    "tasks": [{"name": "colours"}],
                    "metrics": [metric],
                    "shots": 0,
                }
            ],
            "datasets": [{"repo": "board/questions"}],
            "predictions": {
                "answers": {"repo": ANSWER_REPO, "revision": revision, "file": "answers.jsonl"},
                "type": "choice",
                "choices": list(CHOICES),
                **rules,
            },
        }
    )


def predictions_world() -> HubWorld:
    """Return a world with the board, its public questions, its private answers, Ada and Bob."""
    questions = lines([{"id": question, "text": f"Which colour has {question}?"} for question in question_ids()])
    answers = {"answers.jsonl": lines(answer_rows()).decode()}
    return (
        empty_board_world()
        .user("bob", BOB)
        .repo("dataset", "board/questions", {"questions.jsonl": questions.decode()})
        .repo("dataset", ANSWER_REPO, answers, private=True)
        .repo("dataset", "board/contents", {})
        .repo("space", "board/space", sdk="static")
    )


class PredictionsDriver(BoardDriver):
    """A board that takes predictions, with methods that submit them."""

    def __init__(self, hub: LocalHub, connection: redis.Redis, probe: Probe | None = None) -> None:
        super().__init__(hub, connection, probe)
        self.revision = self.context.hub.head(Repo("dataset", ANSWER_REPO))
        self.use(suite_at(self.revision))

    def use(self, suite: Suite) -> None:
        """Make `suite` the board's suite."""
        self.context.suite = suite
        self.context.board = self.context.board.model_copy(update={"precisions": ("predictions",)})

    def wait(self, seconds: float) -> None:
        """Advance the clocks of the bot and of the Hub."""
        self.time += seconds
        self.hub.state.clock.advance(seconds)

    def season(self, *, begins: float, ends: float, name: str = "autumn", **rules: Any) -> None:
        """Give the suite one season; times are seconds from now."""
        now = datetime.fromtimestamp(self.time, UTC)
        times = {"begins": now + timedelta(seconds=begins), "ends": now + timedelta(seconds=ends)}
        self.use(suite_at(self.revision, seasons=[{"name": name, **times}], **rules))

    def files(
        self,
        answers: Mapping[str, Any] | bytes,
        *,
        model: str = "ada/first",
        extension: str = "jsonl",
        **changes: Any,
    ) -> dict[str, bytes]:
        """Return the two files of a submission."""
        place = predictions_place(model, extension)
        fields = {
            "model": model,
            "revision": "main",
            "status": "PENDING",
            "precision": "predictions",
            "weight_type": "Original",
            "submitted_time": write_time(self.time),
            "predictions": place,
            **changes,
        }
        data = answers if isinstance(answers, bytes) else as_file(answers)
        return {request_path(model): json.dumps(fields).encode(), place: data}

    def commit(self, files: Mapping[str, bytes]) -> None:
        """Commit files as the front end does."""
        operations = [CommitOperationAdd(path, data) for path, data in files.items()]
        self.form.create_commit(REQUESTS, operations, commit_message="Add", repo_type="dataset")

    def submit_predictions(self, answers: Mapping[str, Any] | bytes, **changes: Any) -> str:
        """Commit predictions for Ada as the front end does, and sync; return the path of the request."""
        model = changes.get("model", "ada/first")
        self.commit(self.files(answers, sender=changes.pop("sender", model.partition("/")[0]), **changes))
        self.settle()
        return request_path(model)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the aggregated table, which the board does not publish."""
        sources = gather(self.context)
        return [dict(row) for row in compile_rows((), sources, {}, table_settings(self.context))]

    def download(self, repo: Repo, folder: Path) -> Path:
        """Download every file of `repo` as a front end does; return the folder."""
        for file in self.context.hub.list_files(repo):
            if file.path != ".gitattributes":
                (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
                (folder / file.path).write_bytes(self.context.hub.read_file(repo, file.path).data)
        return folder

    def results(self, path: str) -> dict[str, Any]:
        """Return the results file that a request names."""
        where = self.file(path)["steward"]["results"]
        fields: dict[str, Any] = json.loads(self.context.hub.read_file(self.context.results, where).data)
        return fields


def in_redis(connection: redis.Redis) -> str:
    """Return everything in Redis as text."""
    parts: list[object] = []
    for key in connection.scan_iter():
        kind = connection.type(key)
        read: dict[bytes, Any] = {
            b"string": connection.get,
            b"hash": connection.hgetall,
            b"set": connection.smembers,
            b"list": lambda it: connection.lrange(it, 0, -1),
            b"zset": lambda it: connection.zrange(it, 0, -1, withscores=True),
            b"stream": connection.xrange,
        }
        parts += [key, read[kind](key)]
    return repr(parts)


def request_path(model: str) -> str:
    """Return the path of the request for predictions."""
    return f"{model}_eval_request_False_predictions_Original.json"


@contextmanager
def predictions_board(folder: Path, connection: redis.Redis, probe: Probe) -> Iterator[PredictionsDriver]:
    """A board that takes predictions, without any submission."""
    with hub_with(predictions_world(), folder) as hub:
        made = PredictionsDriver(hub, connection, probe)
        form_id = made.context.hub.user("form").id
        made.context.board = made.context.board.model_copy(update={"front_ends": (form_id,)})
        try:
            yield made
        finally:
            made.context.hub.close()


def outsider(hub: LocalHub) -> HfApi:
    """Return a client with Ada's token."""
    return HfApi(hub.url, token=ADA)
