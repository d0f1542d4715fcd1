"""The static Space in headless Chromium, from a plain file server: it finds, filters and ranks as the bot does."""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from bot.web.board import BoardReader
from bot.web.leaderboard_columns import standard_columns
from bot.web.leaderboard_rows import LeaderboardRows
from bot.web.leaderboard_view import LeaderboardQuery, row_views
from bot.web.pages.leaderboard import fields_of
from bot.web.request_row import RequestRow
from bot.web.snapshot import VERSION, search_columns, snapshot_rows
from bot.web.space import space_files
from leaderboard.boards import parse_board
from leaderboard.categories import ModelCategory
from leaderboard.search import fold, parse
from leaderboard.submission_kinds import MODELS_ALONE
from leaderboard.suites import find_suite
from tests.support.board.predictions import suite_at
from tests.unit.bot.test_leaderboard_rows import FLAGS, line

pytestmark = pytest.mark.browser
OTHER_LOOKS: list[tuple[Literal["light", "dark"], int]] = [("light", 1200), ("light", 360), ("dark", 1200)]
FIELDS = """
name: fresh
title: Fresh <board>
suite: starter
effects: shadow
repos: {requests: fresh/requests, results: fresh/results, logs: fresh/logs, community: fresh/board,
        contents: fresh/contents, details_namespace: fresh-details}
"""
BOARD = parse_board(FIELDS)
NAMES = ("IFEval", "BBH", "GPQA")
"""The benchmarks of the random rows; the page takes its columns from the snapshot."""


def with_organisation(row: RequestRow) -> RequestRow:
    """Return the row with its organisation, which the bot reads from the path of a request."""
    return replace(row, values={**row.values, "organisation": row.model.partition("/")[0]})


LINES = sorted(
    (with_organisation(line(number, random.Random(number))) for number in range(300)),
    key=lambda row: (-(row.average or 0.0), row.folded, row.path),
)
ROWS = LeaderboardRows(LINES, FLAGS, NAMES)
QUERIES = [
    LeaderboardQuery(),
    LeaderboardQuery(flagged=True, deleted=True),
    LeaderboardQuery(type=[ModelCategory.CHAT, ModelCategory.MERGE], precision=["4bit", "float16"]),
    LeaderboardQuery(smallest=3.0, largest=7.0),
    LeaderboardQuery(merges=False, moe=False, official=True),
    LeaderboardQuery(per="model", sort="BBH"),
    LeaderboardQuery(column=["model", "IFEval", "GPQA"], sort="model", rising=True),
    LeaderboardQuery(raw=True, sort="likes"),
    LeaderboardQuery(raw=True, column=["BBH"], sort="BBH", rising=True),
    LeaderboardQuery(sort="rank"),
    LeaderboardQuery(sort="rank", rising=True, per="model"),
    LeaderboardQuery(sort="licence", flagged=True),
    LeaderboardQuery(sort="parameters", rising=True),
    LeaderboardQuery(sort="moe"),
    LeaderboardQuery(sort="submitted"),
    *(
        LeaderboardQuery(q=q)
        for q in (
            "model-1",
            "MODEL-1; model-2",
            "model-1; Hub License: mit",
            "hub licence: APACHE",
            "licence: apache-2.0; precision: 4bit",
            "licence: apa",
            "Average: >= 20; #Params: 7",
            "average: 10..20",
            "average: 20 to 10",
            "score: 5-9",
            "params: < 3b",
            "#Params (B): 0.5",
            "average: ≥ 25",
            "average: = 12",
            "average: 12%",
            "flagged: yes",
            "flagged: no",
            "flagged: perhaps",
            "org: org-3",
            "sha: 0000000000000000000000000000000000000001",
            "Model sha: 0000000",
            "Model sha: 000000",
            "type: merge",
            "architecture: llamaforcausallm",
            "nonsense: 1",
            "average: many",
            "type:",
            "https://huggingface.co/org-1/model-3",
            "huggingface.co/models/org-1/model-3; precision: bfloat16",
            "'model-5'",
            ' "MoDeL－７" ',
            "MODÉL-1",
            "Average： ＞= 20",
            ";;",
            "a;" * 31,
            "x" * 1_001,
            "",
        )
    ),
]
TEXTS = [
    *("Straße", "ΟΔΟΣ", "ﬁne", "e\u0301", "İstanbul", "A\u200bB", "x\u00a0 y\t z", "\uff46\uff55\uff4c\uff4c\uff0d"),
    *("Ⅷ", "½", "…", "\u2013\u2014\u2212", "日本", "ガ", "🤗 x", "\x00a\x1fb", "A\u030aÅ"),
    *(chr(code) for code in range(0x20, 0x590)),
]


