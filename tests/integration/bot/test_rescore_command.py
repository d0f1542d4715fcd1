"""`steward rescore`: finished evaluations get the scores of the board's newer suite, from their published answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import HfApi
from typer.testing import CliRunner

from bot.core.context import request_key
from bot.core.render import render
from bot.ledger.edits import AnyEdit, PutFile
from bot.ledger.ledger import Ledger
from bot.results.contents import gather
from bot.results.details_reader import read_details
from bot.results.rescoring import RescoringSurvey, survey
from hub.client import Hub
from hub.records import DeleteFile, Repo, WriteFile
from leaderboard.details import table_path
from leaderboard.evaluations import earlier_evaluations, evaluations
from leaderboard.results import read_results
from redis_state.board.messages import DetailsQuestion
from steward.cli import app
from steward.commands.rescore_report import EvaluationReport, RescoringReport, conclusion
from steward.testing.board import WORKER, BoardDriver
from tests.support.board.operator_commands import Command, finish_evaluation, operator_command, use_suite
from tests.support.workers import rescoring_cases as cases
from tests.support.workers.rescoring_cases import SuiteVersion

pytestmark = pytest.mark.timeout(200)
RESTRICTED = {"source: starter_navigation\n": "source: starter_navigation\n    restricted: true\n"}
ERRATA = [{"task": "starter_navigation", "question": 3, "reason": "two answers are right"}]


@pytest.fixture
def versions(tmp_path: Path) -> tuple[SuiteVersion, SuiteVersion]:
    """The board's suite, one benchmark of which is restricted, and its newer version."""
    return cases.own(tmp_path / "old", RESTRICTED, []), cases.own(tmp_path / "new", RESTRICTED, ERRATA)


