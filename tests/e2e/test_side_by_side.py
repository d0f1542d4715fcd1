"""One board for each evaluator and one of predictions, at the same time on one Hub: from the submission to the table.

`tests/support/side_by_side/kinds.py` has a row for each board.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from bot.predictions.seasons import GRACE_SECONDS
from bot.web import site
from hub.records import Repo
from leaderboard.columns import FILE
from leaderboard.details import attachment_path, parse_table_path
from steward.testing.board import WORKER
from tests.support.board.predictions import PRIVATE_COUNT, PUBLIC_COUNT, in_redis
from tests.support.side_by_side.boards import BOT_NAME, PATIENCE, RunningBoard, SideBySide, side_by_side
from tests.support.side_by_side.kinds import (
    BROKEN,
    BY_COMMAND,
    BY_FORM,
    BY_PULL,
    GOOD,
    KINDS,
    PREDICTED,
    answer_of,
    season_suite,
)
from tests.support.side_by_side.submitting import answers_in, owner, submit_all

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(4 * PATIENCE),
    pytest.mark.long("fourteen processes, four of which import torch"),
]
ALL = (*GOOD, BROKEN)


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SideBySide]:
    """All boards, once every submission has ended and the good ones are in the tables."""
    with side_by_side(tmp_path_factory.mktemp("boards")) as started:
        started.discussions = submit_all(started)
        started.wait(lambda: all(board.ended(*ALL) for board in started.running))
        started.wait(lambda: all(len(rows_on_the_hub(board)) >= len(GOOD) for board in started.running), seconds=180)
        yield started


@pytest.fixture(params=[kind.name for kind in KINDS])
def board(request: pytest.FixtureRequest, boards: SideBySide) -> RunningBoard:
    """Each of the boards."""
    return boards.boards[request.param]


def rows_on_the_hub(board: RunningBoard) -> list[dict[str, Any]]:
    """The rows of the aggregated table on the Hub."""
    file = board.reader.find_file(board.repo("contents"), FILE)
    rows: list[dict[str, Any]] = [] if file is None else pq.read_table(io.BytesIO(file.data)).to_pylist()
    return rows


def results_of(board: RunningBoard, model: str) -> dict[str, Any]:
    """The results file that a request names."""
    request = board.request(model)
    assert request is not None
    contents: dict[str, Any] = json.loads(board.read("results", request["steward"]["results"]))
    return contents


# --- what works


def test_every_submission_ends_as_it_should(board: RunningBoard) -> None:
    """Submissions by form, command and pull request are finished; the broken one has failed."""
    assert {model: board.status(model) for model in ALL} == {**dict.fromkeys(GOOD, "FINISHED"), BROKEN: "FAILED"}


def test_each_submitter_is_the_person_who_submitted(board: RunningBoard) -> None:
    """File and thread name the form's user, or the author of the command or of the pull request, as submitter."""
    for model in ALL:
        request = board.request(model)
        assert request is not None and request["steward"]["submitter"] == owner(model), model
        assert f"submitted by `{owner(model)}`" in board.words(board.thread(model)), model
    assert board.thread(BY_PULL).is_pull_request and board.thread(BY_PULL).status == "merged"


def test_the_command_was_answered_once(boards: SideBySide, board: RunningBoard) -> None:
    """The bot answers a command once, in its discussion; a board of predictions says how to submit them."""
    bob = boards.person(owner(BY_COMMAND))
    (answer,) = answers_in(board, bob, boards.discussions[board.kind.name])
    if board.kind.takes_predictions:
        assert "takes predictions, and no models" in answer and f"{board.url}/predictions" in answer, answer
    else:
        assert f"{BY_COMMAND}** passed all checks and is submitted" in answer, answer


@pytest.mark.parametrize("model", GOOD)
def test_results_and_answers_are_on_the_hub(board: RunningBoard, model: str) -> None:
    """The results file has scores and their standard errors; the details repo has a table for each task."""
    block = results_of(board, model)["steward"]
    assert (block["model"], block["suite"]) == (model, board.kind.suite("0" * 40)["name"])
    assert set(block["benchmarks"]) == set(board.columns), block
    assert set(board.kind.errors) <= set(block["errors"]), block["errors"]
    details = Repo("dataset", f"{board.kind.name}-details/details_{model.replace('/', '__')}")
    if board.kind.takes_predictions:
        assert not board.form.repo_exists(details.id, repo_type="dataset")
        return
    tables = {parsed[0] for file in board.reader.list_files(details) if (parsed := parse_table_path(file.path))}
    assert tables == {*board.kind.details, "results"}
    attempt = results_of(board, model)["steward"]["attempt"]
    for name in board.kind.attachments:
        log = board.reader.read_file(details, attachment_path(attempt, name)).data
        assert zipfile.is_zipfile(io.BytesIO(log)), name


