"""A board that writes scores to models' own pages, a benchmark that ranks them, and the people who ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from huggingface_hub import HfApi

from bot.core.context import model_page_key
from bot.probe import Probe
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.effects import Effect, EffectMode
from localhub.testing import HubWorld, LocalHub
from redis_state.jobs import EvaluationJob
from tests.support.board.board_file import BOARD
from tests.support.board.discussion import Discussion
from tests.support.board.flags import FlagBoardDriver, flags_world
from tests.support.board.published_details import publish
from tests.support.board.worlds import open_board

MODEL, BENCHMARK, SCORES = "ada/plain", "bench/riddles", "hf_scores"
FILE = ".eval_results/demo.yaml"
EVAL = """\
name: Riddles
evaluation_framework: inspect-ai
tasks: [{id: navigation, config: default, split: test}, {id: sorting, config: default, split: test}]
"""
MODEL_PAGES = f"""
model_pages:
  Navigation: {{dataset: {BENCHMARK}, task_id: navigation, unit: percent, same_task: true}}
"""


def model_pages_world() -> HubWorld:
    """The board with flags, a benchmark, and an account whose token may only open discussions and pull requests."""
    world = flags_world().user("bench").repo("dataset", BENCHMARK, {"eval.yaml": EVAL})
    token = {"token": SCORES, "role": "fineGrained", "global": ["discussion.write"]}
    world["users"].append({"name": "scores", "tokens": [token, {"token": "hf_reads", "role": "read"}]})
    return world


class ModelPagesDriver(FlagBoardDriver):
    """The board, with `model_pages` and the effect on."""

    def __init__(self, hub: LocalHub, connection: redis.Redis, probe: Probe | None = None) -> None:
        super().__init__(hub, connection, probe)
        pages = parse_board(BOARD + MODEL_PAGES).model_pages
        board = self.context.board.model_copy(update={"model_pages": pages})
        self.context.board = board.with_effect(Effect.MODEL_PR, EffectMode.ON)
        self.context.models_hub = Hub(hub.url, SCORES, on_call=lambda method, route: self.calls.append((method, route)))
        self.number = 0

    def evaluate(self, model: str = MODEL, accuracy: float = 0.75) -> None:
        """The form submits the model, and a worker evaluates it."""
        self.end_evaluation(self.started(model), accuracy)

    def end_evaluation(self, job: EvaluationJob, accuracy: float) -> None:
        """The worker publishes these scores."""
        self.number += 1
        self.end(job, details=publish(self.hub.url, job, self.context.suite, number=self.number, accuracy=accuracy))
        for _ in range(10):  # the logs repo takes so many commits at once: decisions come first
            if self.file(job.path)["status"] == "FINISHED":
                break
            self.time += 60
            self.settle()
        assert self.file(job.path)["status"] == "FINISHED"
        self.follow()

    def evaluate_again(self, accuracy: float, model: str = MODEL) -> None:
        """A maintainer relaunches it, and a worker evaluates it again."""
        self.tick()
        Discussion(self).say(f"/relaunch {model}", self.form)
        self.worker()
        self.context.mark("queue")
        self.settle()
        (job,) = self.queued()
        assert self.take(job) is True
        self.end_evaluation(job, accuracy)

    def follow(self) -> None:
        """Sync everything that is due, and the page of the model once more."""
        self.settle()
        self.context.mark(model_page_key(MODEL))
        self.work()

    def ask(self, text: str = f"/publish-scores {MODEL}", api: HfApi | None = None) -> str:
        """Ada, or another person, writes a command in a new discussion; the bot's answer."""
        return Discussion(self).ask(text, api)

    def rows(self, *, base_model_only: bool = True) -> list[tuple[str, float, int | None]]:
        """The benchmark's leaderboard: model, value, pull request."""
        rows = self.ada.get_dataset_leaderboard(BENCHMARK, base_model_only=base_model_only)
        return [(row.model_id, row.value, row.pull_request) for row in rows]

    def pulls(self, model: str = MODEL) -> list[tuple[int, str]]:
        """Number and status of every pull request on the model, oldest first."""
        listed = self.ada.get_repo_discussions(model, discussion_type="pull_request")
        return sorted((one.num, one.status) for one in listed)


@contextmanager
def model_pages_board(folder: Path, connection: redis.Redis, probe: Probe) -> Iterator[ModelPagesDriver]:
    """The board on a Hub of its own, with one evaluated model."""
    with open_board(model_pages_world(), folder, connection, probe, ModelPagesDriver) as made:
        made.hub.state.limits.set(commits_per_hour=None)
        made.evaluate()
        yield made
        if made.context.models_hub is not None:
            made.context.models_hub.close()
