"""Commands, decisions and waiting threads as pages and as JSON, and the log of decisions on the Hub."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import redis

from bot.core.context import BoardContext
from bot.threads.decision_log import sync_decisions
from bot.threads.verbs import REGISTRY
from bot.web.board import BoardReader
from bot.web.pages.threads import DecisionsQuery
from bot.web.pages.threads import decisions as read_decisions
from hub.client import Hub
from hub.records import WriteFile
from leaderboard.boards import parse_board
from leaderboard.suites import find_suite
from redis_state import clock
from redis_state.board.decisions import CommandDecision, DecisionAuthor, Decisions
from redis_state.board.entry import IndexEntry
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.clock import iso
from redis_state.keys import Keys
from steward.testing.board import BOARD, BoardDriver
from tests.support.board.discussion import Discussion

KEYS = Keys("demo")
HOSTILE = "<script>alert(1)</script>\"'&"


def decision(number: int, **changes: Any) -> CommandDecision:
    """Return a decision about a command of Mia."""
    fields = {
        "at": iso(1_795_600_000.0 + number),
        "person": {"id": "5f6b6d1a3a1f0a3f6f8e5b8b", "name": "mia"},
        "roles": ["anyone", "maintainer"],
        "command": f"/pause board reason {number}",
        "verb": "pause",
        "allowed": True,
        "answer": "Paused.",
        "thread": {"repo": "dataset/board/requests", "number": 7},
        "comment": f"c{number}",
    }
    return CommandDecision.model_validate({**fields, **changes})


@pytest.fixture
def decisions(connection: redis.Redis) -> Decisions:
    """The decisions that the web server shows."""
    return Decisions(connection, KEYS)


def test_decisions_are_told_page_by_page(web: httpx2.Client, decisions: Decisions) -> None:
    """Decisions are listed newest first, each once and in its latest version, even if some have the same time."""
    decisions.put(*(decision(number) for number in range(5)))
    decisions.put(decision(9, at=decision(4).at), decision(2, allowed=False))
    listed, cursor = list[str](), ""
    while True:
        page = web.get("/api/decisions", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        listed += [entry["command"].rpartition(" ")[2] for entry in page["decisions"]]
        if (cursor := page["next"] or "") == "":
            break
    assert listed in (["9", "4", "3", "2", "1", "0"], ["4", "9", "3", "2", "1", "0"])
    (third,) = [entry for entry in web.get("/api/decisions").json()["decisions"] if entry["command"].endswith(" 2")]
    assert third["allowed"] is False
    assert third["thread_url"].endswith("/datasets/board/requests/discussions/7")
    assert web.get("/api/decisions", params={"cursor": "%%%"}).status_code == 422
    assert web.get("/decisions", params={"cursor": "%%%"}).status_code == 200


def test_a_decision_shows_whether_it_was_allowed_and_what_came_of_it(web: httpx2.Client, decisions: Decisions) -> None:
    """The page shows each outcome, with the reason of a refusal or failure as plain text, if it was recorded."""
    plan = "I cannot do this, and changed nothing:\n\n- **There** is no model `ada/x`. [Look](https://hub.example)."
    decisions.put(
        decision(1),
        decision(2, outcome="done"),
        decision(3, outcome="refused", answer=plan),
        decision(4, outcome="failed", answer="The Hub did not let me do this.\n\nLater."),
        decision(5, outcome="unchanged"),
        decision(6, outcome="of a later version"),
    )
    cells = re.findall(r'data-name="Outcome">([^<]*)<', web.get("/decisions").text)
    assert cells[::-1] == [
        "not recorded",
        "done",
        "refused: There is no model ada/x. Look.",
        "failed: The Hub did not let me do this.",
        "nothing to do",
        "not recorded",
    ]
    listed = web.get("/api/decisions").json()["decisions"]
    assert [entry["outcome"] for entry in listed[::-1]][:4] == ["", "done", "refused", "failed"]


@pytest.mark.parametrize("takes_private", [True, False])
def test_what_a_program_did_with_a_private_model_names_it_to_nobody(
    decisions: Decisions, connection: redis.Redis, takes_private: bool
) -> None:
    """Decisions of programs name no private model, and no unknown one on boards that accept private models."""
    board = parse_board(BOARD)
    policy = board.admission.model_copy(update={"private_models": takes_private})
    board = board.model_copy(update={"admission": policy})
    hub = Hub("http://127.0.0.1:9", None)
    context = BoardContext(board=board, suite=find_suite("starter"), hub=hub, redis=connection, now=clock.now)
    paths = {name: f"ada/{name}_eval_request_False_bfloat16_Original.json" for name in ("open", "secret", "gone")}
    context.index.put(
        IndexEntry(path=paths["open"], state="waiting", standing=RequestSnapshot(access="public")),
        IndexEntry(path=paths["secret"], state="waiting", standing=RequestSnapshot(access="private")),
    )

    def about(number: int, *names: str, **changes: Any) -> CommandDecision:
        named = {"command": f"/submit ada/{names[-1]}", "model": f"ada/{names[-1]}", "answer": f"It is {names[-1]}."}
        requests = [paths[name] for name in names]
        return decision(number, verb="submit", requests=requests, **{"thread": None, **named, **changes})

    public = {"repo": "dataset/board/requests", "number": 7}
    decisions.put(about(1, "open"), about(2, "secret"), about(3, "gone"))
    decisions.put(about(4, "secret", "open"), about(5, "secret", thread=public))
    listed = read_decisions(BoardReader(context), DecisionsQuery()).decisions[::-1]
    unknown = "" if takes_private else "ada/gone"
    assert [view.model for view in listed] == ["ada/open", "", unknown, "ada/open", "ada/secret"]
    assert (listed[1].command, listed[1].answer, listed[1].requests, listed[1].person) == ("/submit …", "", [], "mia")
    assert listed[3].requests == [paths["open"]]
    hub.close()


def test_only_so_many_are_kept(decisions: Decisions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis holds only the newest MAX_DECISIONS decisions."""
    monkeypatch.setattr("redis_state.board.decisions.MAX_DECISIONS", 3)
    decisions.put(*(decision(number) for number in range(5)))
    assert [stored.comment for stored in decisions.newest(limit=10)] == ["c4", "c3", "c2"]
    assert decisions.known(["c1-0", "c4-0"]) == {"c4-0"}