def snapshot(hub: str) -> dict[str, Any]:
    """Return the snapshot of the random rows."""
    return {
        "version": VERSION,
        "title": BOARD.title,
        "links": {"hub": hub, "discussions": "", "table": ""},
        "columns": [column.model_dump() for column in standard_columns(NAMES, ranges=True)],
        "search": search_columns(),
        "rows": snapshot_rows(ROWS, {row.path for row in LINES}),
    }


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the Space's page on a server that knows only files; no bot runs."""
    folder = tmp_path_factory.mktemp("space")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    hub = f"http://127.0.0.1:{server.server_address[1]}"
    place = folder / "datasets/fresh/contents/resolve/main/leaderboard.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(snapshot(hub)), "utf-8")
    for site, name in (("", "space"), ("https://bot.example.org", "linked")):
        (folder / name).mkdir()
        for path, data in space_files(BOARD, find_suite(BOARD.suite), hub, site).items():
            (folder / name / path).write_bytes(data)
    predictions, suite = parse_board(f"precisions: [predictions]\n{FIELDS}"), suite_at("a" * 40)
    for name, files in {
        "empty": space_files(BOARD, find_suite(BOARD.suite), f"{hub}/no", ""),
        "predictions": space_files(predictions, suite, hub, "https://bot.example.org"),
        "no-predictions": space_files(predictions, suite, f"{hub}/no", ""),
    }.items():
        (folder / name).mkdir()
        for path, data in files.items():
            (folder / name / path).write_bytes(data)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tab(browser: Browser, address: str) -> Iterator[Page]:
    """A new tab on the Space; the browser reports no error."""
    context = browser.new_context()
    page = context.new_page()
    errors = list[str]()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}/space/index.html")
    expect(page.locator("#rows tr.space")).to_have_count(2)
    yield page
    context.close()
    assert errors == []


def test_the_script_selects_as_the_server_does(tab: Page, address: str) -> None:
    """Every query gives the same rows in the same order, with the same ranks, scores and misread terms."""
    context, table = SimpleNamespace(takes=MODELS_ALONE), SimpleNamespace(leaderboard=lambda: ROWS)
    reader = cast(BoardReader, SimpleNamespace(columns=NAMES, table=table, context=context))
    expected = []
    for query in QUERIES:
        parsed = parse(query.q)
        selected = ROWS.select(query.selection(reader), parsed)
        views = [view.model_dump(mode="json") for view in row_views(ROWS, selected, selected.order.tolist())]
        expected.append(
            {
                "rows": [{name: view[name] for name in ("id", "rank", "average", "scores", "model")} for view in views],
                "flagged": selected.flagged,
                "misread": [[term.said, term.why] for term in parsed.misread],
            }
        )
    answers = tab.evaluate(
        """async ([module, address, queries]) => {
            const { SnapshotSource } = await import(module);
            const source = new SnapshotSource(address, "", null);
            const answers = [];
            for (const fields of queries) {
                const { rows, flagged, searched } = await source.read(new URLSearchParams(fields), 0, 1000);
                answers.push({
                    rows: rows.map(({ id, rank, average, scores, model }) => ({ id, rank, average, scores, model })),
                    flagged, misread: searched.misread.map(({ said, why }) => [said, why]),
                });
            }
            return answers;
        }""",
        [
            f"{address}/space/snapshot.js",
            f"{address}/datasets/fresh/contents/resolve/main/leaderboard.json",
            [fields_of(query) for query in QUERIES],
        ],
    )
    for query, answer, other in zip(QUERIES, answers, expected, strict=True):
        assert [row["id"] for row in answer["rows"]] == [row["id"] for row in other["rows"]], query
        assert answer == other, query
    assert sum(bool(answer["rows"]) for answer in expected) > 25


