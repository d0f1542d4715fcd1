"""A board without a server: webhooks start Jobs that run `steward sync --until-idle`, each with an empty Redis.

`make long` runs the real Jobs; `make test` runs wake-ups in the test's own process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from huggingface_hub import HfApi
from pydantic import SecretStr

from bot.backends.hub_jobs import ATTEMPT
from bot.core.settings import BotSettings
from bot.processes.until_idle import run_until_idle
from leaderboard.attempts import attempt_id
from leaderboard.columns import SNAPSHOT
from leaderboard.tiers import TIERS
from localhub.testing import LocalHub
from redis_state.stopping import Stop
from steward.testing.board import ADA, BOARD, BOT
from steward.testing.hub import board_world, hub_with
from tests.support.board.sleeping_board import WORKER_IMAGE, SleepingBoard, image
from tests.support.workers.backend_board import POLICY
from tests.support.workers.real_worker import RealWorker, running_worker, upload_questions
from workers.models.tiny_model import model

REAL = pytest.mark.long("real Jobs take minutes; the tests above run the bot in their own process")
REQUESTS = 1_000
REPOS = ("board/requests", "board/results", "board/logs")


def request(model: str) -> dict[str, Any]:
    """A request file as the leaderboard's form writes it."""
    return {"model": model, "status": "PENDING", "revision": "main", "precision": "float32", "weight_type": "Original"}


def path_of(model: str) -> str:
    """The path of the request file of `model`."""
    return f"{model}_eval_request_False_float32_Original.json"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SleepingBoard]:
    """A board on a Hub that runs Jobs of the organisation `board`; nothing has happened yet."""
    (tmp_path / "board.yaml").write_text(BOARD.replace("threads: always", "threads: never"))
    with hub_with(board_world(), tmp_path / "hub") as hub:
        sleeping = SleepingBoard(hub, tmp_path, "demo", "board", BOT)
        sleeping.install({}, {})
        yield sleeping


