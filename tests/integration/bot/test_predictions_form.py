"""The form for a file of predictions, sent over HTTP by a signed-in person, without JavaScript."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx2
import pytest
import redis
import yaml

from bot.probe import Probe
from bot.web import submit
from bot.web.pages.upload import MAX_UPLOAD_BYTES
from hub.records import Repo, WriteFile
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.board.predictions import (
    ANSWER_REPO,
    answer_rows,
    as_file,
    lines,
    predictions,
    request_path,
    suite_at,
)
from tests.support.board.sign_in import Browser, SignInSite, signing

pytestmark = pytest.mark.timeout(600)  # tests wait for checks and commits, also on a busy machine


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, probe: Probe) -> Iterator[SignInSite]:
    """A board that takes predictions, to which people sign in."""
    folder = tmp_path_factory.mktemp("upload")
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite_at("a" * 40).model_dump(mode="json")))
    more = f"suite: {folder}/suite.yaml\nprecisions: [predictions]\n"
    with (
        redis.Redis.from_url(valkey.url) as connection,
        signing(folder, connection, valkey.url, probe, more) as opened,
    ):
        context, repo = opened.stand.context, Repo("dataset", ANSWER_REPO)
        context.hub.create_repo(repo, private=True)
        context.hub.commit(repo, [WriteFile("answers.jsonl", lines(answer_rows()))], "Add", regular=["answers.jsonl"])
        context.suite = suite_at(context.hub.head(repo), per_week=2)
        yield opened


def upload(browser: Browser, data: bytes, *, name: str = "first", file: str = "p.jsonl", **fields: str) -> str:
    """Send the form, and poll until the outcome is shown; return the text of the page."""
    values = {"csrf": browser.form_token, "key": "k", "name": name, **fields}
    answer = sent(browser, data, values, file)
    if answer.status_code != 303:
        return answer.text

    def outcome() -> str | None:
        text = browser.get(answer.headers["location"]).text
        return None if "data-again" in text else text

    return wait_until(outcome, seconds=120)


def sent(browser: Browser, data: bytes, values: dict[str, str], file: str = "p.jsonl") -> httpx2.Response:
    """Send the form as a browser does."""
    files = {"file": (file, data, "application/octet-stream")}
    return browser.post("/predictions", data=values, files=files, timeout=120)


def test_a_person_uploads_predictions_once_however_often_they_click(site: SignInSite) -> None:
    """The bot commits and scores an uploaded file; sending the same form a second time commits nothing."""
    browser = site.browser()
    assert "Sign in and submit" in browser.get("/predictions").text
    browser.sign_in("ada")
    page = browser.get("/predictions").text
    assert "Name of the predictions: ada/" in page
    first = upload(browser, as_file(predictions(public=8)))
    assert "passed all checks and is submitted" in first
    queue_server = site.stand.context.redis
    stored = [queue_server.hget(key, "asked") for key in queue_server.scan_iter("*submission:predictions:*")]
    assert {json.loads(asked)["data"] for asked in stored} == {""}, "the uploaded file is still stored in Redis"
    path = request_path("ada/first")

    def finished() -> bool:
        # The file may be committed between a 404 and the listing that confirms it: then the client calls it garbled.
        file = site.stand.context.hub.find_file(site.stand.context.requests, path, confirm=False)
        return file is not None and b'"FINISHED"' in file.data

    wait_until(finished, seconds=120)
    assert site.stand.file(path)["steward"]["submitter"] == "ada"
    commits = site.stand.commits()
    assert upload(browser, as_file(predictions(public=8))) == first
    assert site.stand.commits() == commits
    shown = wait_until(lambda: re.search(r"80\.00", browser.get(f"/requests/{path}").text), seconds=60)
    assert shown is not None


def test_many_persons_cannot_fill_the_queue_servers_memory(site: SignInSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads of all people together are limited per minute: the server answers a further one with status 429."""
    monkeypatch.setattr(submit, "MAX_UPLOADS", 0)
    browser = site.browser()
    browser.sign_in("bob")
    refused = sent(browser, as_file(predictions()), {"csrf": browser.form_token, "name": "more", "key": "9"})
    assert refused.status_code == 429 and "too many files" in refused.text


def test_bad_uploads_are_refused_and_commit_nothing(site: SignInSite) -> None:
    """The form refuses bad files, other formats, requests without a form token, invalid names and too many bytes."""
    browser = site.browser()
    browser.sign_in("bob")
    commits = site.stand.commits()
    bad = upload(browser, as_file({**predictions(), "q3": "purple<b>"}), name="bad")
    assert "q3: purple&lt;b&gt;" in bad
    assert "cannot be" not in upload(browser, b"id,prediction\n", name="bad", file="p.csv", key="2")
    assert "end in .jsonl or .csv" in upload(browser, b"x", file="p.parquet")
    assert "not text in UTF-8" in upload(browser, b"\xff\xfe", file="p.csv")
    assert "not a valid name" in upload(browser, as_file(predictions()), name="../ada/first", key="3")
    assert sent(browser, b"x", {"csrf": "forged", "name": "x", "key": "4"}).status_code == 403
    assert sent(browser, b"x" * MAX_UPLOAD_BYTES, {"csrf": browser.form_token, "name": "x"}).status_code == 413
    assert browser.post("/predictions", content=b"nothing").status_code == 403
    assert sent(site.browser(), b"x", {"name": "x"}).status_code == 303
    assert site.stand.commits() == commits