def test_the_table_has_a_row_for_each(board: RunningBoard) -> None:
    """The table on the Hub, the page and the API have the same evaluations, scores and standard errors."""
    rows = {row["fullname"]: row for row in rows_on_the_hub(board)}
    shown = {row["model"]: row for row in board.api("/leaderboard")["rows"]}
    page = board.page("/")
    assert rows.keys() == shown.keys() == set(GOOD)
    for model in GOOD:
        block = results_of(board, model)["steward"]
        assert rows[model]["Average ⬆️"] == pytest.approx(block["average"])
        assert shown[model]["average"] == pytest.approx(block["average"])
        assert set(shown[model]["scores"]) == set(board.columns)
        assert set(board.kind.errors) <= set(shown[model]["errors"])
        assert shown[model]["available"], "no row of a submission is marked as deleted"
        assert f">{model}</a>" in page
    assert page.count("±") > 3, "scores have standard errors"


def test_its_thread_and_its_pages_show_the_scores(board: RunningBoard) -> None:
    """The status comment and the pages of request and model show the average; the queue links the request."""
    for model in GOOD:
        average = f"{results_of(board, model)['steward']['average']:.2f}"
        words = board.words(board.thread(model))
        assert "✅ Finished" in words and f"Average {average}" in words
        for page in (f"/requests/{board.kind.path(model)}", f"/models/{model}"):
            assert average in board.page(page), page
        assert f'href="/requests/{board.kind.path(model)}"' in board.page("/queue")


def test_an_evaluation_says_how_it_is_repeated(boards: SideBySide, board: RunningBoard) -> None:
    """`/reproduce` in the request's thread gives the command line, or says in plain words why there is none."""
    number = board.thread(BY_FORM).num
    boards.person("chen").comment_discussion(
        board.kind.repo("requests"), number, comment="/reproduce", repo_type="dataset"
    )
    words = boards.wait(lambda: reply(board, BY_FORM, "repeats the evaluation"))
    assert ("This line repeats" in words) is not board.kind.takes_predictions, words
    assert board.kind.reproduces in words, words


def reply(board: RunningBoard, model: str, words: str) -> str:
    """Return the bot's comment in a request's thread that contains `words`, or an empty text."""
    comments = board.thread(model).comments
    texts = [comment.text.replace("\\", "") for comment in comments if comment.author_name == BOT_NAME]
    return next((text for text in texts if words in text), "")


def test_a_newer_suite_scores_the_stored_answers(boards: SideBySide, board: RunningBoard) -> None:
    """`steward rescore` after a change of the suite: new results beside the earlier ones, in table, page and thread.

    A thread says it once, and only where scores changed. Stored predictions are not answers of a model: nothing to do.
    """
    if board.kind.changed is None:
        status, words = board.command("rescore", "--dry-run")
        assert (status, "There is nothing to do" in words) == (0, True), words
        return
    earlier = {model: facts_of(board, model)["results"] for model in GOOD}
    averages = {model: results_of(board, model)["steward"]["average"] for model in GOOD}
    board.write_files(dict(board.kind.changed))
    for role in ("sync", "web", "worker"):
        board.restart(role)
    boards.wait(lambda: board.is_ready() and board.api("/workers")["workers"])
    status, words = board.command("rescore", STEWARD_WORKER_TOKEN=WORKER)
    assert (status, "3 get new results" in words) == (0, True), words
    assert "earlier verdicts" not in words, "the details repos have the new scores of each answer"
    boards.wait(lambda: all(facts_of(board, model)["results"] != earlier[model] for model in GOOD))
    now = {model: results_of(board, model)["steward"] for model in GOOD}
    changed = {model for model in GOOD if now[model]["average"] != pytest.approx(averages[model])}
    assert changed, words
    boards.wait(lambda: averages_in_table(board) == pytest.approx({m: block["average"] for m, block in now.items()}))
    for model in GOOD:
        assert facts_of(board, model)["rescored_from"] == now[model]["rescored_from"]["results"] == earlier[model]
        assert json.loads(board.read("results", earlier[model]))["steward"]["average"] == averages[model]
        for page in (f"/requests/{board.kind.path(model)}", f"/models/{model}"):
            boards.wait(lambda page=page, model=model: f"{now[model]['average']:.2f}" in board.page(page))
        assert (said_of_new_scores(board, model) == 1) or model not in changed
    status, words = board.command("rescore")
    assert (status, "There is nothing to do" in words) == (0, True), words
    assert all(said_of_new_scores(board, model) <= 1 for model in GOOD)


def facts_of(board: RunningBoard, model: str) -> dict[str, Any]:
    """The bot's own facts in a request file."""
    request = board.request(model)
    assert request is not None
    facts: dict[str, Any] = request["steward"]
    return facts


def averages_in_table(board: RunningBoard) -> dict[str, float]:
    """Model → average, in the table on the Hub."""
    return {row["fullname"]: row["Average ⬆️"] for row in rows_on_the_hub(board)}


def said_of_new_scores(board: RunningBoard, model: str) -> int:
    """How many comments in a request's thread say that its scores were computed again."""
    comments = board.thread(model).comments
    return sum("were computed again" in comment.text for comment in comments if comment.author_name == BOT_NAME)


def test_the_repos_of_each_board_agree(board: RunningBoard) -> None:
    """`steward doctor --consistency` finds no contradiction between requests, results, table and index."""
    assert board.command("doctor", "--consistency")[0] == 0


