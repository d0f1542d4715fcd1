"""Trials by a bot and a real worker with real tiny models, from the command in a discussion to the report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from bot.core.context import BoardContext
from bot.probe import Probe
from bot.processes.sync_loop import SyncLoop
from bot.queue.dispatching import QUEUE
from hub.client import Hub
from leaderboard.attempts import Outcome
from leaderboard.boards import parse_board
from redis_state import clock
from steward.testing.waiting import wait_until
from tests.support.workers.real_worker import PATIENCE, RealWorker
from workers.models.tiny_model import model

pytestmark = pytest.mark.timeout(400)
REQUESTS = "trial/requests"
BOT, PERSON = "hf_ada", "hf_worker"
POLICY = """
effects: on
admission: {off: [model-card, licence, category, base-declared, tokenizer-loads, chat-template, causal, size]}
"""


@dataclass
class TrialBoard:
    """A bot beside a real worker, and a person who writes in a discussion."""

    worker: RealWorker
    context: BoardContext
    loop: SyncLoop

    def work(self) -> None:
        """Run all syncs that are due, and that of the queue."""
        self.context.mark(QUEUE)
        while (claim := self.context.dirty.claim(now=clock.now(), lease=60)) is not None:
            self.loop.sync(claim)

    def try_model(self, name: str, files: dict[str, bytes]) -> tuple[str, Outcome]:
        """Upload a model and ask for a trial in a discussion; return the bot's final reply and the trial's outcome."""
        self.worker.upload(f"ada/{name}", files)
        person = HfApi(self.worker.hub.url, PERSON)
        talk = person.create_discussion(REQUESTS, f"About {name}", description="Hello.", repo_type="dataset")
        comment = person.comment_discussion(
            REQUESTS, talk.num, f"/try ada/{name} precision=float32", repo_type="dataset"
        )
        thread = f"thread:dataset/{REQUESTS}:{talk.num}"
        self.context.mark(thread)

        def ended() -> Outcome | None:
            self.work()
            end = self.context.trials.end(f"trial:{thread}:{comment.id}:0")
            return end.outcome if end is not None else None

        outcome = wait_until(ended, seconds=PATIENCE)
        self.work()
        events = person.get_discussion_details(REQUESTS, talk.num, repo_type="dataset").events
        (reply,) = [event.content for event in events if event.type == "comment" and event.author == "ada"]
        return reply, outcome


@pytest.fixture
def board(real_worker: RealWorker, tmp_path: Path, probe: Probe) -> Iterator[TrialBoard]:
    """A bot with the token of the board's admin, on the Hub and the queue of the worker."""
    admin = HfApi(real_worker.hub.url, BOT)
    for name in ("requests", "results", "logs"):
        admin.create_repo(f"trial/{name}", repo_type="dataset", exist_ok=True)
    admin.create_repo("trial/community", repo_type="space", space_sdk="static", exist_ok=True)
    text = (real_worker.folder / "board.yaml").read_text() + POLICY
    connection = real_worker.queue.connection
    connection.delete(real_worker.queue.keys.dirty)
    with Hub(real_worker.hub.url, BOT) as hub:
        context = BoardContext(
            parse_board(text), real_worker.suite, hub, connection, now=clock.now, probe=probe, mirrors=tmp_path
        )
        yield TrialBoard(real_worker, context, SyncLoop(context))


def test_a_trial_reports_times_and_answers_and_publishes_nothing(board: TrialBoard) -> None:
    """The bot's reply shows times and answers for each benchmark; the Hub gets no request, result, log or details."""
    reply, outcome = board.try_model("tried", model())
    report = outcome.trial
    assert report is not None, outcome.failure
    assert outcome.details is None
    assert [(task.name, task.asked, task.questions) for task in report.tasks] == [("Choose", 11, 11), ("Write", 11, 11)]
    assert 0 < report.load_seconds < report.whole_seconds
    assert {answer.task for answer in report.answers} == {"quick_choose", "quick_write"}
    assert any(answer.text.startswith("choice ") for answer in report.answers)
    assert "**ada/tried** runs at" in reply
    assert "| `Choose` | 11 |" in reply
    admin = HfApi(board.worker.hub.url, BOT)
    assert not admin.repo_exists("trial-details/details_ada__tried", repo_type="dataset")
    files = [
        path
        for name in ("requests", "results", "logs")
        for path in admin.list_repo_files(f"trial/{name}", repo_type="dataset")
    ]
    assert not [path for path in files if "tried" in path]


def test_a_model_that_does_not_load_gets_its_cause(board: TrialBoard) -> None:
    """A trial of a model with NaN weights, which admission cannot detect, reports the cause as an evaluation would."""
    files = model()
    weights = bytearray(files["model.safetensors"])
    weights[-4096:] = b"\xff" * 4096  # each of these numbers is NaN
    reply, outcome = board.try_model("broken", {**files, "model.safetensors": bytes(weights)})
    assert outcome.failure is not None and outcome.failure.fault == "submission"
    assert f"(`{outcome.failure.cause}`)" in reply
    assert "failed in the phase" in reply
