"""A season of predictions: a public table, its end, the private ranking, and no leak of an answer before or after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import structlog
import yaml

import tests.support.board.front_end_readers as fronts
from bot.core.settings import BotSettings
from bot.predictions import seasons
from bot.probe import Probe
from bot.setup.reevaluating import put_back, survey
from bot.web import site
from hub.records import Repo
from leaderboard.flags import FlagRecord, FlagScope
from leaderboard.seasons import FrozenSeason, read_season
from steward.testing.board import BOARD, SECRET
from steward.testing.running import client_of
from tests.support.board.predictions import (
    ANSWER_REPO,
    SECRET_WORD,
    PredictionsDriver,
    as_file,
    in_redis,
    lines,
    predictions,
    predictions_board,
    request_path,
    suite_at,
)

HOUR, DAY = 3_600.0, 86_400.0


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[PredictionsDriver]:
    """A board that takes predictions."""
    with predictions_board(tmp_path, connection, probe) as driver:
        yield driver


def frozen(stand: PredictionsDriver) -> FrozenSeason | None:
    """Return the season's final table from the results repo, or None before it is published."""
    file = stand.context.hub.find_file(stand.context.results, "seasons/autumn.season")
    return read_season(file.data) if file is not None else None


def look_at_seasons(stand: PredictionsDriver) -> None:
    """Sync the requests repo, and then the seasons."""
    stand.settle()
    stand.context.mark(seasons.SEASONS)
    stand.work()


def test_the_private_part_decides_at_the_end(stand: PredictionsDriver, connection: redis.Redis) -> None:
    """The final table ranks each model's last submission by its private score, and never changes after that."""
    stand.season(begins=-HOUR, ends=DAY, per_week=20)
    stand.submit_predictions(predictions(public=10, private=1), model="ada/lucky")
    stand.submit_predictions(predictions(public=5, private=9), model="bob/solid")
    stand.submit_predictions(predictions(public=9, private=9), model="bob/worse")
    stand.wait(60)
    stand.submit_predictions(predictions(public=6, private=4), model="bob/worse")
    look_at_seasons(stand)
    assert frozen(stand) is None
    stand.wait(DAY)
    look_at_seasons(stand)
    assert frozen(stand) is None  # commits from before the end may still be found
    late = stand.submit_predictions(predictions(), model="ada/late")
    assert "No season is open" in stand.file(late)["steward"]["failure"]["message"]
    stand.wait(seasons.GRACE_SECONDS + 1)
    look_at_seasons(stand)
    table = frozen(stand)
    assert table is not None
    assert [(row.rank, row.model, row.private, row.public) for row in table.rows] == [
        (1, "bob/solid", 90.0, 50.0),
        (2, "bob/worse", 40.0, 60.0),
        (3, "ada/lucky", 10.0, 100.0),
    ]
    connection.flushall()
    stand.put("bob/solid_predictions.jsonl", as_file(predictions(private=0)))
    stand.settle()
    look_at_seasons(stand)
    assert frozen(stand) == table
    stored = connection.hget(stand.context.keys.seasons, "autumn")
    assert stored is not None
    assert FrozenSeason.model_validate_json(stored) == table


