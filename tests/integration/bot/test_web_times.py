"""Waiting and running times, and comparisons of scores: pages, charts and their JSON, with a real queue server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import httpx2
import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.connection import AbstractConnection

from bot.core.reader_context import read_only_context
from bot.core.settings import BotSettings
from bot.web.board import BoardReader
from bot.web.charts.drawing import POLICY, WIDTHS
from bot.web.charts.models import ComparisonView, TimingsResponse
from bot.web.charts.pictures import PICTURES
from leaderboard.timings import PERIODS
from redis_state import clock
from redis_state.board.index import Index
from redis_state.board.scoreboard import Scoreboard
from redis_state.board.timings import Timings
from redis_state.keys import Keys
from steward.testing.board import BOARD, SECRET
from steward.valkey import Valkey
from tests.support.board.page_client import Client, Reader, serving
from tests.support.board.seeded_board import BENCHMARKS, entry, flag, path_of, put_flags, score
from tests.support.board.timing_history import count

KEYS = Keys("timed-pages")
HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}"
CHATS = (("ada/leaf", 40.0), ("bob/branch", 50.0), ("chen/trunk", 60.0), ("dan/root", 20.0))
PICTURE = tuple(f"/charts/{name}.svg" for name in PICTURES)


@pytest.fixture(scope="module")
def redis_client(valkey: Valkey) -> Iterator[redis.Redis]:
    """A client of the queue server."""
    with redis.Redis.from_url(valkey.url) as client:
        yield client


@pytest.fixture(scope="module")
def site(valkey: Valkey, redis_client: redis.Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A board with forty days of counted times, and models to compare."""
    count(redis_client, KEYS, now=clock.now(), days=40, every=48)
    fill_board(Index(redis_client, KEYS), Scoreboard(redis_client, KEYS))
    put_flags(redis_client, KEYS, flag("eve/flagged"))
    yield from serving(valkey, tmp_path_factory.mktemp("times"), KEYS.board)


def fill_board(index: Index, scores: Scoreboard) -> None:
    """Store chat models and their base; one flagged, one private, one of no category, one with a hostile name."""
    base = {"ada/leaf": "ada/seed", "bob/branch": "eve/flagged", "fay/blend": HOSTILE}
    ones = [(model, average, "chat", "public") for model, average in CHATS]
    ones += [("ada/seed", 30.0, "pretrained", "public"), ("eve/flagged", 99.0, "chat", "public")]
    ones += [("eve/secret", 98.0, "chat", "private"), ("eve/odd", 10.0, "strange", "public")]
    ones += [("fay/blend", 20.0, "merge", "public"), ("gus/hostile", 25.0, "merge", "public")]
    for number, (model, average, category, access) in enumerate(ones):
        facts = {"category": category, "access": access, "base_model": base.get(model, "")}
        called = HOSTILE if model == "gus/hostile" else model
        indexed = entry(called, "settled", "FINISHED", number=number, path=path_of(model), **facts)
        index.put(indexed)
        score(scores, indexed, average, category)


def page(client: Client, path: str) -> str:
    """Return the HTML of an answer with status 200."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def svg(client: Client, address: str) -> ElementTree.Element:
    """Return the chart at an address."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/svg+xml"
    return ElementTree.fromstring(answer.content)  # noqa: S314  our own


def pictures(text: str) -> list[str]:
    """Return the addresses of all charts of a page, in every size."""
    return [unescape(address) for address in re.findall(r'(?:srcset|src)="(/charts/[^"]+)"', text)]


@pytest.mark.parametrize("length", PERIODS)
def test_the_page_and_its_twin_tell_the_same(site: Client, length: int) -> None:
    """The figures and the tables on `/times` are those of the API."""
    timings = TimingsResponse.model_validate(site.get("/api/times", params={"days": length}).json())
    text = page(site, f"/times?days={length}")
    assert timings.days == len(timings.ended) == length
    assert timings.waiting.overall is not None
    assert [tier.name for tier in timings.waiting.tiers] == ["small", "medium", "large"]
    assert [precision.name for precision in timings.waiting.precisions] == [
        "float16",
        "bfloat16",
        "8bit",
        "4bit",
        "GPTQ",
    ]
    assert sum(tier.among for tier in timings.waiting.tiers) == timings.waiting.overall.among
    assert timings.running.overall is not None
    assert timings.running.overall.among == timings.finished
    assert f"<b>{timings.finished:,}</b><span>attempts finished" in text
    rows = re.findall(r'<tr><th scope="row">(\d{4}-\d\d-\d\d)</th><td class="number">(\d+)</td>', text)
    assert rows == [(day.day, str(day.finished)) for day in reversed(timings.ended) if day.finished or day.failed]
    assert len(re.findall(r'<tr><th scope="row"><time', text)) == len(timings.queue)
    assert ("Counting began on" in text) == (length == 90)