def test_the_script_folds_as_the_server_does(tab: Page, address: str) -> None:
    """The script normalises case, accents, width, dashes, spaces and invisible characters as the server does."""
    folded_texts = tab.evaluate(
        "async ([module, texts]) => { const { fold } = await import(module); return texts.map(fold); }",
        [f"{address}/space/snapshot.js", TEXTS],
    )
    differing = [
        (text, folded, fold(text)) for text, folded in zip(TEXTS, folded_texts, strict=True) if folded != fold(text)
    ]
    assert differing == []


def test_a_reader_finds_filters_sorts_and_pins(tab: Page, browser: Browser) -> None:
    """A reader searches, filters, sorts and pins without a reload; the new address shows others the same view."""
    tab.locator("#q").fill("model-1; Hub License: mit")
    expect(tab).to_have_url(re.compile(r"/space/index\.html\?q=model-1"))
    expect(tab.locator("#count")).not_to_contain_text("300 of 300")
    tab.get_by_role("columnheader", name="GPQA").get_by_role("link").click()
    expect(tab.get_by_role("columnheader", name="GPQA")).to_have_attribute("aria-sort", "descending")
    tab.get_by_text("Filters", exact=True).click()
    tab.locator("[name=precision][value=bfloat16]").check()
    expect(tab).to_have_url(re.compile("precision=bfloat16"))
    first = tab.locator("#rows th.model a").first.inner_text()
    tab.locator("#rows").get_by_label(f"Pin {first} to compare").first.check()
    expect(tab.locator("#pinned").get_by_role("link", name=first)).to_have_attribute("href", re.compile(f"/{first}$"))
    expect(tab.get_by_role("link", name="Compare the pinned models")).to_have_count(0)
    names = tab.locator("#rows th.model a").all_inner_texts()
    with browser.new_context() as other:
        page = other.new_page()
        page.goto(tab.url)
        expect(page.locator("#pinned tr")).to_have_count(1)
        assert page.locator("#rows th.model a").all_inner_texts() == names
        assert page.locator("[name=precision][value=bfloat16]").is_checked()
    tab.get_by_role("link", name="Unpin all").click()
    expect(tab.locator("#pinned tr")).to_have_count(0)
    tab.get_by_role("link", name="For consumers").click()
    expect(tab).to_have_url(re.compile("smallest=3"))
    tab.locator("#q").fill("nonsense: 1")
    expect(tab.locator("#outcome")).to_contain_text("There is no column for “nonsense: 1”")
    tab.locator("#q").fill("org-1/modle-11")
    expect(tab.locator("#outcome").get_by_role("link", name="org-1/model-11")).to_be_visible()
    tab.get_by_role("link", name="Reset").click()
    expect(tab.locator("#q")).to_have_value("")
    expect(tab.get_by_role("navigation").get_by_role("link", name="Discussions")).to_be_visible()


def test_what_is_hidden_is_not_said_to_be_missing(tab: Page, address: str) -> None:
    """A link shows the rows that a filter hides; the pasted address of an unknown model leads to its submission."""
    tab.goto(f"{address}/linked/index.html?q=org-1/model-1&smallest=1000")
    outcome = tab.locator("#outcome")
    expect(outcome).to_contain_text(re.compile(r"\d+ evaluations match, but are hidden by a filter"))
    expect(outcome).not_to_contain_text("Did you mean")
    assert outcome.get_by_role("link", name="submit it").count() == 0
    outcome.get_by_role("link", name="show them").click()
    expect(tab.locator("#rows th.model a").first).to_contain_text("org-1/model-1")
    tab.locator("#q").fill("https://huggingface.co/Some/New-Model")
    expect(outcome.get_by_role("link", name="submit it")).to_have_attribute(
        "href", "https://bot.example.org/submit?model=Some%2FNew-Model"
    )


