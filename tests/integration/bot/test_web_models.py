"""A model's page, its JSON and its badge, on a real queue server."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import redis
from PIL import Image

from bot.core.settings import BotSettings
from bot.web.charts.drawing import POLICY
from bot.web.charts.previews import HEIGHT, WIDTH
from redis_state.board.index import Index
from redis_state.board.scoreboard import Scoreboard
from redis_state.keys import Keys
from steward.testing.board import BOARD, SECRET
from steward.testing.running import client_of
from steward.valkey import Valkey
from tests.support.board.page_client import Client, Reader, page, serving
from tests.support.board.seeded_board import BENCHMARKS, entry, flag, path_of, put_flags, score

KEYS = Keys("models-pages")
HOSTILE = "eve/\"'><svg onload=alert(1)>]](x){{7*7}}\\end"
MODELS = (
    ("ada/root", 30.0, "pretrained", ""),
    ("ada/trunk", 40.0, "chat", "ada/ROOT"),
    ("bob/leaf", 50.0, "chat", "ada/trunk"),
    ("bob/twig", 45.0, "merge", "ada/trunk"),
    ("eve/copied", 80.0, "chat", "ada/trunk"),
    ("fay/loop", 20.0, "chat", "fay/pool"),
    ("fay/pool", 21.0, "chat", "fay/loop"),
    ("gus/alone", 35.0, "chat", "elsewhere/base"),
    (HOSTILE, 10.0, "chat", HOSTILE.upper()),
)


@pytest.fixture(scope="module")
def site(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A board with models made from others; one of them was evaluated at two commits and two precisions."""
    with redis.Redis.from_url(valkey.url) as client:
        fill_board(client, KEYS)
    yield from serving(valkey, tmp_path_factory.mktemp("models"), KEYS.board)


def fill_board(client: redis.Redis, keys: Keys) -> None:
    """Store models made from others, with earlier evaluations of bob/leaf and one by another program."""
    index, scores = Index(client, keys), Scoreboard(client, keys)
    for number, (model, average, category, base) in enumerate(MODELS):
        path = path_of(model if model != HOSTILE else "eve/hostile")
        more: dict[str, Any] = {"category": category, "base_model": base, "licence": "mit", "parameters": 7 * 10**9}
        indexed = entry(model, "settled", "FINISHED", number=number, path=path, thread=7, **more)
        index.put(indexed)
        score(scores, indexed, average, category)
    half = entry("bob/leaf", "settled", "FINISHED", number=5, path=path_of("bob/leaf", "float16"), category="chat")
    index.put(half, entry("bob/waits", "waiting", "PENDING", attempt="1"))
    score(scores, half, 49.0, "chat")
    row = {"Model sha": "c" * 40, "Precision": "bfloat16", "Weight type": "Original", "Submission Date": "2026-01-02"}
    other = {**row, **dict.fromkeys(BENCHMARKS, 44.0), "Average ⬆️": 44.0}
    mapping = {
        f"{path_of('bob/leaf')}@{'c' * 40}": json.dumps({**other, "fullname": "bob/leaf"}),
        "hal/imported": json.dumps({**other, "fullname": "hal/imported"}),
    }
    client.hset(keys.other_table_rows, mapping=mapping)
    client.incr(keys.other_table_rows_version)
    put_flags(client, keys, flag("eve/copied"))


