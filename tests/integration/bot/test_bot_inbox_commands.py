"""The command `steward inbox`, as operators type it."""

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
from steward.testing.board import BOARD

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
    """Runs `steward inbox` with settings for the board of these tests."""
    (tmp_path / "board.yaml").write_text(BOARD)
    environment = {"REDIS_URL": valkey_url, "STEWARD_BOARD": str(tmp_path / "board.yaml"), "COLUMNS": "200"}
    return lambda *arguments: CliRunner().invoke(app, ["inbox", *arguments], env=environment)


@pytest.fixture
def receive(valkey_url: str) -> Callable[..., None]:
    """Receives deliveries, given as a mapping of ids to bodies."""

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
    """Before any delivery `steward inbox list` says that none is stored."""
    assert "No delivery is stored." in steward("list").stdout
    assert parsed(steward("list", "--json")) == {"deliveries": [], "counts": {}, "kept": 0}


def test_the_newest_are_listed_first_with_what_became_of_them(steward: Steward, receive: Callable[..., None]) -> None:
    """`steward inbox list` shows verdict and marks, newest first, and can be limited by number or by verdict."""
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
    """`steward inbox show` prints the body of a delivery, and the present state of the keys that it marked."""
    receive({"commit": COMMIT})
    shown = steward("show", "commit").stdout
    assert "requests: waiting" in shown
    assert '"refs/heads/main"' in shown
    connection.delete(KEYS.dirty)
    delivery = parsed(steward("show", "commit", "--json"))
    assert delivery["marks"] == {"requests": "done"}
    assert json.loads(delivery["body"]) == json.loads(COMMIT)


def test_text_in_a_delivery_cannot_control_the_terminal(steward: Steward, receive: Callable[..., None]) -> None:
    """`steward inbox` prints escape sequences and markup in a body or an id as text."""
    receive({"[red]a[/red]": b"\x1b[2J\xff[bold]"})
    for arguments in (["list"], ["show", "[red]a[/red]"]):
        shown = steward(*arguments).stdout
        assert "\x1b[2J" not in shown
        assert "[red]a[/red]" in shown
    assert "\\x1b[2J\\xff[bold]" in steward("show", "[red]a[/red]").stdout


def test_an_unknown_delivery_and_one_no_longer_stored_have_different_errors(
    steward: Steward, receive: Callable[..., None], connection: redis.Redis
) -> None:
    """An unknown delivery and a dropped one end with status 1 and different errors, without text on standard output."""
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
    """`steward inbox replay` marks a delivery's keys again, stores it once more, and uses none of the webhook quota."""
    receive({"commit": COMMIT, "noise": b"{"})
    connection.delete(KEYS.dirty)
    spent = connection.hgetall(KEYS.webhook_quota)
    result = steward("replay", "commit")
    assert "commit: requests, marked requests" in result.stdout
    assert connection.zrange(KEYS.dirty, 0, -1) == [b"requests"]
    assert connection.hgetall(KEYS.webhook_quota) == spent
    assert parsed(steward("list", "--json"))["kept"] == 3


def test_all_of_one_kind_are_replayed_in_the_order_they_came(steward: Steward, receive: Callable[..., None]) -> None:
    """`steward inbox replay --verdict` replays all deliveries with that verdict, oldest first."""
    receive({f"n{number}": b"{" for number in range(5)})
    report = parsed(steward("replay", "--verdict", "not-json", "--json"))
    assert [delivery["id"] for delivery in report["replayed"]] == [f"n{number}" for number in range(5)]
    assert steward("replay").exit_code == 2


def test_a_setting_that_is_missing_ends_in_a_sentence(tmp_path: Path) -> None:
    """`steward inbox list` ends with status 2 and names the missing board file, without a traceback."""
    file = tmp_path / "none.yaml"
    result = CliRunner().invoke(app, ["inbox", "list"], env={"STEWARD_BOARD": str(file)})
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"steward: There is no board file {file} in ")
    assert "set STEWARD_BOARD to its path" in result.stderr
    assert "Traceback" not in result.stderr
