"""The pages show what they should of a board, have safe headers, suit screen readers, and link to their JSON."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from bot.core.settings import BotSettings
from bot.threads.faq import faq_entries
from bot.web import site as site_module
from bot.web.pages.flags import FlagsResponse
from leaderboard.attempts import Failure
from leaderboard.categories import ModelCategory
from redis_state.board.index import Index
from redis_state.board.scoreboard import Scoreboard
from redis_state.clock import iso
from steward.valkey import Valkey
from tests.support.board.page_client import PAGES, Client, Reader, page, serving
from tests.support.board.seeded_board import KEYS, REASONS, entry, fill_board, path_of, score

PAGES_AND_JSON = [
    page_and_json for page_and_json in site_module.PAGES if page_and_json.api_path and page_and_json.template
]


@pytest.fixture(scope="module")
def site(
    lasting_valkey: Valkey, lasting_redis: redis.Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A board with requests, results, workers and a flag."""
    fill_board(lasting_redis, KEYS)
    yield from serving(lasting_valkey, tmp_path_factory.mktemp("site"), KEYS.board)


def test_the_queue_shows_everybody_and_why_things_failed(site: Client) -> None:
    """The page lists running requests with progress, waiting ones with position, held and failed ones with reasons."""
    text = page(site, "/queue")
    for word in ("412 of 540", "Its licence is not clear.", REASONS[0].message, REASONS[0].advice, "cedar-7b"):
        assert word.replace("'", "&#39;") in text
    assert re.search(r"<progress[^>]*north/spruce-3b[^>]*max=\"540\" value=\"412\"", text)
    assert '31 of 540</span><span class="quiet" data-replayed>, 20 of them computed before</span>' in text
    assert text.count("computed before") == 1, "also shown for an evaluation that repeats no answers"
    assert re.findall(r'data-name="Position">(\d+)', text) == [str(turn) for turn in range(1, 9)]


def test_a_request_that_waits_for_its_retry_says_when_it_is(site: Client, lasting_redis: redis.Redis) -> None:
    """The page and the queue show the time of a retry; the request counts as waiting, and not as being checked."""
    index, again = Index(lasting_redis, KEYS), time.time() + 900
    failure = Failure(cause="disk-full", fault="us", message="The disk is full.")
    waiting = entry("bob/retried", "new", "RERUN", failure=failure).changed(again=again)
    index.put(waiting)
    try:
        retry = f'It will be retried at <time datetime="{iso(again)}">'
        text = page(site, f"/requests/{waiting.path}")
        assert retry in text and "Why its last attempt failed" in text and "being checked" not in text
        assert retry in page(site, "/queue")
        assert "bob/retried" in page(site, "/requests", state="waiting")
    finally:
        index.drop(waiting.path)


def test_a_request_tells_its_life(site: Client) -> None:
    """A request's page shows earlier attempts and whose fault a failure is, and links to thread and results."""
    text = page(site, f"/requests/{path_of('bob/overtrained-2b')}")
    assert "Attempt 1 failed: <code>worker-lost</code>" in text
    assert "The problem is in the submission." in text
    assert "/datasets/board/requests/discussions/7" in text
    assert re.search(r'Write <a href="/commands#resubmit">.*discussions/7">its thread</a>', text)
    text = page(site, f"/requests/{path_of('north/birch-70b')}")
    for address in ("results/blob/main/north/birch-70b/results_", "details/details_north__birch-70b"):
        assert address in text, address


def test_pages_say_what_an_interrupted_attempt_had_computed(site: Client) -> None:
    """Pages and JSON show how many answers an interrupted attempt had computed, during and after the next attempt."""
    running, ended = path_of("chen/maple-1b"), path_of("north/birch-70b")
    for path in (f"/requests/{running}", "/workers"):
        assert "20 of them computed before" in page(site, path)
    assert site.get(f"/api/requests/{running}").json()["progress"]["replayed"] == 20
    queue = site.get("/api/queue").json()["running"]
    assert sorted(request["replayed"] for request in queue) == [0, 20]
    assert "1,204 of its answers had been computed before" in page(site, f"/requests/{ended}")
    assert site.get(f"/api/history/{ended}").json()["replayed"] == 1_204