# --- what fails


def test_a_failure_says_its_true_cause_and_what_to_do(board: RunningBoard) -> None:
    """File, thread and pages say why the submission failed, whose fault that is, and what to do next."""
    request = board.request(BROKEN)
    assert request is not None
    failure = request["steward"]["failure"]
    assert (failure["cause"], failure["fault"]) == (board.kind.cause, "submission")
    thread, page, queue = (
        board.words(board.thread(BROKEN)),
        board.page(f"/requests/{board.kind.path(BROKEN)}"),
        board.page("/queue"),
    )
    for text in (failure["message"], thread, page, queue):
        assert board.kind.tells in text, text
    assert "The problem is in the submission" in page
    assert "Next" in thread or "Submit request and predictions again" in thread


# --- what stays apart


def test_every_board_sees_its_own_things_alone(boards: SideBySide, board: RunningBoard) -> None:
    """The requests, results, worker, Redis keys and comments of a board belong to no other board."""
    name = board.kind.name
    keys = [key.decode() for key in board.redis.scan_iter(count=1000)]
    foreign = [key for key in keys if not re.match(rf"steward:1:{name}:|rq:", key)]
    assert foreign == []
    assert not [key for key in keys if key.startswith("rq:queue:") and f"steward-1-{name}-" not in key]
    workers = board.api("/workers")["workers"]
    assert len(workers) == (0 if board.kind.takes_predictions else 1)
    ends = {path for path in board.paths("requests") if path.endswith(".json")}
    assert ends == {board.kind.path(model) for model in ALL}
    assert all(path.partition("/results_")[0] in GOOD for path in board.paths("results") if path.endswith(".json"))
    for other in boards.running:
        if other is not board:
            assert other.url not in "\n".join(everything_said(board)), other.kind.name
            assert f"{other.kind.name}/requests" not in "\n".join(everything_said(board)), other.kind.name


# --- the season of the predictions


def test_the_private_part_decides_at_the_end_of_the_season(boards: SideBySide) -> None:
    """After the end of a season the private scores decide the ranks; the hidden answers are readable nowhere.

    The season's dates change instead of the time: its end is moved to before its grace period.
    """
    board = boards.boards["colours"]
    assert [row["model"] for row in board.api("/leaderboard")["rows"]] == [BY_FORM, BY_COMMAND, BY_PULL]
    (season,) = board.api("/seasons")["seasons"]
    assert (season["state"], season["rows"]) == ("open", [])
    assert leaked(boards, board) == []
    board.write_files(season_suite(boards.answers, ends=-timedelta(seconds=2 * GRACE_SECONDS)))
    board.restart("sync"), board.restart("web")
    rows = boards.wait(lambda: board.is_ready() and board.api("/seasons")["seasons"][0]["rows"])
    ranked = [(row["rank"], row["model"], row["private"], row["public"]) for row in rows]
    assert ranked == [(1, BY_COMMAND, 70.0, 50.0), (2, BY_PULL, 40.0, 30.0), (3, BY_FORM, 20.0, 80.0)]
    assert "seasons/autumn.season" in board.paths("results")
    assert "70.00" in board.page("/seasons")
    assert leaked(boards, board) == []


def leaked(boards: SideBySide, board: RunningBoard) -> list[str]:
    """The answers that no submission contains, found on a page, in the API, on the Hub, in Redis or in a log."""
    public = [*range(max(right["public"] for right in PREDICTED.values()))]
    public += range(PUBLIC_COUNT, PUBLIC_COUNT + max(right["private"] for right in PREDICTED.values()))
    texts = [in_redis(each.redis) for each in boards.running]
    texts += [child.log.read_text("utf-8", "replace") for child in boards.children.started]
    addresses = [f"/requests/{board.kind.path(BY_FORM)}", f"/models/{BY_FORM}", f"/api/models/{BY_FORM}"]
    for page in site.PAGES:
        addresses += [each for each in (page.path if page.template else "", page.api_path) if each and "{" not in each]
    texts += [board.client.get(address).text for address in addresses]
    for name in ("requests", "results", "logs", "contents", "flags"):
        texts += [repr(board.read(name, path)) for path in board.paths(name) if not path.endswith("_predictions.jsonl")]
        texts += [f"{entry.title} {entry.message}" for entry in board.reader.commits(board.repo(name))]
    texts += everything_said(board)
    everything = "\n".join(texts)
    assert "autumn" in everything, "the searched texts have to name the season"
    return [answer_of(n) for n in range(PUBLIC_COUNT + PRIVATE_COUNT) if n not in public and answer_of(n) in everything]


def everything_said(board: RunningBoard) -> list[str]:
    """Every comment of the bot in the board's repos."""
    texts = []
    for repo in (board.repo("requests"), board.repo("results"), Repo("space", board.kind.repo("leaderboard"))):
        for summary in board.reader.threads(repo):
            comments = board.reader.thread(repo, summary.num).comments
            texts += [comment.text for comment in comments if comment.author_name == BOT_NAME]
    return texts
