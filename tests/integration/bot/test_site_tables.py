"""The leaderboard and the list of requests find and sort rows, hide flagged ones, and follow what the syncs write."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import yaml

from bot.web.rows import RequestRows
from bot.web.table import RequestTable
from leaderboard.flags import FlagDecision
from leaderboard.suites import find_suite
from redis_state.board.index import Index
from redis_state.board.scoreboard import EvaluationScores, Scoreboard
from redis_state.keys import Keys
from steward.valkey import Valkey
from tests.support.board.page_client import Client, page, serving
from tests.support.board.seeded_board import KEYS, entry, fill_board, flag, path_of, put_flags


@pytest.fixture(scope="module")
def site(
    lasting_valkey: Valkey, lasting_redis: redis.Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A board with requests, results, workers and a flag."""
    fill_board(lasting_redis, KEYS)
    yield from serving(lasting_valkey, tmp_path_factory.mktemp("site"), KEYS.board)


@pytest.mark.parametrize(
    ("query", "models"),
    [
        ({"q": "yi-34b"}, ["01-ai/Yi-34B"]),
        ({"q": "YI-34B;cedar"}, ["01-ai/Yi-34B", "tiny-lab/cedar-7b", "tiny-lab/cedar-7b-base"]),
        ({"q": "Hub License: cc-by-sa-4.0"}, ["chen/juniper-0.5b"]),
        ({"q": "Hub License: apache-2.0; cedar", "category": "chat"}, ["tiny-lab/cedar-7b"]),
        (
            {"q": "Average: >= 60", "sort": "model", "rising": "1"},
            ["mistral-like/mixtral-8x7b-v0.1", "north/birch-70b"],
        ),
        ({"q": "willow"}, []),
        ({"q": "willow", "flagged": "1"}, ["ada/willow-1.5b-merge"]),
        ({"q": "Flagged: yes"}, ["ada/willow-1.5b-merge"]),
        ({"precision": "bfloat16", "category": "merge", "flagged": "1"}, ["ada/willow-1.5b-merge"]),
        ({"q": ".*"}, []),
    ],
)
def test_results_are_found_and_sorted(site: Client, query: dict[str, str], models: list[str]) -> None:
    """Page and API return the same models for each form of search, filter and order."""
    params = {name: "true" if value == "1" else value for name, value in query.items()}
    answer = site.get("/api/results", params=params)
    assert [result["model"] for result in answer.json()["results"]] == models
    moved = site.get("/results", params=query, follow_redirects=True)
    assert rows_of(moved.text) == models
    assert moved.history[0].status_code == 308, "the former address is not redirected"
    shown = site.get("/api/leaderboard", params={**params, "type": params.get("category", ())}).json()
    assert [row["model"] for row in shown["rows"]] == models


def rows_of(text: str) -> list[str]:
    """Return the models in the rows of a leaderboard."""
    return re.findall(r'<th scope="row" class="model">.*?</span> <a href="/models/([^"]+)"', text)


def test_what_finds_nothing_says_so_and_what_is_near(site: Client) -> None:
    """After a search with a misspelt name or column, or without a valid number, the page says what may be meant."""
    assert "mistral-like/mixtral-8x7b-v0.1</a>" in page(site, "/requests", q="mixtral-8x7b-v0.2")
    assert "Did you mean <strong>Hub License</strong>" in page(site, "/", q="Licens: mit")
    assert "needs a number" in page(site, "/", q="Average: much")


@pytest.mark.parametrize(
    ("query", "words", "address"),
    [
        ({"q": "willow"}, "1 evaluation matches, but is hidden", "/?q=willow&amp;flagged=1&amp;deleted=1"),
        (
            {"q": "Yi-34B; cedar", "type": "merge"},
            "3 evaluations match",
            "/?q=Yi-34B%3B+cedar&amp;flagged=1&amp;deleted=1",
        ),
        ({"q": "bob/ash-9b"}, "One request without scores here matches", "/requests?q=bob%2Fash-9b"),
        ({"q": "sapling; oak"}, "9 requests without scores here match", "/requests?q=sapling%3B+oak"),
    ],
)
def test_what_is_here_and_hidden_is_not_said_to_be_missing(
    site: Client, query: dict[str, str | list[str]], words: str, address: str
) -> None:
    """A search links to matching rows that are hidden, or to matching requests, and does not ask the Hub."""
    text = page(site, "/", **query)
    assert words in text
    assert f'<a href="{address}">' in text
    assert "Did you mean" not in text
    assert "data-ask-hub" not in text
    assert site.get("/api/leaderboard", params=query).json()["searched"]["near"] == []


def test_requests_in_other_states_are_named(site: Client) -> None:
    """A search in one state links to a match in another state, and suggests no other spelling."""
    text = page(site, "/requests", q="sapling-0b", state="failed")
    assert "In other states there is one request" in text
    assert '<a href="/requests?q=sapling-0b">show it</a>' in text
    assert "Did you mean" not in text


@pytest.mark.parametrize("address", ["https://huggingface.co/Some/New-Model", "https://hf.co/Some/New-Model/tree/main"])
def test_a_pasted_address_is_asked_for_by_its_name(site: Client, address: str) -> None:
    """After a search for a model's address, the page asks the Hub for the name of the model."""
    assert 'data-ask-hub="Some/New-Model"' in page(site, "/", q=address)
    assert "data-ask-hub" not in page(site, "/", q="Some/New-Model; Hub License: mit")