def test_pages_of_gated_models_lead_to_what_is_public(site: Client, lasting_redis: redis.Redis) -> None:
    """Pages of gated models link to the request file, which has the reason, and not to questions and answers."""
    index, scores = Index(lasting_redis, KEYS), Scoreboard(lasting_redis, KEYS)
    results = "bob/gated/results_2026-11-24T10-00-00.json"
    gated = entry("bob/gated", "settled", "FINISHED", access="gated", results=results)
    failed = entry("bob/failed", "settled", "FAILED", access="gated", failure=REASONS[0])
    score(scores, gated, 20.0, "chat")
    index.put(gated, failed)
    try:
        text = page(site, "/compare", pin=[gated.path, path_of("north/birch-70b"), path_of("01-ai/Yi-34B")])
        assert text.count(">Remove</a>") == 3
        assert re.findall(r'href="/details/([^"]+)"', text) == [path_of("north/birch-70b"), path_of("01-ai/Yi-34B")]
        text = page(site, "/compare", pin=[gated.path, path_of("north/birch-70b")])
        assert "/compare/questions" not in text
        file = rf'<a href="[^"]+/board/requests/blob/main/{re.escape(failed.path)}">Its request file</a> says why.'
        for address in (f"/requests/{failed.path}", "/requests", "/queue"):
            assert re.search(file, page(site, address)), address
    finally:
        index.drop(gated.path)
        index.drop(failed.path)


def test_a_model_shows_its_flag_scores_and_requests(site: Client) -> None:
    """A model's page shows its flag, scores and requests, for any case of letters in the address."""
    text = page(site, "/models/ADA/Willow-1.5b-Merge")
    for word in ("Half of its answers", "Discussion of the flag", "47.90", "finished", "no better than guessing"):
        assert word in text
    assert site.get("/models/no/body").status_code == 404


def test_lists_say_what_they_mean_and_what_to_do(site: Client, tmp_path: Path, lasting_valkey: Valkey) -> None:
    """Pages say what a score means and how to report a model; an empty list says that it is empty."""
    assert "no better than guessing, to 100" in page(site, "/")
    assert re.search(r'report a model, write <a href="/commands#flag">', page(site, "/flags"))
    assert "No request is in this state" in page(site, "/requests", state="cancelled")
    with contextmanager(serving)(lasting_valkey, tmp_path, "empty") as empty:
        assert "No model has been submitted yet." in page(empty, "/requests")


def test_about_answers_every_question_of_the_faq(site: Client) -> None:
    """`/about` has every question of the FAQ with an answer, every rule, and the accepted sizes by precision."""
    text = page(site, "/about")
    asked = {name: faq_entry.question for name, faq_entry in faq_entries().items() if faq_entry.question}
    answers = re.findall(r'<details id="question-([^"]+)"><summary>([^<]+)</summary>\s*<p>\w', text)
    assert {name: html.unescape(question) for name, question in answers} == asked
    assert "1,120 billion parameters" in text
    sections = html.unescape(text)
    assert 'id="categories"' in sections
    assert [rule["title"] for rule in site.get("/api/about").json()["rules"] if rule["title"] not in sections] == []


def test_the_filter_of_types_explains_each(site: Client) -> None:
    """The leaderboard's filter shows the explanation of each type of model."""
    text = html.unescape(page(site, "/"))
    assert [category for category in ModelCategory if category.explanation not in text] == []


def test_every_page_leads_to_where_people_write(site: Client) -> None:
    """Every page, also one with status 404, links to the board's discussions, and the text of `/commands` does too."""
    link = re.compile(r'<a href="http[^"]+/spaces/board/space/discussions">([^<]+)</a>')
    for path in (*PAGES, "/models/none", "/nowhere"):
        assert "Write in the discussions" in link.findall(site.get(path, headers={"accept": "text/html"}).text), path
    assert any(words.startswith("any discussion of") for words in link.findall(page(site, "/commands")))