def model(site: Client, name: str) -> Any:
    """Return the JSON of a model."""
    answer = site.get(f"/api/models/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_model_has_rank_and_every_evaluation_with_what_changed(site: Client) -> None:
    """Evaluations are listed newest first, each compared with the one before it, of the same precision if possible."""
    document = model(site, "Bob/LEAF")
    assert (document["model"], document["best"]["rank"], document["ranked"]) == ("bob/leaf", 1, 11)
    newest, half, oldest = document["evaluations"]
    assert [evaluation["row"]["average"] for evaluation in (newest, half, oldest)] == [50.0, 49.0, 44.0]
    assert (newest["before"], newest["changed"]) == (oldest["row"]["id"], ["commit"])
    assert newest["differences"]["average"] == {"value": 6.0, "margin": None}
    assert set(newest["differences"]) == {*BENCHMARKS, "average"}
    assert (half["before"], half["changed"]) == (oldest["row"]["id"], ["commit", "precision"])
    assert (oldest["before"], oldest["changed"], oldest["differences"]) == ("", [], {})
    text = page(site, "/models/bob/leaf")
    assert "+6.00" in text
    assert "another commit than" in text
    assert f'/compare?pin={path_of("bob/leaf").replace("/", "%2F")}"' in text
    assert "discussions/7" in text


def test_lineage_links_parents_and_children(site: Client) -> None:
    """Base models match in any case, one without an evaluation has no link, and a cycle of bases ends."""

    def names(name: str, side: str) -> list[str]:
        return [relative["model"] for relative in model(site, name)["lineage"][side]]

    assert names("bob/leaf", "parents") == ["ada/trunk", "ada/root"]
    assert names("ada/trunk", "children") == ["eve/copied", "bob/leaf", "bob/twig"]
    assert [child["flagged"] for child in model(site, "ada/trunk")["lineage"]["children"]] == [True, False, False]
    assert names("ada/root", "children") == ["ada/trunk"]
    assert names("fay/loop", "parents") == names("fay/loop", "children") == ["fay/pool"]
    assert model(site, "gus/alone")["lineage"]["parents"] == [
        {"model": "elsewhere/base", "evaluated": False, "rank": 0, "average": None, "category": "", "flagged": False}
    ]
    text = page(site, "/models/bob/leaf")
    assert 'href="/models/ada/trunk"' in text
    assert 'href="/models/elsewhere/base"' not in page(site, "/models/gus/alone")


def test_a_row_by_another_program_has_a_page(site: Client) -> None:
    """A model that only another program evaluated has a page, although it has no request."""
    assert model(site, "hal/imported")["requests"] == []
    assert "It has not been submitted." in page(site, "/models/hal/imported")


def test_a_badge_tells_rank_and_average(site: Client) -> None:
    """A badge is an SVG with rank and average, or with the model's state, that other sites may show and cache."""
    answer = site.get("/badges/bob/leaf.svg")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    root = ElementTree.fromstring(answer.content)  # noqa: S314  our own
    texts = [node.text for node in root.iter() if node.tag.endswith("}text")]
    assert texts == ["Demo", "rank 1 · 50.00"]
    assert site.get("/badges/bob/leaf.svg", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    assert b"flagged" in site.get("/badges/eve/copied.svg").content
    assert b"not evaluated yet" in site.get("/badges/bob/waits.svg").content
    assert site.get("/badges/no/body.svg").status_code == 404


def test_a_name_that_is_an_attack_is_text_everywhere(site: Client) -> None:
    """A hostile model name is plain text on the page, in the badge, in Markdown and in BibTeX."""
    answer = site.get(f"/badges/{HOSTILE.replace('/', '%2F')}.svg")
    root = ElementTree.fromstring(answer.content)  # noqa: S314  our own
    assert {node.tag.rpartition("}")[2] for node in root.iter()} == {"svg", "title", "rect", "path", "text"}
    text = page(site, f"/models/{HOSTILE}")
    tags = Reader(text).tags
    assert "svg" not in [tag for tag, _ in tags]
    assert not [name for _, attributes in tags for name in attributes if name == "style" or name.startswith("on")]
    badge, citation = text.partition("<h2>Badge</h2>")[2].split("<h2>Cite these scores</h2>")
    assert badge.count("](") == 2, "the Markdown is one image and one link"
    assert "\\end" not in citation, "the citation has a TeX command"


def test_plots_show_the_best_of_each_size_and_of_each_day(site: Client) -> None:
    """Plots have a dot for each unflagged model, on the page as in the JSON, and can be limited to one type."""
    document = site.get("/api/plots").json()
    assert (document["count"], document["drawn"], len(document["dots"])) == (8, 8, 8), (
        "the best evaluation of each model"
    )
    assert [dot["model"] for dot in document["dots"] if dot["best"]] == ["bob/leaf"]
    assert "eve/copied" not in [dot["model"] for dot in document["dots"]]
    text = page(site, "/plots")
    assert all(f'href="/models/{dot["model"]}"' in text for dot in document["dots"] if "eve" not in dot["model"])
    assert "8 models. The best is bob/leaf with 50.00, 7 billion parameters." in text
    times = site.get("/api/plots", params={"by": "time", "type": "chat"}).json()
    assert {dot["category"] for dot in times["dots"]} == {"chat"}
    assert times["dots"][0]["model"] == "bob/leaf"
    best = [dot for dot in times["dots"] if dot["best"]]
    assert [dot["submitted"] for dot in best] == sorted((dot["submitted"] for dot in best), reverse=True)
    assert "There is nothing to draw" in page(site, "/plots", type="multimodal")


def test_a_plot_is_an_image_to_embed(site: Client) -> None:
    """A plot is an SVG at its own address, with a content policy; one that is unknown or empty answers 404."""
    answer = site.get("/charts/plots/time.svg", params={"type": "chat", "width": "760"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["content-security-policy"] == POLICY
    assert b"Average by date of submission, chat models" in answer.content
    assert site.get("/charts/plots/parameters.svg").content == site.get("/charts/plots/parameters.svg?type=x").content
    for path in ("/charts/plots/other.svg", "/charts/plots/time.svg?type=multimodal"):
        assert site.get(path).status_code == 404


def previews(client: Client, path: str) -> dict[str, str]:
    """The Open Graph properties of a page."""
    tags = re.findall(r'<meta property="og:([^"]+)" content="([^"]*)">', page(client, path))
    return {name: unescape(value) for name, value in tags}


def test_a_link_to_a_page_shows_name_rank_and_picture(valkey: Valkey, site: Client, tmp_path: Path) -> None:
    """Open Graph tags have name, rank and picture, with addresses from STEWARD_PUBLIC_URL; each picture is a PNG."""
    board_file = BOARD.replace("name: demo", f"name: {KEYS.board}").replace("repos: {", "repos: {flags: board/flags, ")
    (tmp_path / "board.yaml").write_text(board_file)
    public = "https://board.example"
    settings = BotSettings(
        redis_url=valkey.url, board=tmp_path / "board.yaml", webhook_secret=SECRET, port=0, public_url=f"{public}/"
    )
    with client_of(settings) as client:
        of_model = previews(client, "/models/bob/leaf")
        assert (of_model["title"], of_model["site_name"]) == ("bob/leaf", "Demo")
        assert of_model["description"] == "rank 1 of 11, average 50.00"
        assert of_model["url"] == f"{public}/models/bob/leaf"
        assert f"{public}/badges/bob/leaf.svg" in page(client, "/models/bob/leaf")
        compared = previews(client, "/compare?model=bob/leaf&model=ada/trunk")
        assert compared["description"] == "bob/leaf, ada/trunk"
        board, plots = previews(client, "/"), previews(client, "/plots")
        pictures = {preview["image"].removeprefix(public) for preview in (of_model, compared, board, plots)}
        assert len(pictures) == 3
        for address in pictures:
            answer = client.get(address)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), address
            assert Image.open(io.BytesIO(answer.content)).size == (WIDTH, HEIGHT)
            assert client.get(address, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    for path in ("/previews/models/no/body.png", "/previews/compare.png", "/previews/compare.png?model=bob/leaf"):
        assert site.get(path).status_code == 404
    hostile = previews(site, f"/models/{HOSTILE}")
    assert hostile["title"] == HOSTILE
    assert site.get(hostile["image"]).status_code == 200
