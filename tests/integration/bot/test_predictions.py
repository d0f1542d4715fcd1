"""A board of predictions: submissions by commit and by pull request, their scores, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
import yaml

from bot.core.settings import BotSettings, SettingsError
from bot.predictions.checking import check_file
from bot.probe import Probe
from bot.processes.sync_process import open_board_context
from bot.read_models.serializers import summary
from bot.requests.submitting import resubmit
from bot.requests.verb_check import check_model
from bot.results.reproduction import reproduction_of
from bot.results.scores import _standing
from bot.setup.doctor.answers import private_answers
from bot.setup.doctor.machine import workers
from bot.setup.doctor.rights import worker_token
from bot.setup.reevaluating import put_back, survey
from hub.client import Hub
from leaderboard.admission.rules import MAX_TEXT
from leaderboard.flags import StandingFlags
from steward.testing.board import BOARD, REQUESTS, WORKER
from steward.testing.hub import model_files
from tests.support.board.predictions import (
    PredictionsDriver,
    as_file,
    lines,
    predictions,
    predictions_board,
    question_ids,
    request_path,
    suite_at,
)
from tests.support.board.pull_requests import look, policy, propose, report, thread

DAY = 86_400.0


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[PredictionsDriver]:
    """A board that takes predictions."""
    with predictions_board(tmp_path, connection, probe) as driver:
        yield driver


def test_a_committed_file_is_scored_without_a_worker(stand: PredictionsDriver) -> None:
    """The bot itself scores a committed file; comment and table say that others cannot reproduce predictions."""
    path = stand.submit_predictions(predictions(public=7, private=2))
    file, results = stand.file(path), stand.results(path)
    assert (file["status"], file["steward"]["submitter"]) == ("FINISHED", "ada")
    assert results["results"] == {"colours": {"accuracy,none": 0.7}}
    assert results["predictions"]["file"] == "ada/first_predictions.jsonl"
    (status,) = [event.content for each in stand.threads() for event in each.events[:1]]
    assert "Average 70.00" in status
    assert "others cannot reproduce" in status
    (row,) = stand.rows()
    assert row["Precision"] == "predictions"
    assert row["Type"] == "📄 predictions (others cannot reproduce them)"
    assert f"/datasets/{REQUESTS}/blob/main/{path}" in row["Model"]
    reproduction = reproduction_of(stand.context, stand.context.index.get(path))
    assert (reproduction.command, reproduction.attempt, "others cannot compute them again" in reproduction.message) == (
        "",
        "",
        True,
    )
    assert stand.queued() == []
    shown = summary(stand.context, stand.context.index.get(path))
    scored = f"/datasets/{REQUESTS}/blob/{file['steward']['revision']}/ada/first_predictions.jsonl"
    assert (shown.predictions_url or "").endswith(scored)


def test_predictions_are_ranked_with_those_whose_results_just_landed(stand: PredictionsDriver) -> None:
    """The rank counts predictions that are scored but not yet marked FINISHED, and leaves out those that still run."""
    path = stand.submit_predictions(predictions(public=7))
    (scored,), (entry,) = stand.context.scores.all(), stand.context.index.find([path])
    assert entry is not None and entry.state == "settled"
    landed = entry.changed(standing=entry.standing.model_copy(update={"status": "RUNNING"}))
    own = scored.model_copy(update={"path": request_path("bob/second"), "average": 10.0})
    for indexed, rank in ((entry, (1, 2)), (landed, (1, 2)), (landed.changed(state="running"), (0, 1))):
        stand.context.index.put(indexed)
        assert _standing(stand.context, [scored, own], own, StandingFlags(())) == rank, indexed.state


@pytest.mark.long("a board of predictions for one more kind of file")
def test_gated_models_count_in_the_rank_of_others_and_private_ones_do_not(stand: PredictionsDriver) -> None:
    """A status comment's rank counts evaluations of gated models, and leaves out those of private ones."""
    path = stand.submit_predictions(predictions(public=7))
    (scored,), (entry,) = stand.context.scores.all(), stand.context.index.find([path])
    assert entry is not None
    own = scored.model_copy(update={"path": request_path("bob/second"), "average": 10.0})
    for access, rank in (("gated", (1, 2)), ("private", (0, 1))):
        stand.context.index.put(entry.changed(standing=entry.standing.model_copy(update={"access": access})))
        assert _standing(stand.context, [scored, own], own, StandingFlags(())) == rank, access