def test_browsers_are_told_to_trust_nothing_else(site: Client) -> None:
    """Pages have a strict policy, no frames and no foreign files; only static files of this version are cached."""
    for path in (*PAGES, "/models/none", f"/requests/{path_of('ada/oak-13b')}"):
        answer = site.get(path)
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src", "form-action")} == {
            "'self'"
        }
        assert (policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'")
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        for tag, attributes in Reader(answer.text).tags:
            for name in ("src", "href", "action"):
                if tag in ("script", "link", "img", "form") and name in attributes:
                    assert (attributes[name] or "").startswith("/"), (path, tag, attributes)
    (address,) = re.findall(r'src="(/static/board.js[^"]+)"', site.get("/").text)
    assert "immutable" in site.get(address).headers["cache-control"]
    for other in ("", "?0123456789ab"):  # as a page of another version requests it during an update
        assert site.get(address.partition("?")[0] + other).headers["cache-control"] == "no-store"
    assert site.get("/static/..%2fapi.py").status_code == 404


def test_an_operator_may_let_the_hub_frame_the_pages(tmp_path: Path) -> None:
    """`frame_ancestors` lets the named origin show the pages in a frame, and accepts no other text for the policy."""
    from bot.web.frame import headers

    assert "frame-ancestors https://huggingface.co" in headers("https://huggingface.co")["content-security-policy"]
    assert "x-frame-options" not in headers("https://huggingface.co")
    with pytest.raises(ValueError, match="frame_ancestors"):
        BotSettings(redis_url="redis://x", frame_ancestors="*; script-src *")


def test_pages_can_be_used_with_a_screen_reader(site: Client) -> None:
    """Each page has one first-level heading, a language, a skip link, labels, table headers and unique ids."""
    for path in (*PAGES, f"/requests/{path_of('north/spruce-3b')}", "/models/ada/willow-1.5b-merge"):
        text = page(site, path)
        tags = Reader(text).tags
        assert [tag for tag, _ in tags].count("h1") == 1, path
        assert ("html", {"lang": "en"}) in tags
        assert 'href="#content"' in text
        labelled = {attributes.get("for") for tag, attributes in tags if tag == "label"}
        for tag, attributes in tags:
            if tag in ("select", "input") and attributes.get("type") not in ("hidden", "checkbox"):
                assert attributes.get("id") in labelled or attributes.get("aria-label"), (path, attributes)
            if tag == "progress":
                assert attributes.get("aria-label")
            if tag == "th":
                assert attributes.get("scope") in ("row", "col")
            assert attributes.get("tabindex", "0") in ("0", "-1")
        ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
        assert len(ids) == len(set(ids)), path


def test_a_page_that_is_known_is_not_sent_again(site: Client) -> None:
    """A request with the ETag of a page gets status 304."""
    for path in PAGES:
        tag = site.get(path).headers["etag"]
        assert site.get(path, headers={"if-none-match": tag}).status_code == 304


def test_every_page_links_to_its_json(site: Client) -> None:
    """Each page that has JSON names its address, which answers and is described in OpenAPI."""
    described = site.get("/openapi.json").json()["paths"]
    for page_and_json in PAGES_AND_JSON:
        path, name = path_of("north/spruce-3b"), "ada/willow-1.5b-merge"
        address = page_and_json.api_path.replace("{path:path}", path).replace("{name:path}", name)
        text = page(site, page_and_json.path.replace("{path:path}", path).replace("{name:path}", name))
        assert re.search(rf'<a href="{re.escape(address)}[?"]', text), address
        assert site.get(address).status_code == 200
        assert described[page_and_json.api_path.replace(":path", "")]["get"]["summary"] == page_and_json.summary


def test_the_twin_of_every_page_says_the_same(site: Client) -> None:
    """Flags, workers, history and scores of the pages are in their JSON, too."""
    flags = FlagsResponse.model_validate(site.get("/api/flags").json()).flags
    assert [(record.model, record.stands, record.decisions[0].by) for record in flags] == [
        ("ada/willow-1.5b-merge", True, "maya")
    ]
    workers = site.get("/api/workers").json()["workers"]
    assert [worker["request"]["model"] if worker["request"] else None for worker in workers] == [
        "north/spruce-3b",
        "chen/maple-1b",
        None,
    ]
    history = site.get(f"/api/history/{path_of('bob/overtrained-2b')}").json()
    assert [event["kind"] for event in history["past"]] == ["failed", "relaunched"]
    assert site.get("/api/models/ada/willow-1.5b-merge").json()["results"][0]["average"] == 47.9
    for path in ("/api/history/none", "/api/models/none"):
        assert site.get(path).status_code == 404