@pytest.fixture
def settings(board: SleepingBoard, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> BotSettings:
    """The settings of runs in the test's own process, which wait for a short quiet time only."""
    monkeypatch.setattr("bot.processes.sync_process.configure_logs", lambda *_, **__: None)
    monkeypatch.setattr("bot.processes.until_idle.QUIET_SECONDS", 0.3)
    monkeypatch.setattr("bot.processes.until_idle.POLL_SECONDS", 0.02)
    return BotSettings(
        hf_endpoint=board.hub.url,
        redis_url=valkey_url,
        board=board.folder / "board.yaml",
        bot_token=SecretStr(BOT),
        mirrors=board.folder / "mirrors",
    )


def test_a_run_does_what_is_due_and_ends(board: SleepingBoard, settings: BotSettings) -> None:
    """A run with an empty Redis answers a request and a command, and leaves no work behind."""
    board.submit("board/requests", {path_of("ada/none"): request("ada/none")})
    ada = HfApi(board.hub.url, ADA)
    thread = ada.create_discussion("board/space", "Hello", repo_type="space", description="/help")
    first = run_until_idle(settings, Stop(), seconds=60)
    assert (first.remains, first.commits, first.requests) == ("", 1, 1)
    assert [file["status"] for file in board.files("board/requests", [path_of("ada/none")])] == ["FAILED"]
    assert len(comments(board.hub, thread.num)) == 2


@pytest.mark.long("two seconds of a processor")
def test_the_maintainers_list_names_what_waits_after_each_run(board: SleepingBoard, settings: BotSettings) -> None:
    """A run with an empty Redis keeps discussions that still wait on the maintainers' list, and adds new ones."""
    ada = HfApi(board.hub.url, ADA)
    for title in ("Thank you", "Another"):
        with redis.Redis.from_url(settings.redis_url) as connection:
            connection.flushall()
        ada.create_discussion("board/space", title, repo_type="space", description="An idea.")
        assert run_until_idle(settings, Stop(), seconds=60).remains == ""
        (listed,) = ada.get_repo_discussions("board/requests", repo_type="dataset")
        details = ada.get_discussion_details("board/requests", listed.num, repo_type="dataset")
        post = next(event.content for event in details.events if event.type == "comment")
        assert "Thank you" in post
        assert title in post


@pytest.mark.long("waits for a Hub that is away")
def test_a_run_that_has_to_stop_says_what_is_left(
    board: SleepingBoard, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the Hub is away, a run ends at its time limit, and its report names the work that is left."""
    monkeypatch.setattr("bot.processes.sync_process.configure_logs", lambda *_, **__: None)
    settings = BotSettings(
        hf_endpoint="http://127.0.0.1:9",
        redis_url=valkey_url,
        board=board.folder / "board.yaml",
        bot_token=SecretStr(BOT),
        mirrors=board.folder / "mirrors",
    )
    report = run_until_idle(settings, Stop(), seconds=0.5)
    assert "due" in report.remains
    assert report.lines()[1] == f"Left for the next start: {report.remains}."


@REAL
@pytest.mark.timeout(2_700)
def test_a_thousand_requests_that_came_while_nothing_ran(board: SleepingBoard) -> None:
    """One run answers a thousand requests and a command; later runs write no comment and no commit."""
    models = [f"ada/none-{number}" for number in range(REQUESTS)]
    files = {path_of(model): request(model) for model in models}
    board.submit("board/requests", files)
    ada = HfApi(board.hub.url, ADA)
    thread = ada.create_discussion("board/space", "Hello", repo_type="space", description="/help")
    board.wake()
    board.sleeps(1_500)
    read = list(board.files("board/requests", list(files)))
    assert {file["status"] for file in read} == {"FAILED"}
    assert all(file["steward"]["failure"]["cause"] for file in read)
    before = board.commits(REPOS), comments(board.hub, thread.num)
    assert before[0]["board/requests"] <= 60
    assert len(before[1]) == 2
    for _ in range(2):
        job = board.wake()
        board.sleeps(300)
        assert (board.commits(REPOS), comments(board.hub, thread.num)) == before
        assert any("0 commits of shared files" in line for line in board.log(job)), board.log(job)


def comments(hub: LocalHub, number: int) -> list[str]:
    """The comments of a discussion in the community's Space."""
    details = HfApi(hub.url, ADA).get_discussion_details("board/space", number, repo_type="space")
    return [json.dumps(event.__dict__, default=str) for event in details.events if event.type == "comment"]


@REAL
@pytest.mark.timeout(900)
def test_a_burst_of_webhooks_doubles_nothing(board: SleepingBoard) -> None:
    """If webhooks start many Jobs at once, some exit with nothing to do, and no comment is written twice."""
    (board.folder / "board.yaml").write_text(BOARD)
    source = board.wake()
    board.sleeps(120)
    watched = (("dataset", "board/requests"), ("space", "board/space"))
    board.watch(source, watched)
    ada = HfApi(board.hub.url, ADA)
    paths = []
    for number in range(4):
        paths.append(path_of(f"ada/none-{number}"))
        board.submit("board/requests", {paths[-1]: request(f"ada/none-{number}")})
    thread = ada.create_discussion("board/space", "Hello", repo_type="space", description="/help")
    jobs = board.sleeps(300, at_least=6)
    lines = ["\n".join(board.log(job.id)) for job in jobs]
    assert sum("nothing to do" in text for text in lines) >= 1
    assert [file["status"] for file in board.files("board/requests", paths)] == ["FAILED"] * 4
    threads = list(ada.get_repo_discussions("board/requests", repo_type="dataset"))
    assert len(threads) == 4
    for each in threads:
        details = ada.get_discussion_details("board/requests", each.num, repo_type="dataset")
        assert len([event for event in details.events if event.type == "comment"]) <= 2
    assert len(comments(board.hub, thread.num)) == 2


@REAL
@pytest.mark.timeout(900)
def test_a_webhook_leads_to_a_published_result_and_all_jobs_end(tmp_path: Path) -> None:
    """A webhook starts the bot, a worker in another Job evaluates the request, and the leaderboard shows the result."""
    limits = {"kind": "jobs", "namespace": "trial", "flavor": "a100-large", "image": WORKER_IMAGE, "parallel": 2}
    repos = {name: f"trial/{name}" for name in ("requests", "results", "logs", "community", "contents")}
    fields = yaml.safe_load(POLICY)
    fields |= {"repos": {**repos, "details_namespace": "trial-details"}, "backends": dict.fromkeys(TIERS, limits)}
    with running_worker(tmp_path, **{**fields, "threads": "always"}) as stand:
        upload_questions(stand)
        stand.upload("ada/tiny", {**model(), "README.md": b"---\nlicense: mit\n---\n"})
        board = SleepingBoard(stand.hub, tmp_path, "trial", "trial", "hf_ada")
        for name in ("requests", "results", "logs", "contents"):
            board.api.create_repo(f"trial/{name}", repo_type="dataset")
        board.api.create_repo("trial/community", repo_type="space", space_sdk="static")
        worker = image(tmp_path / "worker-image", _settings_of_worker(stand))
        board.install({}, {WORKER_IMAGE: [worker]})
        secrets = {"STEWARD_WEBHOOK_SECRET": "s3cret", "STEWARD_WORKER_TOKEN": "hf_worker"}
        source = board.wake(secrets=secrets)
        board.sleeps(120)
        board.watch(source, [("dataset", "trial/requests"), ("space", "trial/community")], secrets)
        before = len(board.jobs())
        board.submit("trial/requests", {path_of("ada/tiny"): request("ada/tiny")})
        board.sleeps(600, at_least=before + 1)
        (file,) = board.files("trial/requests", [path_of("ada/tiny")])
        assert file["status"] == "FINISHED", board.words()
        attempt = attempt_id("trial", path_of("ada/tiny"), file["steward"]["revision"], 1)
        runs = list(board.api.list_jobs(namespace="trial", labels={ATTEMPT: attempt}))
        assert [run.status.stage for run in runs] == ["COMPLETED"]
        shown = board.api.hf_hub_download(
            "trial/contents", SNAPSHOT, repo_type="dataset", local_dir=tmp_path / "shown", force_download=True
        )
        assert "ada/tiny" in Path(shown).read_text("utf-8")
        counts = board.commits(list(repos.values())[:3])
        job = board.wake(secrets=secrets)
        board.sleeps(120)
        assert board.commits(list(counts)) == counts
        assert any("0 commits of shared files" in line for line in board.log(job)), board.log(job)


def _settings_of_worker(stand: RealWorker) -> dict[str, str]:
    """The settings of a worker that has neither Redis nor a board file."""
    left_out = ("REDIS_URL", "STEWARD_BOARD", "STEWARD_TIERS")
    return {
        name: value
        for name, value in stand.settings().items()
        if os.environ.get(name) != value and name not in left_out
    }
