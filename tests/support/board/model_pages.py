"""A board that opens pull requests with scores on models' repos, and a benchmark dataset that ranks these models."""

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
from steward.testing.board import BOARD
from steward.testing.hub import open_board
from tests.support.board.discussion import Discussion
from tests.support.board.flags import FlagBoardDriver, flags_world
from tests.support.board.published_details import publish

MODEL, BENCHMARK, SCORES = "ada/plain", "bench/riddles", "hf_scores"
FILE = ".eval_results/demo.yaml"
PUBLISH, UNPUBLISH = f"/publish-scores {MODEL}", f"/unpublish-scores {MODEL}"
EVAL = """\
name: Riddles
evaluation_framework: math-arena
tasks: [{id: navigation, config: default, split: test}, {id: sorting, config: default, split: test}]
"""
MODEL_PAGES = f"""
model_pages:
  Navigation: {{dataset: {BENCHMARK}, task_id: navigation, unit: percent, same_task: true}}
"""


def model_pages_world() -> HubWorld:
    """Return a world with flags, a benchmark, and an account that may only open discussions and pull requests."""
    world = flags_world().user("bench").repo("dataset", BENCHMARK, {"eval.yaml": EVAL})
    token = {"token": SCORES, "role": "fineGrained", "global": ["discussion.write"]}
    world["users"].append({"name": "scores", "tokens": [token, {"token": "hf_reads", "role": "read"}]})
    return world


class ModelPagesDriver(FlagBoardDriver):
    """A board with `model_pages` and with the effect `model-pr` on."""

    def __init__(self, hub: LocalHub, connection: redis.Redis, probe: Probe | None = None) -> None:
        super().__init__(hub, connection, probe)
        pages = parse_board(BOARD + MODEL_PAGES).model_pages
        board = self.context.board.model_copy(update={"model_pages": pages})
        self.context.board = board.with_effect(Effect.MODEL_PR, EffectMode.ON)
        self.context.models_hub = Hub(hub.url, SCORES, on_call=lambda method, route: self.calls.append((method, route)))
        self.number = 0

    def evaluate(self, model: str = MODEL, accuracy: float = 0.75) -> None:
        """Submit the model, and let a worker evaluate it."""
        self.end_evaluation(self.started(model), accuracy)

    def end_evaluation(self, job: EvaluationJob, accuracy: float) -> None:
        """Publish these scores as the worker, and sync until the request is finished."""
        self.number += 1
        self.end(job, details=publish(self.hub.url, job, self.context.suite, number=self.number, accuracy=accuracy))
        for _ in range(10):  # the logs repo has a budget of commits, which decisions use first
            if self.file(job.path)["status"] == "FINISHED":
                break
            self.time += 60
            self.settle()
        assert self.file(job.path)["status"] == "FINISHED"
        self.follow()

    def evaluate_again(self, accuracy: float, model: str = MODEL) -> None:
        """Relaunch the request as a maintainer, and let a worker evaluate the model again."""
        self.tick()
        Discussion(self).say(f"/relaunch {model}", self.form)
        self.worker()
        self.context.mark("queue")
        self.settle()
        (job,) = self.queued()
        assert self.take(job) is True
        self.end_evaluation(job, accuracy)

    def follow(self) -> None:
        """Sync every key that is due, and the key of the model's page."""
        self.settle()
        self.context.mark(model_page_key(MODEL))
        self.work()

    def ask(self, text: str = f"/publish-scores {MODEL}", api: HfApi | None = None) -> str:
        """Post a command in a new discussion, by default as Ada; return the bot's answer."""
        return Discussion(self).ask(text, api)

    def rows(self, *, base_model_only: bool = True) -> list[tuple[str, float, int | None]]:
        """Return the benchmark's leaderboard: model, value, pull request."""
        rows = self.ada.get_dataset_leaderboard(BENCHMARK, base_model_only=base_model_only)
        return [(row.model_id, row.value, row.pull_request) for row in rows]

    def pulls(self, model: str = MODEL) -> list[tuple[int, str]]:
        """Return number and status of each pull request on the model, oldest first."""
        listed = self.ada.get_repo_discussions(model, discussion_type="pull_request")
        return sorted((pull.num, pull.status) for pull in listed)


@contextmanager
def model_pages_board(folder: Path, connection: redis.Redis, probe: Probe) -> Iterator[ModelPagesDriver]:
    """The board on its own Hub, with one evaluated model."""
    with open_board(model_pages_world(), folder, connection, probe, ModelPagesDriver) as made:
        made.hub.state.limits.set(commits_per_hour=None)
        made.evaluate()
        yield made
        if made.context.models_hub is not None:
            made.context.models_hub.close()
