"""Public and private repos of logs, and to whom the bot shows links to logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.core.decision_records import record_decision
from bot.core.log_repos import logs_repo, public_log
from bot.read_models import serializers
from bot.setup.doctor.rights import readable_logs
from bot.web.board import BoardReader
from bot.web.pages.requests import RequestQuery, history
from hub.client import Hub
from hub.records import Repo
from leaderboard.attempts import Failure
from leaderboard.boards import parse_board
from redis_state.board.request_snapshot import RequestSnapshot
from steward.board_setup import steps
from steward.testing.board import BOARD, BOT, BoardDriver

OURS = Failure(cause="gpu-lost", fault="us", message="The GPU fell off the bus.")
THEIRS = Failure(cause="nan-weights", fault="submission", message="Weights are NaN.", advice="Save them again.")


@pytest.mark.parametrize("is_private", [False, True])
def test_a_log_is_linked_only_where_everybody_can_open_it(stand: BoardDriver, is_private: bool) -> None:
    """Thread, page and API link a public log; for a private one the thread says that maintainers can read it."""
    context = stand.context
    context.board = context.board.model_copy(update={"threads": "always", "attempts": 1})
    if is_private:
        context.hub.hide(context.logs)
    path = stand.failed(THEIRS)
    url = stand.file(path)["steward"]["log"]
    assert url.startswith(f"{context.address(context.logs)}/")
    (thread,) = stand.threads()
    post = thread.events[0].content
    summary = history(BoardReader(context), RequestQuery(path)).request
    assert ("/log.txt" in post, summary.log_url) == ((False, None) if is_private else (True, url))
    assert ("Maintainers can read the log" in post) is is_private
    assert summary.has_log
    assert serializers.request(context, context.index.get(path), public=False).log_url == url


def test_the_web_server_links_no_log_before_a_sync_has_looked(stand: BoardDriver) -> None:
    """The web server shows links into the logs repo only after a sync has found it public; other links stay."""
    context = stand.context
    url = f"{context.address(context.logs)}/blob/main/ada/good/1/log.txt"
    context.redis.hdel(context.keys.hub_state, "logs")
    assert public_log(context, url) == ""
    context.mark("webhooks")
    stand.work()
    assert public_log(context, url) == url
    assert public_log(context, url.replace("/logs/", "/logs-private/")) == ""
    assert public_log(context, "https://elsewhere.example/log") == "https://elsewhere.example/log"


def test_secret_questions_stay_out_of_public_logs(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of gated and private models, and all logs of a restricted suite, go to the private repo."""
    context = stand.context
    assert [logs_repo(context, access) for access in ("public", "gated", "private")] == [
        context.logs,
        context.private_logs,
        context.private_logs,
    ]
    restricted = [benchmark.model_copy(update={"restricted": True}) for benchmark in context.suite.benchmarks]
    context.suite = context.suite.model_copy(update={"benchmarks": tuple(restricted)})
    assert logs_repo(context, "public") == context.private_logs


def decided(path: str) -> dict[str, Any]:
    """The record of a decision by a program about the request at `path`."""
    return {
        "at": "2026-11-24T12:00:00Z",
        "person": {"id": "5f6b6d1a3a1f0a3f6f8e5b8b", "name": "mia"},
        "command": "/submit ada/secret",
        "verb": "submit",
        "requests": [path],
        "allowed": True,
        "comment": f"api-{len(path)}",
    }


def test_a_decision_about_a_private_model_is_in_no_public_repo(stand: BoardDriver) -> None:
    """The record of a decision about a private model goes to the private logs repo, else to the public one."""
    context = stand.context
    for name, access in (("secret", "private"), ("open", "public")):
        path = stand.submit(f"ada/{name}", status="CANCELLED")
        stand.settle()
        entry = context.index.get(path)
        context.index.put(entry.changed(standing=RequestSnapshot(access=access)))
        record_decision(context, decided(path), datetime.now(UTC), cause=name, line="Record it")
        stand.time += 600
        stand.work()
    for repo, name in ((context.private_logs, "secret"), (context.logs, "open")):
        (file,) = [file for file in context.hub.list_files(repo) if file.path.startswith("decisions/")]
        assert f"ada/{name}_eval" in context.hub.read_file(repo, file.path).data.decode()
    assert context.hub.is_private(context.private_logs)


def test_a_new_board_has_public_logs_and_a_private_repo_beside_them(stand: BoardDriver) -> None:
    """`init` creates a public and a private logs repo, and no second repo if the existing logs repo is private."""
    board = parse_board(BOARD.replace("logs: board/logs", "logs: board/fresh"))
    with Hub(stand.hub.url, BOT) as hub:
        lines = list(steps(hub, board, url="http://127.0.0.1:1/webhooks/hub", secret="s", apply=True))
        assert "Created the dataset board/fresh, with a card." in lines
        assert "Created the private dataset board/fresh-private, with a card." in lines
        assert not hub.is_private(Repo("dataset", "board/fresh"))
        assert hub.is_private(Repo("dataset", "board/fresh-private"))
        hub.hide(Repo("dataset", "board/logs"))
        lines = list(steps(hub, parse_board(BOARD), url="http://127.0.0.1:1/webhooks/hub", secret="s", apply=True))
        assert not any("logs-private" in line for line in lines)


def test_the_doctor_says_what_submitters_see(stand: BoardDriver) -> None:
    """The doctor accepts public logs with a private or missing second repo, reports a public second repo, and accepts
    logs that are all private."""
    context = stand.context

    def said() -> tuple[str, str]:
        (check,) = readable_logs(context)
        return check.state, check.words

    assert said()[0] == "ok"
    assert "does not exist yet" in said()[1]
    context.hub.create_repo(context.private_logs, private=False)
    assert said() == ("error", "board/logs-private is public, so the bot stores no such log.")
    context.hub.hide(context.private_logs)
    assert said()[0] == "ok"
    assert "Everybody can read board/logs;" in said()[1]
    context.hub.hide(context.logs)
    assert said() == ("ok", "Only members can read board/logs: submitters are told that maintainers can.")