def test_a_picture_is_told_in_words_and_figures_too(site: Client) -> None:
    """Each chart has a role, an alternative text, a size and a table, and no element has a style of its own."""
    text = page(site, "/times")
    tags = Reader(text).tags
    shown = [attributes for tag, attributes in tags if tag == "img" and attributes.get("role") == "img"]
    assert len(shown) == 4
    for picture in shown:
        assert len(picture["alt"] or "") > 40
        assert int(picture["width"] or 0) == WIDTHS[-1]
        assert int(picture["height"] or 0) > 100
    assert [tag for tag, _ in tags].count("details") == 4 + 1, "a table for each picture, and the menu"
    assert [tag for tag, _ in tags].count("caption") == 4
    assert not [name for _, attributes in tags for name in attributes if name == "style" or name.startswith("on")]
    addresses = pictures(text)
    assert len(addresses) == 4 * len(WIDTHS)
    for address in addresses:
        root = svg(site, address)
        width = int(re.findall(r"width=(\d+)", address)[0])
        assert root.get("viewBox", "").split()[2] == str(width)


def test_browsers_trust_a_picture_with_nothing(site: Client) -> None:
    """A chart has a strict policy of its own, can be cached for a minute, and answers 304 to its ETag."""
    for path in (*PICTURE, "/charts/models/ada/leaf"):
        answer = site.get(path)
        headers = answer.headers
        assert headers["content-security-policy"] == POLICY
        assert "unsafe" not in POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "public, max-age=60"
        assert len(answer.content) < 50_000
        assert site.get(path, headers={"if-none-match": headers["etag"]}).status_code == 304


def test_what_there_is_no_picture_of_is_not_found(site: Client) -> None:
    """An unknown chart, and that of a missing, private or incomparable model, does not exist."""
    for path in ("/charts/other.svg", "/charts/waiting", "/charts/models/no/body", "/charts/models/eve/secret"):
        assert site.get(path).status_code == 404, path
    assert site.get("/api/models/eve/odd").json()["compared"] is None
    assert "/charts/" not in page(site, "/models/eve/odd")


def test_a_board_that_counted_nothing_says_so(valkey: Valkey, tmp_path: Path) -> None:
    """A board without figures, or with too few of them, says so and has no chart."""
    for client in serving(valkey, tmp_path, "uncounted"):
        text = page(client, "/times")
        assert "There are no figures for these days." in text
        assert "/charts/" not in text
        assert client.get("/charts/waiting.svg").status_code == 404
        assert client.get("/api/times").json()["since"] is None
        with redis.Redis.from_url(valkey.url) as connection:
            Timings(connection, Keys("uncounted")).ended(
                "first", "finished", seconds=80.0, now=clock.now(), tier="small", precision="4bit"
            )
        text = page(client, "/times")
        assert "Too few for a chart: one of size small, " in text
        assert client.get("/charts/running.svg").status_code == 404


def test_what_is_counted_is_seen_at_once(site: Client, redis_client: redis.Redis) -> None:
    """An attempt that ends today, and one of yesterday noted late, show at once in the API and in their charts."""
    before = site.get("/api/times").json()["ended"]
    tags = [site.get(path).headers["etag"] for path in PICTURE]
    now, what = clock.now(), {"tier": "small", "precision": "4bit"}
    Timings(redis_client, KEYS).ended("late-1", "hub", now=now - 86_400, **what)
    Timings(redis_client, KEYS).ended("late-2", "finished", seconds=5.0, now=now, **what)
    after = site.get("/api/times").json()["ended"]
    assert after[-2]["failed"].get("hub", 0) == before[-2]["failed"].get("hub", 0) + 1
    assert after[-1]["finished"] == before[-1]["finished"] + 1
    changed = [site.get(path).headers["etag"] != tag for path, tag in zip(PICTURE, tags, strict=True)]
    assert dict(zip(PICTURES, changed, strict=True)) == {
        "waiting": False,
        "running": True,
        "ended": True,
        "queue": False,
    }


def compared(client: Client, model: str) -> ComparisonView:
    """Return the comparison of a model with others, from the API."""
    return ComparisonView.model_validate(client.get(f"/api/models/{quote(model)}").json()["compared"])