def test_an_outsiders_pull_request_is_checked_merged_and_scored(stand: PredictionsDriver) -> None:
    """The bot merges request and file exactly as it checked them; the pull request's author is the submitter."""
    policy(stand, "merge")
    number, head = propose(stand, stand.files(predictions(public=9)))
    look(stand, number)
    assert f"exactly as I checked it at `{head[:8]}`" in report(stand, number)
    stand.settle()
    assert stand.file(request_path("ada/first"))["steward"]["submitter"] == "ada"
    assert stand.results(request_path("ada/first"))["results"]["colours"]["accuracy,none"] == 0.9
    stand.time += 60
    number, _ = propose(stand, stand.files(predictions(public=4), extension="csv"), title="Again, with a file too many")
    look(stand, number)
    assert "The file of predictions does not have the field" in report(stand, number)


def test_a_parquet_file_in_a_pull_request_is_merged_as_it_was_checked(stand: PredictionsDriver) -> None:
    """The bot merges a Parquet file exactly as it checked it, though the Hub may store it as a large file."""
    policy(stand, "merge")
    answers, buffer = predictions(public=6), io.BytesIO()
    pq.write_table(pa.table({"id": list(answers), "prediction": list(answers.values())}), buffer)
    number, head = propose(stand, stand.files(buffer.getvalue(), extension="parquet"))
    look(stand, number)
    assert f"exactly as I checked it at `{head[:8]}`" in report(stand, number)
    stand.settle()
    assert stand.results(request_path("ada/first"))["results"]["colours"]["accuracy,none"] == 0.6


def test_a_report_on_a_pull_request_lists_all_its_problems(stand: PredictionsDriver) -> None:
    """The report has another account's folder, a missing question, a wrong choice, and a file without a request."""
    policy(stand, "merge")
    answers = {**predictions(), "q3": "purple"}
    del answers["q7"]
    files = {**stand.files(answers, model="bob/first"), "ada/other_predictions.csv": b"id,prediction\n"}
    number, _ = propose(stand, files)
    look(stand, number)
    text = report(stand, number)
    for words in (
        "'ada' submitted predictions in the folder of 'bob'",
        "Questions without a prediction (1): 'q7'",
        "(1): 'q3: purple'",
        "ada/other_predictions.csv` has no request beside it",
    ):
        assert words in text
    assert thread(stand, number).status == "open"


def test_every_bad_file_has_its_reason(stand: PredictionsDriver) -> None:
    """Missing, duplicate, unknown or invalid rows, other encodings and compression each have their own reason code."""
    rows = [{"id": question, "prediction": value} for question, value in predictions().items()]
    good = as_file(predictions())
    table = {
        "": good,
        "predictions-missing": lines(rows[1:]),
        "predictions-doubled": lines([*rows, rows[0]]),
        "predictions-foreign": lines([*rows, {"id": "q99", "prediction": "red"}]),
        "predictions-wrong": lines([*rows[1:], {"id": "q0", "prediction": "<script>alert(1)</script>"}]),
        "predictions-ids": lines([*rows, {"id": ["q0"], "prediction": "red"}]),
        "predictions-lines": good + b"[[[[\n",
        "predictions-encoding": good.decode().encode("utf-16"),
        "predictions-compressed": gzip.compress(good),
    }
    for code, data in table.items():
        _, problems = check_file(stand.context, "ada/first_predictions.jsonl", data)
        assert [problem.code for problem in problems] == ([code] if code else [])


def test_a_refused_request_says_everything_and_does_not_count(stand: PredictionsDriver) -> None:
    """The request file lists all reasons; a corrected file is scored; a request without a file is refused too."""
    path = stand.submit_predictions({"q0": "red", "x": "red"})
    failure = stand.file(path)["steward"]["failure"]
    assert (stand.file(path)["status"], failure["fault"]) == ("FAILED", "submission")
    assert "Ids that no question has (1): 'x'" in failure["message"]
    assert "and 16 more" in failure["message"]
    (status,) = [event.content for each in stand.threads() for event in each.events[:1]]
    assert f"[ada/first]({stand.hub.url}/datasets/{REQUESTS}/blob/main/ada/first_predictions.jsonl)" in status
    assert len(failure["message"]) <= MAX_TEXT
    stand.time += 60
    assert stand.file(stand.submit_predictions(predictions()))["status"] == "FINISHED"
    files = stand.files(predictions(), model="ada/second", sender="ada")
    stand.commit({name: data for name, data in files.items() if name.endswith(".json")})
    stand.settle()
    assert "There is no file" in stand.file(request_path("ada/second"))["steward"]["failure"]["message"]


