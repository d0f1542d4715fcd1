"""`steward inbox`, as people type it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import Result
from typer.testing import CliRunner

from bot.intake.deliveries import read_delivery
from bot.intake.inbox import Delivery, Inbox, connect_inbox
from leaderboard.boards import parse_board
from redis_state.keys import Keys
from steward.cli import app
from tests.support.board.board_file import BOARD

KEYS = Keys("demo")
COMMIT = json.dumps(
    {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "dataset", "name": "board/requests"},
        "updatedRefs": [{"ref": "refs/heads/main"}],
    }
).encode()

Steward = Callable[..., Result]


@pytest.fixture
def steward(valkey_url: str, tmp_path: Path) -> Steward:
    """The command, with settings for the board of these tests."""
    (tmp_path / "board.yaml").write_text(BOARD)
    environment = {"REDIS_URL": valkey_url, "STEWARD_BOARD": str(tmp_path / "board.yaml"), "COLUMNS": "200"}
    return lambda *arguments: CliRunner().invoke(app, ["inbox", *arguments], env=environment)


@pytest.fixture
def receive(valkey_url: str) -> Callable[..., None]:
    """Receives deliveries: id → body."""

    async def run(deliveries: dict[str, bytes]) -> None:
        client = connect_inbox(valkey_url)
        inbox = Inbox(client, KEYS)
        for name, body in deliveries.items():
            await inbox.receive(Delivery(name, body, 1_764_000_000.0), read_delivery(body, parse_board(BOARD)))
        await client.aclose()

    return lambda deliveries: asyncio.run(run(deliveries))


def parsed(result: Result) -> Any:
    """What a command that succeeded printed as JSON."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_empty_inbox_says_so(steward: Steward) -> None:
    """Nothing came yet."""
    assert "No delivery is stored." in steward("list").stdout
    assert parsed(steward("list", "--json")) == {"deliveries": [], "counts": {}, "kept": 0}


def test_the_newest_are_listed_first_with_what_became_of_them(steward: Steward, receive: Callable[..., None]) -> None:
    """By default twenty, of every kind; or fewer, or of one kind."""
    receive({"commit": COMMIT, "noise": b"{", "other": b"{}"})
    listed = parsed(steward("list", "--json"))
    assert [(delivery["id"], delivery["verdict"], delivery["marks"]) for delivery in listed["deliveries"]] == [
        ("other", "unknown", []),
        ("noise", "not-json", []),
        ("commit", "requests", ["requests"]),
    ]
    assert listed["counts"] == {"requests": 1, "not-json": 1, "unknown": 1}
    assert listed["deliveries"][2]["received"] == "2025-11-24T16:00:00Z"
    assert [delivery["id"] for delivery in parsed(steward("list", "--limit", "1", "--json"))["deliveries"]] == ["other"]
    assert [
        delivery["id"] for delivery in parsed(steward("list", "--verdict", "not-json", "--json"))["deliveries"]
    ] == ["noise"]
    table = steward("list").stdout
    assert "commit" in table
    assert "3 stored" in table
    assert "'odd'" in steward("list", "--verdict", "odd").stdout


def test_one_delivery_is_shown_whole(steward: Steward, receive: Callable[..., None], connection: redis.Redis) -> None:
    """Its body, what it means, and how what it marked stands now."""
    receive({"commit": COMMIT})
    shown = steward("show", "commit").stdout
    assert "requests: waiting" in shown
    assert '"refs/heads/main"' in shown
    connection.delete(KEYS.dirty)
    delivery = parsed(steward("show", "commit", "--json"))
    assert delivery["marks"] == {"requests": "done"}
    assert json.loads(delivery["body"]) == json.loads(COMMIT)


def test_strangers_cannot_move_the_cursor(steward: Steward, receive: Callable[..., None]) -> None:
    """Escape sequences and markup in a body or an id are shown, not obeyed."""
    receive({"[red]a[/red]": b"\x1b[2J\xff[bold]"})
    for arguments in (["list"], ["show", "[red]a[/red]"]):
        shown = steward(*arguments).stdout
        assert "\x1b[2J" not in shown
        assert "[red]a[/red]" in shown
    assert "\\x1b[2J\\xff[bold]" in steward("show", "[red]a[/red]").stdout


def test_what_is_not_there_is_told_from_what_had_to_make_room(
    steward: Steward, receive: Callable[..., None], connection: redis.Redis
) -> None:
    """Both end with a status and a sentence on standard error: no reader of JSON stumbles over it."""
    receive({"gone": COMMIT})
    connection.delete(KEYS.inbox)
    removed, never = steward("show", "gone", "--json"), steward("replay", "never", "--json")
    assert (removed.exit_code, removed.stdout, never.exit_code, never.stdout) == (1, "", 1, "")
    assert "is no longer stored" in removed.stderr
    assert "never is not in the inbox" in never.stderr
    unnamed = steward("replay", "--json")
    assert (unnamed.exit_code, unnamed.stdout, "name the deliveries" in unnamed.stderr) == (2, "", True)


def test_a_delivery_is_replayed_by_todays_rules(
    steward: Steward, receive: Callable[..., None], connection: redis.Redis
) -> None:
    """It marks what it tells of once more, is kept beside the first, and spends nothing of the webhook's day."""
    receive({"commit": COMMIT, "noise": b"{"})
    connection.delete(KEYS.dirty)
    spent = connection.hgetall(KEYS.webhook_quota)
    result = steward("replay", "commit")
    assert "commit: requests, marked requests" in result.stdout
    assert connection.zrange(KEYS.dirty, 0, -1) == [b"requests"]
    assert connection.hgetall(KEYS.webhook_quota) == spent
    assert parsed(steward("list", "--json"))["kept"] == 3


def test_all_of_one_kind_are_replayed_in_the_order_they_came(steward: Steward, receive: Callable[..., None]) -> None:
    """As after a new version that reads what the old one did not know."""
    receive({f"n{number}": b"{" for number in range(5)})
    report = parsed(steward("replay", "--verdict", "not-json", "--json"))
    assert [delivery["id"] for delivery in report["replayed"]] == [f"n{number}" for number in range(5)]
    assert steward("replay").exit_code == 2


def test_a_setting_that_is_missing_ends_in_a_sentence(tmp_path: Path) -> None:
    """No traceback: what to set, and status 2."""
    result = CliRunner().invoke(app, ["inbox", "list"], env={"STEWARD_BOARD": str(tmp_path / "none.yaml")})
    assert result.exit_code == 2