@pytest.fixture
def command(stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`steward rescore --json`."""
    return operator_command("rescore", stand, valkey_url, tmp_path, monkeypatch)


def evaluated(stand: BoardDriver, version: SuiteVersion, folder: Path) -> str:
    """Have a worker evaluate ada/good by this suite and publish; return the path of the request."""
    (spool,) = cases.evaluate(folder, version)
    return finish_evaluation(stand, spool).path


def replace_answers(stand: BoardDriver, results: str, data: bytes) -> bytes:
    """Replace a table on the details repo's main branch as a worker; return the table that was replaced."""
    repo = Repo("dataset", stand.context.board.repos.details("ada/good"))
    table = table_path("starter_web_of_lies", results.rpartition("results_")[2].removesuffix(".json"))
    with Hub(stand.hub.url, WORKER) as worker:
        before = worker.read_file(repo, table).data
        worker.commit(repo, [WriteFile(table, data)], "Replace", parent=worker.head(repo))
    return before


def comments(stand: BoardDriver, path: str) -> list[str]:
    """Return the bot's comments about recomputed scores in the thread of a request."""
    thread = stand.context.hub.thread(stand.context.requests, stand.file(path)["steward"]["thread"])
    return [comment.text for comment in thread.comments if "were computed again" in comment.text]


@pytest.mark.long("an evaluation and its computation in two processes; test_rescoring has the scores")
def test_results_of_the_newer_suite_stand_beside_the_earlier_ones(
    stand: BoardDriver, versions: tuple[SuiteVersion, SuiteVersion], tmp_path: Path, command: Command
) -> None:
    """`--dry-run` only shows new scores; then results, request, scores and thread get them once, without a worker.

    The answers are those that the bot checked, although a worker replaced a table on the main branch since.
    """
    old, new = versions
    use_suite(stand, old.text, tmp_path)
    path = evaluated(stand, old, tmp_path)
    before = stand.file(path)
    earlier = before["steward"]["results"]
    use_suite(stand, new.text, tmp_path)
    table = replace_answers(stand, earlier, b"changed since")

    status, shown = command("--dry-run", "--output", str(tmp_path / "out"), "ada/good")
    (evaluation,) = shown["evaluations"]
    assert (status, shown["due"], evaluation["refused"], evaluation["answers"]) == (0, [path], None, 239)
    assert set(evaluation["changed"]) == {"Average", "Navigation"}
    written = Path(evaluation["written"])
    scores = read_results(written.read_bytes(), new.suite).scores
    assert scores.by_name["Navigation"] == evaluation["changed"]["Navigation"][1]
    assert len((written.parent / "starter_navigation.jsonl").read_text().splitlines()) == 39
    assert (stand.file(path), comments(stand, path)) == (before, [])

    status, done = command()
    assert (status, done["evaluations"][0]["changed"]) == (0, evaluation["changed"])
    assert done["evaluations"][0]["details_refused"] is None
    after = stand.file(path)
    facts = after["steward"]
    assert (after["status"], facts["rescored_from"]) == ("FINISHED", earlier)
    assert facts["results"] != earlier
    assert {**after, "steward": None} == {**before, "steward": None}
    results = read_results(stand.context.hub.read_file(stand.context.results, facts["results"]).data, new.suite)
    assert results.block.rescored_from is not None
    assert results.block.rescored_from.results == earlier
    assert stand.context.hub.read_file(stand.context.results, earlier).data
    (scored,) = stand.context.scores.all()
    assert (scored.results, scored.average) == (facts["results"], results.scores.average)
    (comment,) = comments(stand, path)
    assert "| Navigation |" in comment
    assert "1 question counts no longer" in comment
    assert stand.queued() == []

    assert command()[1]["current"] == 1
    assert stand.file(path) == after
    assert comments(stand, path) == [comment]
    replace_answers(stand, earlier, table)
    check_shown_answers(stand, path, old=earlier, new=facts["results"])

    HfApi(stand.hub.url, token=WORKER).delete_repo(stand.context.board.repos.details("ada/good"), repo_type="dataset")
    use_suite(stand, old.text, tmp_path)
    status, refused = command()
    (evaluation,) = refused["evaluations"]
    assert status == 1
    assert "the repo may have been deleted or made private" in evaluation["refused"]
    assert stand.file(path) == after
    assert survey(stand.context, new.suite).due == ()


@pytest.mark.long("imports the harness once more; the test above rescores, too")
def test_results_of_an_earlier_commit_get_scores_of_the_newer_suite_too(
    stand: BoardDriver,
    versions: tuple[SuiteVersion, SuiteVersion],
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both commits get scores by the newer suite; the request names those of the newest, and gets one comment.

    The results of the earlier commit wake the request once they are committed: it is not synced while they wait.
    """
    old, new = versions
    use_suite(stand, old.text, tmp_path)
    (spool,) = cases.evaluate(tmp_path, old)
    first = finish_evaluation(stand, spool)
    earlier, path = stand.file(first.path)["steward"]["results"], first.path
    stand.ada.upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id="ada/good")
    second = finish_evaluation(stand, spool, ended=1_795_525_200.0)
    assert (second.path, second.revision != first.revision) == (path, True)
    newest = stand.file(path)["steward"]["results"]
    use_suite(stand, new.text, tmp_path)
    stage, staged = Ledger.stage, list[AnyEdit]()

    def record(ledger: Ledger, repo: Repo, *edits: AnyEdit) -> None:
        staged.extend(edits)
        stage(ledger, repo, *edits)

    monkeypatch.setattr(Ledger, "stage", record)
    status, done = command()
    awaited = {name for edit in staged for name in edit.after}
    (alone,) = (
        edit for edit in staged if isinstance(edit, PutFile) and edit.subject == path and edit.id not in awaited
    )
    assert request_key(path) in alone.wake
    names = [path, f"{path}@{first.revision}"]
    assert (status, done["due"], [each["path"] for each in done["evaluations"]]) == (0, names, names)
    assert [(each["refused"], each["details_refused"]) for each in done["evaluations"]] == [(None, None)] * 2
    assert done["evaluations"][0]["changed"] == done["evaluations"][1]["changed"] != {}
    facts = stand.file(path)["steward"]
    files = sorted(file.path for file in stand.context.hub.list_files(stand.context.results) if "ada/good" in file.path)
    assert (files[0], files[2], files[3]) == (earlier, newest, facts["results"])
    block = read_results(stand.context.hub.read_file(stand.context.results, files[1]).data, new.suite).block
    assert (block.revision, block.rescored_from and block.rescored_from.results) == (first.revision, earlier)
    sources = gather(stand.context)
    shown = evaluations(sources)
    assert [each.measured.path for each in earlier_evaluations(sources, shown).values()] == [files[1]]
    rows = stand.context.table_rows.others()
    assert [row["Average ⬆️"] for row in rows.values()] == [block.average]
    details = Repo("dataset", stand.context.board.repos.details("ada/good"))
    assert second.revision in stand.context.hub.read_file(details, "README.md").data.decode()
    assert len(comments(stand, path)) == 1
    assert command()[1]["current"] == 2


def test_refusals_of_earlier_commits_are_counted_apart(versions: tuple[SuiteVersion, SuiteVersion]) -> None:
    """The summary suggests `steward reevaluate`, which runs only the newest commit, for refusals of that alone."""
    refused = [EvaluationReport("a.json", refused="x"), EvaluationReport("a.json@c", is_earlier=True, refused="y")]
    report = RescoringReport(versions[1].suite, RescoringSurvey(), refused)
    assert conclusion(report, dry_run=False).splitlines()[1:3] == [
        "1 keep their scores, for the reasons above: `steward reevaluate` runs them.",
        "1 of earlier commits keep the scores of the suite before, for the reasons above.",
    ]


def check_shown_answers(stand: BoardDriver, path: str, old: str, new: str) -> None:
    """Check that pages show the verdicts of the newer scores, and the earlier ones once the newer table is removed."""
    task = "starter_web_of_lies"
    earlier, newer = (table_path(task, name.rpartition("results_")[2].removesuffix(".json")) for name in (old, new))
    repo, hub = Repo("dataset", stand.context.board.repos.details("ada/good")), stand.context.hub
    restricted = Repo("dataset", stand.context.board.repos.restricted_details("ada/good"))
    assert {earlier, newer} <= set(hub.paths_info(repo, [earlier, newer]))
    places = [path.replace(task, "starter_navigation") for path in (earlier, newer)]
    assert set(hub.paths_info(restricted, places)) == set(places)
    assert hub.paths_info(repo, places) == {}
    assert newer.partition("/")[0] in hub.read_file(repo, "README.md").data.decode()
    asked = DetailsQuestion(path=path, task=task)
    part = read_details(stand.context, asked)
    (rescoring,) = part.rescorings
    assert rescoring is not None and rescoring.is_shown
    assert rescoring.results_url.endswith(new) and rescoring.earlier_url.endswith(old)
    assert part.counts["all"] == 40
    with Hub(stand.hub.url, WORKER) as worker:
        worker.commit(repo, [DeleteFile(newer)], "Remove the newer table", parent=worker.head(repo))
    (rescoring,) = read_details(stand.context, asked).rescorings
    assert rescoring is not None and not rescoring.is_shown


def test_another_suite_than_the_boards_is_shown_alone(
    stand: BoardDriver, versions: tuple[SuiteVersion, SuiteVersion], tmp_path: Path, command: Command
) -> None:
    """`steward rescore` refuses another suite than the board's, except with `--dry-run`."""
    use_suite(stand, versions[0].text, tmp_path)
    (tmp_path / "newer.yaml").write_text(versions[1].text)
    done = CliRunner().invoke(app, ["rescore", "--suite", str(tmp_path / "newer.yaml")])
    assert done.exit_code == 2
    assert "is not the board's" in done.output
    assert command("--dry-run", "--suite", str(tmp_path / "newer.yaml"))[1]["due"] == []


def test_the_comment_says_what_changed() -> None:
    """The comment about recomputed scores has this text, with and without withdrawn questions and timeouts."""
    rows = [{"name": "Average", "before": "10.00", "now": "12.50"}, {"name": "A | b", "before": "–", "now": "0.00"}]
    views = {"model": "ada/good", "precision": "bfloat16", "suite": "open-llm-v2", "rows": rows}
    urls = {"new_url": "https://hub/new", "old_url": "https://hub/old"}
    assert render("rescored", **views, **urls, withdrawn=2, timed_out=1) == (
        "The scores of **ada/good** (bfloat16) were computed again from its stored answers, by the suite `open-llm-v2` "
        "as it is now. The model was not run again: its answers are the same.\n\n"
        "| benchmark | before | now |\n|---|---|---|\n| Average | 10.00 | 12.50 |\n| A \\| b | – | 0.00 |\n\n"
        "2 questions count no longer; the errata of the suite say why. In 1 question a metric ran out of time, which "
        "counts as a wrong answer; the new results name it. The [new results](https://hub/new) say what computed them. "
        "The [earlier ones](https://hub/old) stay. The table follows within minutes.\n"
    )
    plain = render("rescored", **views, **urls, withdrawn=0, timed_out=0)
    assert plain.endswith(
        "\n\nThe [new results](https://hub/new) say what computed them. The [earlier ones](https://hub/old) stay. The "
        "table follows within minutes.\n"
    )