@pytest.mark.long("a season of predictions for one more event in it")
def test_a_flag_of_one_commit_takes_the_rank_of_the_submission_at_it(
    stand: PredictionsDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag of the submission's commit takes its rank away; a flag of another commit and precision does not."""
    stand.season(begins=-HOUR, ends=HOUR)
    paths = [stand.submit_predictions(predictions(private=9), model=f"ada/{name}") for name in ("copied", "honest")]
    copied, honest = (stand.file(path)["steward"]["revision"] for path in paths)
    scopes = {"ada/copied": FlagScope(revision=copied), "ada/honest": FlagScope(revision=copied, precision="4bit")}
    records = [
        FlagRecord(model=model, status="flagged", category="other", scope=scope) for model, scope in scopes.items()
    ]
    monkeypatch.setattr(stand.context.flag_book, "records", lambda: records)
    assert copied != honest
    stand.wait(HOUR + seasons.GRACE_SECONDS + 1)
    look_at_seasons(stand)
    table = frozen(stand)
    assert table is not None
    assert {row.model: (row.flagged, row.rank) for row in table.rows} == {
        "ada/copied": (True, None),
        "ada/honest": (False, 1),
    }


def test_front_ends_read_a_board_of_predictions(stand: PredictionsDriver, tmp_path: Path) -> None:
    """Readers of other leaderboard programs can read requests, results and files of a board with a season."""
    stand.season(begins=-HOUR, ends=HOUR)
    path = stand.submit_predictions(predictions(public=5))
    stand.wait(HOUR + seasons.GRACE_SECONDS + 1)
    look_at_seasons(stand)
    assert frozen(stand) is not None
    requests = stand.download(stand.context.requests, tmp_path / "requests-files")
    results = stand.download(stand.context.results, tmp_path / "results-files")
    assert [*map(len, fronts.queue_page(requests).values())] == [0, 0, 1]
    assert set(fronts.submitted(requests)) == {"ada"}
    assert fronts.react_queue(requests)["FINISHED"] == {"ada/first predictions"}
    assert fronts.results_v1(results) == {"ada/first"}
    assert fronts.results_template(results, requests) == {"ada/first": "FINISHED"}
    assert stand.file(path)["steward"]["season"] == "autumn"


@pytest.mark.long("a season of predictions for one more event in it")
def test_a_submission_of_the_last_minute_counts_though_the_bot_was_away(stand: PredictionsDriver) -> None:
    """The final table waits for a submission that is committed before the season's end and scored after it."""
    stand.season(begins=-HOUR, ends=HOUR)
    stand.commit(stand.files(predictions(), sender="ada"))
    stand.wait(HOUR + 2 * seasons.GRACE_SECONDS)
    stand.context.mark("requests")
    claim = stand.context.dirty.claim(now=stand.time, lease=60)
    assert claim is not None
    stand.loop.sync(claim)  # the bot knows the request, and has not checked it yet
    again = seasons.sync_seasons(stand.context)
    assert (frozen(stand), again) == (None, stand.time + seasons.RETRY_SECONDS)
    stand.settle()
    assert stand.file(request_path("ada/first"))["steward"]["season"] == "autumn"
    look_at_seasons(stand)
    table = frozen(stand)
    assert table is not None
    assert [row.model for row in table.rows] == ["ada/first"]


@pytest.mark.long("a season of predictions for one more event in it")
@pytest.mark.parametrize("is_next_open", [True, False])
def test_a_file_of_an_ended_season_that_is_evaluated_again_stays_in_it(
    stand: PredictionsDriver, *, is_next_open: bool
) -> None:
    """`steward reevaluate` scores a file of an ended season within that season, and changes no season's table."""
    stand.season(begins=-HOUR, ends=HOUR)
    path = stand.submit_predictions(predictions(public=5))
    first = stand.file(path)["steward"]["results"]
    stand.wait(HOUR + seasons.GRACE_SECONDS + 1)
    look_at_seasons(stand)
    table = frozen(stand)
    assert table is not None
    (autumn,) = stand.context.suite.model_dump()["predictions"]["seasons"]
    later = {"name": "winter", "begins": autumn["ends"], "ends": autumn["ends"] + timedelta(days=2)}
    stand.use(suite_at(stand.revision, seasons=[autumn, later] if is_next_open else [autumn], rounding=0.1))
    assert put_back(stand.context, survey(stand.context).due, by=stand.context.me(), command="steward reevaluate") == 1
    stand.settle()
    steward, results = stand.file(path)["steward"], stand.results(path)
    assert (stand.file(path)["status"], steward["season"], steward["results"] != first) == ("FINISHED", "autumn", True)
    assert (results["predictions"]["season"], results["predictions"]["rounded_to"]) == ("autumn", 0.1)
    stand.wait(2 * DAY + seasons.GRACE_SECONDS + 1)
    look_at_seasons(stand)
    assert frozen(stand) == table
    if is_next_open:
        winter = stand.context.hub.find_file(stand.context.results, "seasons/winter.season")
        assert winter is not None and read_season(winter.data).rows == ()


# --- no leak


def secret_rows() -> list[dict[str, str]]:
    """Return answers that each contain a recognisable text, to five public and seven private questions."""
    return [
        {"id": f"q{number}", "answer": f"{SECRET_WORD} {number:03}", "split": "public" if number < 5 else "private"}
        for number in range(12)
    ]


SUBMITTING = "&#34;prediction&#34;: &#34;the answer&#34;"
"""Part of the example on the page that says how to submit."""
GUESSED = (0, 1, 5, 6, 7)
"""Questions that the submitter answers right: 2 of 5 public ones, and 3 of 7 private ones."""


def secret_suite(stand: PredictionsDriver, *, begins: float, ends: float) -> None:
    """Have the board ask for texts, and publish `secret_rows` as their answers in the private repo."""
    repo = Repo("dataset", ANSWER_REPO)
    stand.form.upload_file(
        path_or_fileobj=lines(secret_rows()),
        path_in_repo="answers.jsonl",
        repo_id=ANSWER_REPO,
        repo_type="dataset",
    )
    stand.revision = stand.context.hub.head(repo)
    stand.season(begins=begins, ends=ends, metric="exact_match,none", type="text", choices=[], rounding=0.0001)


def on_the_hub(stand: PredictionsDriver, *, without: str) -> str:
    """Return all files of the board's public repos except `without`, all commit messages, and all threads."""
    parts: list[object] = []
    for repo in (stand.context.requests, stand.context.results, stand.context.logs):
        hub = stand.context.hub
        parts += [hub.read_file(repo, file.path).data for file in hub.list_files(repo) if file.path != without]
        parts += [(entry.title, entry.message) for entry in hub.commits(repo)]
    parts += [(each.title, [getattr(event, "content", "") for event in each.events]) for each in stand.threads()]
    return repr(parts)


def on_pages(stand: PredictionsDriver, valkey_url: str, folder: Path, path: str) -> str:
    """Return every page and its JSON, as an anonymous visitor gets them."""
    (folder / "suite.yaml").write_text(yaml.safe_dump(stand.context.suite.model_dump(mode="json")))
    (folder / "board.yaml").write_text(BOARD.replace("suite: starter", f"suite: {folder}/suite.yaml"))
    settings = BotSettings(redis_url=valkey_url, board=folder / "board.yaml", webhook_secret=SECRET, port=0)
    addresses = [f"/requests/{path}", f"/api/requests/{path}", "/models/ada/first", "/api/models/ada/first"]
    for page in site.PAGES:
        addresses += [each for each in (page.path if page.template else "", page.api_path) if each and "{" not in each]
    with client_of(settings) as client:
        answers = {address: client.get(address, follow_redirects=True) for address in [*addresses, "/submit"]}
    assert {address: answer.status_code for address, answer in answers.items() if answer.status_code >= 500} == {}
    assert SUBMITTING in answers["/predictions"].text
    assert answers["/submit"].url.path == "/predictions"
    return "\n".join(answer.text for answer in answers.values())


def test_no_answer_and_no_private_score_is_public(
    stand: PredictionsDriver, connection: redis.Redis, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Repos, threads, logs, pages, API and Redis never show hidden answers, and no private score before the end."""
    rows = secret_rows()
    hidden = [row["answer"] for number, row in enumerate(rows) if number not in GUESSED]
    answers = {row["id"]: row["answer"] if n in GUESSED else f"guess {n}" for n, row in enumerate(rows)}
    with structlog.testing.capture_logs() as logged:
        secret_suite(stand, begins=-HOUR, ends=HOUR)
        path = stand.submit_predictions(answers)
        stand.submit_predictions({**answers, "q3": "", "q99": "x"}, model="ada/broken")
        assert stand.results(path)["results"]["colours"]["exact_match,none"] == 0.4
        before = public_text = "\n".join(
            [
                in_redis(connection),
                on_the_hub(stand, without="ada/first_predictions.jsonl"),
                on_pages(stand, valkey_url, tmp_path_factory.mktemp("web"), path),
            ]
        )
        assert "42.8" not in before + repr(logged)
        assert "0.428" not in before + repr(logged)
        stand.wait(HOUR + seasons.GRACE_SECONDS + 1)
        look_at_seasons(stand)
        table = frozen(stand)
        assert table is not None
        assert table.rows[0].private == pytest.approx(42.86)
        folder = tmp_path_factory.mktemp("web")
        pages = on_pages(stand, valkey_url, folder, path)
        assert "42.86" in pages
        public_text += in_redis(connection) + on_the_hub(stand, without="ada/first_predictions.jsonl") + pages
    public_text += repr(logged)
    assert [answer for answer in hidden if answer in public_text] == []
    assert "private" not in json.dumps(stand.results(path))


def test_unusable_answers_are_reported_without_a_word_of_them(stand: PredictionsDriver) -> None:
    """Log, parked key and Redis say that the answers have unusable rows, and contain none of their text."""
    bad = lines([*secret_rows(), {"id": "q1", "answer": f"{SECRET_WORD} twice", "split": "private"}])
    stand.form.upload_file(path_or_fileobj=bad, path_in_repo="answers.jsonl", repo_id=ANSWER_REPO, repo_type="dataset")
    head = stand.context.hub.head(Repo("dataset", ANSWER_REPO))
    stand.use(suite_at(head))
    with structlog.testing.capture_logs() as logged:
        path = stand.submit_predictions(predictions())
        for _ in range(12):
            stand.wait(DAY)
            stand.work()
    assert stand.file(path)["status"] == "PENDING"
    (parked,) = [sync for sync in stand.context.parking.all() if path in sync.key]
    assert "no usable id, answer, part or task" in repr(parked)
    assert SECRET_WORD not in repr(logged) + repr(parked) + in_redis(stand.context.redis)