@pytest.mark.long("a board of predictions for one more kind of file")
def test_a_large_file_is_refused_unread(stand: PredictionsDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot refuses a file of predictions that is larger than the limit, without reading its bytes from the Hub."""
    read, read_body = list[str](), httpx2.Response.iter_bytes

    def recorded(response: httpx2.Response, *args: Any) -> Iterator[bytes]:
        read.append(response.request.url.path.rpartition("/")[2])
        return read_body(response, *args)

    monkeypatch.setattr(httpx2.Response, "iter_bytes", recorded)
    path = stand.submit_predictions(predictions(), model="ada/small")
    assert stand.file(path)["status"] == "FINISHED"
    assert "small_predictions.jsonl" in read
    monkeypatch.setattr("bot.predictions.checking.MAX_BYTES", 500)
    path = stand.submit_predictions(predictions())
    assert "more than 500 bytes" in stand.file(path)["steward"]["failure"]["message"]
    assert path.rpartition("/")[2] in read
    assert "first_predictions.jsonl" not in read


def test_only_the_weekly_quota_of_files_is_scored(stand: PredictionsDriver) -> None:
    """With a quota of one, one of two files in a commit is refused, and a further one is scored only a week later."""
    stand.use(suite_at(stand.revision, per_week=1, rounding=0.1))
    files: dict[str, bytes] = {}
    for name in ("one", "two"):
        files |= stand.files(predictions(public=5), model=f"ada/{name}", sender="ada")
    stand.commit(files)
    stand.settle()
    paths = [request_path(f"ada/{name}") for name in ("one", "two")]
    assert sorted(stand.file(path)["status"] for path in paths) == ["FAILED", "FINISHED"]
    (refused,) = [path for path in paths if stand.file(path)["status"] == "FAILED"]
    assert "the limit of 1 files" in stand.file(refused)["steward"]["failure"]["message"]
    stand.context.redis.flushall()  # results files on the Hub still count
    stand.time += 60
    assert stand.file(stand.submit_predictions(predictions()))["status"] == "FAILED"
    stand.time += 8 * DAY
    assert stand.file(stand.submit_predictions(predictions()))["status"] == "FINISHED"


@pytest.mark.long("a board of predictions for one more kind of file")
def test_a_file_that_is_evaluated_again_counts_once(stand: PredictionsDriver) -> None:
    """`steward reevaluate` scores a file again though its quota is used up, and both evaluations count as one."""
    stand.use(suite_at(stand.revision, per_week=1))
    path = stand.submit_predictions(predictions(public=5))
    first = stand.file(path)["steward"]["results"]
    stand.use(suite_at(stand.revision, per_week=1, rounding=0.1))
    stand.time += 60
    assert put_back(stand.context, survey(stand.context).due, by=stand.context.me(), command="steward reevaluate") == 1
    stand.settle()
    assert (stand.file(path)["status"], stand.file(path)["steward"]["results"] != first) == ("FINISHED", True)
    stand.context.redis.flushall()
    stand.use(suite_at(stand.revision, per_week=2))
    stand.time += 60
    assert stand.file(stand.submit_predictions(predictions(), model="ada/second"))["status"] == "FINISHED"
    assert stand.file(stand.submit_predictions(predictions(), model="ada/third"))["status"] == "FAILED"


def test_models_are_refused_where_the_board_does_not_mix(stand: PredictionsDriver) -> None:
    """A board of predictions refuses models and says why; the doctor asks for no worker and no worker's token."""
    path = stand.submit("ada/good", sender="ada")
    stand.settle()
    assert "takes predictions, and no models" in stand.file(path)["steward"]["failure"]["message"]
    checked = check_model(stand.context, "ada/good", submitter="ada")
    failed = [reason.code for rule in checked.rules if rule.outcome == "failed" for reason in rule.reasons]
    assert (checked.accepted, failed) == (False, ["models-not-taken"])
    entry = stand.context.index.get(stand.submit_predictions(predictions()))
    outcome = resubmit(stand.context, entry, revision="main", submitter="ada", cause="c", counts=True)
    assert (outcome.how, [reason.code for reason in outcome.reasons]) == ("refused", ["predictions-by-file"])
    assert [check.state for check in workers(stand.context)] == ["ok"]
    assert list(worker_token(stand.context, None)) == []


def test_a_mixed_board_does_not_start_with_a_suite_for_predictions_only(tmp_path: Path, valkey_url: str) -> None:
    """Columns of one task with different metrics are valid for predictions, but not if the board takes models too."""
    fields = suite_at("a" * 40).model_dump(mode="json")
    (column,) = fields["benchmarks"]
    fields["benchmarks"].append({**column, "name": "Balanced", "metrics": ["macro_f1,none"]})
    (tmp_path / "colours.yaml").write_text(yaml.safe_dump(fields))
    (file := tmp_path / "board.yaml").write_text(BOARD.replace("starter", str(tmp_path / "colours.yaml")))
    settings = BotSettings(board=file, redis_url=valkey_url, bot_token="hf_bot")
    board = file.read_text()
    file.write_text(board + "precisions: [predictions]\n")
    assert len(open_board_context(settings).suite.benchmarks) == 2
    file.write_text(board + "precisions: [predictions, bfloat16]\n")
    with pytest.raises(SettingsError, match=r"Balanced give the task colours other.*precisions: \[predictions\]"):
        open_board_context(settings)


def test_a_guess_never_is_predictions(stand: PredictionsDriver) -> None:
    """On a board that takes both, the precision that the bot guesses for a model is never `predictions`."""
    stand.context.board = stand.context.board.model_copy(update={"precisions": ("predictions", "float16")})
    stand.ada.create_repo("ada/good")
    for name, text in model_files().items():
        stand.ada.upload_file(path_or_fileobj=text.encode(), path_in_repo=name, repo_id="ada/good")
    checked = check_model(stand.context, "ada/good", submitter="ada", guess=True)
    assert [guess.value for guess in checked.guesses if guess.field == "precision"] == ["float16"]


def test_a_board_of_models_takes_no_predictions(stand: PredictionsDriver) -> None:
    """A board whose suite has no `predictions` block refuses a request with a file of predictions."""
    suite = suite_at(stand.revision)
    stand.context.suite = suite.model_copy(update={"predictions": None})
    path = stand.submit_predictions(predictions())
    assert "no files of predictions" in stand.file(path)["steward"]["failure"]["message"]


def test_no_predictions_are_scored_while_the_answers_are_public(stand: PredictionsDriver) -> None:
    """While the repo of answers is public, the bot leaves requests pending, and the doctor reports an error."""
    (fine,) = private_answers(stand.context, None)
    assert (fine.state, "20 questions" in fine.words) == ("ok", True)
    with Hub(stand.hub.url, WORKER) as worker:
        assert [check.state for check in private_answers(stand.context, worker)] == ["ok"]
    stand.context.answers_memory = None
    stand.form.update_repo_settings("board/answers", repo_type="dataset", visibility="public")
    path = stand.submit_predictions(predictions())
    assert stand.file(path)["status"] == "PENDING"
    (check,) = private_answers(stand.context, None)
    assert (check.state, "make it private" in check.words) == ("error", True)
    stand.form.update_repo_settings("board/answers", repo_type="dataset", visibility="private")
    stand.time += 60
    stand.settle()
    assert stand.file(path)["status"] == "FINISHED"


@pytest.mark.long("a board of predictions for one more kind of file")
def test_after_redis_was_lost_the_same_results_are_published(stand: PredictionsDriver) -> None:
    """The bot scores the commit that the request names again, not a later push, and leaves one results file."""
    path = stand.submit_predictions(predictions(public=7))
    first = stand.results(path)
    file = {**stand.file(path), "status": "RUNNING"}
    stand.commit({path: json.dumps(file).encode(), "ada/first_predictions.jsonl": as_file(predictions(public=1))})
    stand.context.redis.flushall()
    stand.settle()
    assert stand.file(path)["status"] == "FINISHED"
    assert stand.results(path) == first
    names = [each.path for each in stand.context.hub.list_files(stand.context.results)]
    assert sum("results_" in name for name in names) == 1
    assert set(question_ids()) == set(predictions())