def test_the_page_of_commands_is_the_registry(web: httpx2.Client) -> None:
    """`/commands` has every verb with its examples, and a strict content policy."""
    answer = web.get("/commands")
    assert answer.status_code == 200
    for verb in REGISTRY.verbs:
        assert f'<h2 id="{verb.name}">' in answer.text
        assert all(example.replace(">", "&gt;").replace('"', "&#34;") in answer.text for example in verb.examples)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy


def test_strangers_words_stay_words_on_pages(web: httpx2.Client, decisions: Decisions) -> None:
    """Pages show names, commands and titles that contain HTML as text."""
    person = {"id": "1", "name": HOSTILE}
    decisions.put(decision(1, command=HOSTILE, person=person, answer=HOSTILE))
    fields = {"title": HOSTILE, "url": "http://hub/x", "topic": "other", "author": HOSTILE, "since": 1_795_600_000.0}
    decisions._redis.hset(KEYS.waiting_threads, "thread:x:1", json.dumps(fields))
    for path in ("/decisions", "/threads-waiting"):
        text = web.get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text
    (thread,) = web.get("/api/threads-waiting").json()["threads"]
    assert (thread["title"], thread["since"]) == (HOSTILE, "2026-11-25T09:46:40Z")


def test_former_names_of_models_are_found_again(stand: BoardDriver) -> None:
    """After Redis was lost, a former name leads to the present one again, by the decisions of an earlier month."""
    context = stand.context
    month = f"{datetime.fromtimestamp(stand.time, UTC) - timedelta(days=400):%Y/%m}"
    renamed = CommandDecision(
        at=f"{month.replace('/', '-')}-03T12:00:00Z",
        person=DecisionAuthor(id="1", name="ada"),
        command="/rename ada/old ada/good",
        verb="rename",
        arguments={"model": "ada/old", "new": "ada/good"},
        allowed=True,
        comment="c",
    )
    file = WriteFile(f"decisions/{month}/all.jsonl", renamed.model_dump_json().encode())
    context.hub.commit(context.logs, [file], "Record", parent=context.hub.head(context.logs))
    sync_decisions(context)
    assert context.index.renamed("Ada/Old") == "ada/good"
    calls = len(stand.calls)
    sync_decisions(context)
    assert [route for _, route in stand.calls[calls:]] == ["tree"]


def test_the_log_of_a_month_holds_every_decision_and_brings_them_back(stand: BoardDriver) -> None:
    """The file on the Hub restores the decisions after a loss of Redis, and is not written without new ones."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,)})
    talk = Discussion(stand)
    talk.ask("/pause board moving house", stand.form)
    talk.ask("/resume board")
    stand.context.mark("decisions")
    stand.settle()
    compiled = [entry for entry in stand.context.hub.list_files(stand.context.logs) if entry.path.endswith(".jsonl")]
    (file,) = compiled
    assert re.fullmatch(r"decisions/\d{4}/\d\d/all\.jsonl", file.path)
    lines = stand.context.hub.read_file(stand.context.logs, file.path).data.decode().splitlines()
    assert [(json.loads(line)["verb"], json.loads(line)["allowed"]) for line in lines] == [
        ("pause", True),
        ("resume", False),
    ]
    before = [stored.id for stored in stand.context.decisions.newest(limit=10)]
    talk.ask("/resume board", stand.form)  # not compiled yet
    stand.settle()
    stand.time += 120
    stand.settle()
    stand.context.redis.delete(stand.context.keys.decisions, stand.context.keys.decision_order)
    stand.context.mark("decisions")
    stand.settle()
    after = [stored.id for stored in stand.context.decisions.newest(limit=10)]
    assert (len(after), after[1:]) == (3, before)
    stand.time += 120
    stand.settle()
    files = stand.context.hub.list_files(stand.context.logs)
    before = len(stand.calls)
    sync_decisions(stand.context)
    assert [route for _, route in stand.calls[before:]] == ["tree", "resolve"]
    stand.time += 120
    stand.settle()
    assert stand.context.hub.list_files(stand.context.logs) == files
