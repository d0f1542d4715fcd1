"""`steward suite`: `check` tries a suite before a worker runs it, and `pin` names the commits of its datasets."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson, in_sentences
from steward.commands.evaluator import FAILED, finding_line
from steward.commands.output import ending, say
from steward.exit_statuses import MISCONFIGURED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leaderboard.boards import Board
    from leaderboard.suites import Suite
    from workers.jobs.evaluator_check import EvaluatorFinding
    from workers.settings import WorkerSettings

SuiteFile = Annotated[str, typer.Argument(help="The suite file, or the name of a suite that ships with Steward.")]
PASSED = "The suite {name} is fit for a worker. Its digest: {digest}."
MISTAKES = "The suite {name} has {count} {mistakes}: correct what FAIL marks, and check it again."
NOT_THERE = "The Hub has no dataset {repos} that this token may read: correct `datasets`, or get access."
PINNED = "Pinned {repo} at {commit}."
STAYS = "{repo} is pinned at {commit}; its newest commit is {newest}."
OTHER_DIGEST = (
    "The digest was {before} and is {after}: results of the two are results of two suites. Restart bot and workers."
)
UNCHANGED = "Nothing was changed."
BY_HAND = "{file} cannot be edited in place: write these lines below `repo` of each dataset by hand."

suite = typer.Typer(help="Try a suite, and pin its datasets.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    app.add_typer(suite, name="suite")


@suite.command()
@in_sentences
def check(
    file: SuiteFile,
    seconds: Annotated[float, typer.Option(min=1, help="Time limit of each run.")] = 600.0,
    as_json: AsJson = False,
) -> None:
    """Download a suite's datasets, ask one question of each task of a tiny model, and print every mistake.

    Run it where a worker runs: it needs the extra `worker`, and no queue server. Exit status 1 if the suite has
    mistakes, 2 if it could not be tried.
    """
    from leaderboard.suites import find_suite
    from workers.errors import WorkerError
    from workers.jobs.evaluator_check import failures
    from workers.jobs.suite_check import SuiteCheck
    from workers.settings import WorkerSettings

    chosen, settings = find_suite(file), WorkerSettings()
    findings: list[EvaluatorFinding] = []
    try:
        for finding in SuiteCheck(settings, _board(settings, file), chosen, seconds).findings():
            findings.append(finding)
            if not as_json:
                say(finding_line(finding))
    except (WorkerError, OSError) as error:
        raise ending(f"the suite cannot be tried here: {error}", MISCONFIGURED) from error
    failed = failures(findings)
    if as_json:
        print(json.dumps({"passed": not failed, "findings": [asdict(finding) for finding in findings]}))
    elif failed:
        say(MISTAKES.format(name=chosen.name, count=failed, mistakes="mistake" if failed == 1 else "mistakes"))
    else:
        say(PASSED.format(name=chosen.name, digest=chosen.digest))
    raise typer.Exit(FAILED if failed else 0)


def _board(settings: WorkerSettings, file: str) -> Board:
    """Return the board of the settings, which may have copies of datasets; without one, a board for the suite."""
    from leaderboard.boards import parse_board
    from steward.new_board import NewBoardOptions

    if settings.board_file.exists():
        return settings.board()
    return parse_board(NewBoardOptions("local", "local", "local", file).board_text([]))


@suite.command()
@in_sentences
def pin(
    file: SuiteFile,
    update: Annotated[bool, typer.Option("--update", help="Also move datasets that are pinned already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the newest commit of each dataset into a suite file, so that evaluations ask the same questions.

    For a suite that ships with Steward, print the lines for the board file instead.
    """
    from leaderboard.suites import find_suite, shipped

    chosen = find_suite(file)
    newest = _newest(chosen)
    if file in shipped():
        if as_json:
            print(json.dumps({"newest": newest, "pinned": {}, "digest": chosen.digest}))
            return
        say("\n".join(["questions:", *(f"  {repo}: {repo}@{commit}" for repo, commit in newest.items())]))
        return
    commits = {source.repo: newest[source.repo] for source in chosen.datasets if update or source.revision is None}
    _write(Path(file), chosen, commits)
    after = find_suite(file).digest
    if as_json:
        print(json.dumps({"newest": newest, "pinned": commits, "digest": after}))
        return
    for source in chosen.datasets:
        if source.repo in commits:
            say(PINNED.format(repo=source.repo, commit=newest[source.repo]))
        else:
            say(STAYS.format(repo=source.repo, commit=source.revision, newest=newest[source.repo]))
    say(UNCHANGED if after == chosen.digest else OTHER_DIGEST.format(before=chosen.digest[:12], after=after[:12]))


def _newest(chosen: Suite) -> Mapping[str, str]:
    """Return the newest commit of each dataset. Ends the command if one cannot be read."""
    from hub.client import Hub
    from hub.errors import NotFound
    from hub.records import Repo
    from steward.commands.board import settings_of, worker_token

    commits, missing = dict[str, str](), list[str]()
    with Hub(settings_of().hf_endpoint, worker_token()) as hub:
        for source in chosen.datasets:
            try:
                commits[source.repo] = hub.head(Repo("dataset", source.repo))
            except NotFound:
                missing.append(source.repo)
    if missing:
        raise ending(NOT_THERE.format(repos=", ".join(missing)), MISCONFIGURED)
    return commits


def _write(file: Path, chosen: Suite, commits: Mapping[str, str]) -> None:
    """Write `commits` into the suite file. Ends the command if that would change anything else."""
    from leaderboard.suite_questions import pin_datasets
    from leaderboard.suites import BadSuite, parse_suite

    text = pin_datasets(file.read_text("utf-8"), commits)
    datasets = tuple(source.at(commits.get(source.repo, source.revision)) for source in chosen.datasets)
    try:
        is_right = parse_suite(text) == chosen.model_copy(update={"datasets": datasets})
    except BadSuite:
        is_right = False
    if not is_right:
        lines = [f"  {repo}: revision: {commit}" for repo, commit in commits.items()]
        raise ending("\n".join([BY_HAND.format(file=file), *lines]), FAILED)
    file.write_text(text, "utf-8")