def test_pins_stay_while_a_reader_sorts_and_includes_flagged_rows(tab: Page) -> None:
    """Sorting and including flagged rows keep all pins, also that of a row pinned just before."""
    boxes = tab.locator("#rows [name=pin]")
    ids = [boxes.nth(at).get_attribute("value") for at in (0, 1)]
    for at in (0, 1):
        boxes.nth(at).check()
    tab.get_by_role("columnheader", name="GPQA").get_by_role("link").click()
    expect(tab.get_by_role("columnheader", name="GPQA")).to_have_attribute("aria-sort", "descending")
    expect(tab.locator("#pinned tr")).to_have_count(2)
    third = tab.locator("#rows [name=pin]:not(:checked)").first.get_attribute("value")
    tab.locator(f"#rows [name=pin][value='{third}']").check()
    tab.locator("#count").get_by_role("link", name="include").click()
    expect(tab).to_have_url(re.compile("flagged=1"))
    assert re.findall("pin=([^&]+)", tab.url) == [*ids, third]
    expect(tab.locator("#pinned tr")).to_have_count(3)


def test_ranges_of_ranks_are_explained_where_they_are_shown(tab: Page) -> None:
    """The page explains the column of rank ranges, which the snapshot brings, while that is shown."""
    explanation = tab.get_by_text("A range of ranks has every rank that this choice allows among all evaluations")
    expect(explanation).to_be_visible()
    head = tab.get_by_role("columnheader", name="Range of ranks")
    expect(head).to_have_attribute("title", re.compile("^95 %: the ranks that"))
    tab.get_by_text("Columns", exact=True).click()
    tab.get_by_label("Range of ranks").uncheck()
    expect(head).to_have_count(0)
    expect(explanation).to_be_hidden()


def test_it_links_the_bots_pages_where_there_are_any(tab: Page, address: str) -> None:
    """The Space links the pages of the bot if it has their address, and else the pages of the models on the Hub."""
    own = tab.locator("#rows th.model a").first
    expect(own).to_have_attribute("target", "_blank")
    expect(own).to_have_attribute("href", re.compile(rf"^{re.escape(address)}/org-"))
    tab.goto(f"{address}/linked/index.html?pin=1.json")
    expect(tab.locator("#rows th.model a").first).to_have_attribute(
        "href", re.compile("^https://bot.example.org/models/")
    )
    for name, path in (("Submit", "submit"), ("Queue", "queue"), ("Compare the pinned models", "compare?pin=1.json")):
        expect(tab.get_by_role("link", name=name, exact=True)).to_have_attribute(
            "href", f"https://bot.example.org/{path}"
        )


def test_a_board_without_evaluations_says_so(browser: Browser, address: str) -> None:
    """Without a snapshot the page says that no model was evaluated yet."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/empty/index.html")
        expect(page.locator("#count")).to_have_text("No model was evaluated yet.")


def test_a_board_of_predictions_speaks_of_no_models(browser: Browser, address: str) -> None:
    """A board of predictions says that it has no predictions yet, or that nothing was found, without naming models."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}/no-predictions/index.html")
        expect(page.locator("#count")).to_have_text("No predictions were scored yet.")
        page.goto(f"{address}/predictions/index.html?q=ada/frist")
        expect(page.locator("#outcome")).to_have_text(
            "Nothing was found for “ada/frist”. Check the spelling of the name, or remove a term."
        )
        submit = page.get_by_role("navigation").get_by_role("link", name="Submit")
        expect(submit).to_have_attribute("href", "https://bot.example.org/predictions")


@pytest.mark.parametrize(
    ("look", "width"),
    [
        pytest.param("dark", 360),
        *(pytest.param(*look, marks=pytest.mark.long("the same rules in another look")) for look in OTHER_LOOKS),
    ],
)
def test_axe_finds_no_serious_fault_in_the_space(tab: Page, look: Literal["light", "dark"], width: int) -> None:
    """axe-core finds nothing serious in two colour schemes and two widths; in `make test` dark on a phone."""
    # Without motion, so that no colour is seen on its way from one scheme to the other.
    tab.emulate_media(color_scheme=look, reduced_motion="reduce")
    tab.set_viewport_size({"width": width, "height": 800})
    violations = Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]
    assert [violation["id"] for violation in violations if violation["impact"] in ("serious", "critical")] == []