def test_pins_without_a_script_are_counted_once(site: Client) -> None:
    """Without JavaScript a form sends a pinned row twice: it counts as one pin, and its box stays ticked."""
    first, second, third, fourth = (
        path_of(model) for model in ("north/birch-70b", "01-ai/Yi-34B", "chen/juniper-0.5b", "tiny-lab/cedar-7b")
    )
    pins = [first, second, third, first, second, third, fourth]
    text = page(site, "/", pin=pins)
    assert re.findall(r'name="pin" value="([^"]+)"[^>]* checked', text) == [first, second, third, fourth]
    answer = site.get("/api/leaderboard", params={"pin": pins}).json()
    assert [row["id"] for row in answer["pinned"]] == [first, second, third, fourth]
    assert page(site, "/compare", pin=pins).count(">Remove</a>") == 4


def test_every_column_of_the_largest_suite_can_be_chosen(
    lasting_valkey: Valkey, lasting_redis: redis.Redis, tmp_path: Path
) -> None:
    """With fifty benchmarks any choice of columns is accepted, and the average is that of the chosen ones."""
    suite, names = find_suite("starter"), [f"Benchmark {number}" for number in range(50)]
    benchmarks = tuple(suite.benchmarks[0].model_copy(update={"name": name}) for name in names)
    wide = suite.model_copy(update={"benchmarks": benchmarks}).model_dump(mode="json")
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(wide))
    keys, finished = Keys("fifty"), entry("ada/wide", "settled", "FINISHED")
    Index(lasting_redis, keys).put(finished)
    each = {name: float(number) for number, name in enumerate(names)}
    scored = EvaluationScores(suite="s", path=finished.path, model="ada/wide", average=24.5, benchmarks=each)
    Scoreboard(lasting_redis, keys).put(scored)
    for client in serving(lasting_valkey, tmp_path, keys.board, tmp_path / "suite.yaml"):
        columns = [column["key"] for column in client.get("/api/leaderboard").json()["columns"]]
        assert len(columns) > 70
        chosen = [key for key in columns if key != names[0]]
        answer = client.get("/api/leaderboard", params={"column": chosen})
        assert (answer.status_code, answer.json()["rows"][0]["average"]) == (200, 25.0)
        assert client.get("/api/leaderboard", params={"column": columns}).json()["rows"][0]["average"] == 24.5
        assert "Average of 49<" in page(client, "/", column=[*chosen, *chosen])
        assert "Average of" not in page(client, "/", column=columns)


def test_flagged_rows_are_hidden_and_told_of(site: Client) -> None:
    """The leaderboard hides flagged rows, and says how many it hides."""
    text = page(site, "/")
    assert "willow" not in text
    assert "1 flagged one is hidden" in text


def test_the_table_follows_what_the_syncs_write(site: Client, lasting_redis: redis.Redis) -> None:
    """The pages follow a request that is added, changed, made private and removed, and a flag that is lifted."""
    index = Index(lasting_redis, KEYS)

    def found() -> list[str]:
        return [request["state"] for request in site.get("/api/search", params={"q": "late/comer"}).json()["requests"]]

    assert found() == []
    index.put(entry("late/comer", "waiting", "PENDING", attempt="z", number=300))
    assert found() == ["waiting"]
    index.put(entry("late/comer", "settled", "FINISHED", number=300))
    assert found() == ["finished"]
    index.put(entry("late/comer", "settled", "FINISHED", number=300, access="private"))
    assert found() == []
    index.drop(path_of("late/comer"))
    assert found() == []
    stands = flag("ada/willow-1.5b-merge")
    lifted = stands.lifted_by(FlagDecision(what="lifted", at="", by="mia", reason="It is <fair>."))
    put_flags(lasting_redis, KEYS, lifted, flag("no/body"))
    assert "willow" in page(site, "/")
    assert "by mia: It is &lt;fair&gt;.</p>" in page(site, "/flags")
    put_flags(lasting_redis, KEYS, stands)
    assert "willow" not in page(site, "/")


def test_the_table_is_read_before_anybody_looks(
    lasting_valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server sorts its table at its start, because with 100,000 rows the first visitor would wait for it."""
    read, rows = threading.Event(), RequestTable.rows

    def noted(table: RequestTable) -> RequestRows:
        read_rows = rows(table)
        read.set()
        return read_rows

    monkeypatch.setattr(RequestTable, "rows", noted)
    for _ in serving(lasting_valkey, tmp_path, KEYS.board):
        assert read.wait(20)


def test_after_an_amnesia_the_table_is_read_anew(
    lasting_valkey: Valkey, lasting_redis: redis.Redis, tmp_path: Path
) -> None:
    """After Redis loses its data, the pages show only the requests that the bot has written since."""
    keys = Keys("amnesia")
    Index(lasting_redis, keys).put(entry("old/one", "settled", "FINISHED"))
    for client in serving(lasting_valkey, tmp_path, keys.board):
        assert "old/one" in page(client, "/requests")
        lasting_redis.delete(*lasting_redis.keys("steward:1:amnesia:*"))
        Index(lasting_redis, keys).put(entry("new/one", "settled", "FINISHED"))
        assert "new/one" in page(client, "/requests")
        assert "old/one" not in page(client, "/requests")