@pytest.mark.parametrize(
    ("model", "others"),
    [
        ("ada/leaf", [("base", "ada/seed", 30.0, 1), ("best", "chen/trunk", 60.0, 1), ("middle", "", 45.0, 4)]),
        ("CHEN/Trunk", [("best", "bob/branch", 50.0, 1), ("middle", "", 45.0, 4)]),
        ("bob/branch", [("best", "chen/trunk", 60.0, 1), ("middle", "", 45.0, 4)]),
        ("eve/flagged", [("best", "chen/trunk", 60.0, 1), ("middle", "", 45.0, 4)]),
    ],
)
def test_a_model_stands_beside_its_base_and_its_category(
    site: Client, model: str, others: list[tuple[str, str, float, int]]
) -> None:
    """Page, chart and JSON compare a model with its base and its category, without private and flagged models."""
    comparison = compared(site, model)
    assert [(other.what, other.model, other.average, other.among) for other in comparison.others] == others
    assert list(comparison.own.benchmarks) == list(BENCHMARKS)
    text = page(site, f"/models/{model}")
    addresses = pictures(text)
    assert len(addresses) == len(WIDTHS)
    words = [element.text or "" for element in svg(site, addresses[0]).iter() if element.tag.endswith("}text")]
    assert "Average" in words
    assert any("chat models" in text for text in words)
    table = re.findall(r"<caption>.*?</table>", text, re.DOTALL)[0]
    for _, name, average, _ in others:
        assert name in table
        assert f"<strong>{average:.2f}</strong>" in table


def test_a_hostile_name_is_a_name_on_page_and_picture(site: Client) -> None:
    """A hostile model name is plain text on the page, in the chart and in the JSON."""
    text = page(site, "/models/fay/blend")
    tags = Reader(text).tags
    assert [tag for tag, _ in tags if tag == "script"] == ["script"], "only the board's own script"
    assert [attributes["src"] for tag, attributes in tags if tag == "img" and attributes.get("src") == "x"] == []
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on") or name == "style"]
    (address, *_) = pictures(text)
    root = svg(site, address)
    assert not [
        element for element in root.iter() if str(element.tag).rpartition("}")[2] in ("script", "img", "image", "a")
    ]
    assert any("<script>" in (element.text or "") for element in root.iter())
    assert compared(site, "fay/blend").others[0].model == HOSTILE


def test_looking_costs_few_round_trips(
    site: Client, valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first read of times costs two round trips, each later one one; a comparison two, and two more for a base."""
    assert site.get("/healthz").status_code == 200
    (tmp_path / "board.yaml").write_text(BOARD.replace("name: demo", f"name: {KEYS.board}"))
    settings = BotSettings(redis_url=valkey.url, board=tmp_path / "board.yaml", webhook_secret=SECRET)
    views, sent = BoardReader(read_only_context(settings, settings.read_board())), list[Any]()
    views.table.rows()
    send = AbstractConnection.send_packed_command
    monkeypatch.setattr(
        AbstractConnection,
        "send_packed_command",
        lambda self, command, *rest, **more: (sent.append(command), send(self, command, *rest, **more))[1],
    )

    def trips(*looks: Any) -> list[int]:
        counts = []
        for look in looks:
            sent.clear()
            look()
            counts.append(len(sent))
        return counts

    lengths = (90, 90, 7)
    assert trips(*(lambda length=length: views.times.times(length) for length in lengths)) == [2, 1, 1]
    assert trips(*(lambda name=name: views.times.picture(name, 30, 360) for name in PICTURES)) == [1] * 4
    table = trips(views.table.rows)[0]

    def compared(model: str) -> ComparisonView | None:
        return views.comparing.compared(views.public_entries(model))

    assert trips(lambda: compared("chen/trunk"), lambda: compared("ada/leaf")) == [table + 2, table + 4]
    views.context.redis.close()


TARGETS = st.one_of(
    st.sampled_from(["/times", "/api/times", *PICTURE, "/charts/models/ada/leaf", "/models/fay/blend"]),
    st.tuples(st.sampled_from(["/charts/", "/charts/models/", "/times/"]), st.text(max_size=40)).map("".join),
)
WORDS = st.one_of(
    st.text(max_size=40),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["7", "30", "90", "360", "1080", "", "0", "-7", "²", "7.0", "1e1", "\x00", HOSTILE, "9" * 4_500]),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(TARGETS, st.lists(st.tuples(st.sampled_from(["days", "width", "name", "x"]), WORDS), max_size=4))
@example("/charts/waiting.svg", [("width", "1000000000"), ("days", "7")])
@example("/charts/models/\ud800", [])
@example("/charts/%2e%2e/%2e%2e/etc/passwd.svg", [])
@example("/api/times", [("days", "٣")])
def test_no_question_breaks_a_chart(site: Client, path: str, params: list[tuple[str, str]]) -> None:
    """No path and no query string leads to a server error, a large answer or an unknown type of content."""
    query = urlencode([(name, word.encode("utf-8", "replace")) for name, word in params])
    target = f"{quote(path.encode('utf-8', 'replace'))}?{query}"
    answer = site.get(httpx2.URL(site.base_url, raw_path=target.encode()))
    assert answer.status_code < 500, answer.text
    assert len(answer.content) < 100_000
    kind = answer.headers.get("content-type", "").partition(";")[0]
    assert kind in ("text/html", "application/json", "image/svg+xml", "")
    if kind == "image/svg+xml":
        assert answer.headers["content-security-policy"] == POLICY
        ElementTree.fromstring(answer.content)  # noqa: S314  our own
