"""`steward suite`: what it says of a good suite and of broken ones, and the commits that it pins."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from localhub.testing import HubWorld, LocalHub
from steward.cli import app

DOCS = Path(__file__).parents[3] / "docs" / "writing-a-suite.md"
SUITE = DOCS.read_text("utf-8").partition("cat > mine.yaml <<'END'\n")[2].partition("END\n")[0]
REPO = "our-board/questions"
ROWS = {"colours": {"question": "Is snow white?", "answer": "yes"}, "sums": {"input": "1 + 1", "target": "2"}}
CARD = "---\nconfigs:\n" + "".join(
    f"- {{config_name: {name}, data_files: [{{split: test, path: {name}/test.jsonl}}, "
    f"{{split: fewshot, path: {name}/fewshot.jsonl}}]}}\n"
    for name in ROWS
)
FILES = {
    "README.md": f"{CARD}---\n",
    **{
        f"{name}/{split}.jsonl": f"{json.dumps(row)}\n" * 3
        for name, row in ROWS.items()
        for split in ("test", "fewshot")
    },
}
LM_EVAL = """
name: arc
title: ARC
version: 1
run: [arc_eazy]
datasets: [{repo: our-board/none}, {repo: our-board/questions, configs: [colours, sum]}]
benchmarks: [{name: Easy, source: arc_easy, tasks: [{name: arc_easy}], metrics: ["acc,none"], shots: 0}]
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub with the questions of the suite that docs/writing-a-suite.md shows."""
    world = HubWorld().user("bot").org("our-board", {"bot": "admin"}).repo("dataset", REPO, FILES)
    with LocalHub(tmp_path_factory.mktemp("hub"), world) as started:
        yield started


@pytest.fixture
def steward(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """The command line, in an empty folder and with an empty work folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("STEWARD_WORK_DIR", str(tmp_path / "work"))
    yield CliRunner()


def check(steward: CliRunner, text: str, *options: str) -> Result:
    """Check the suite with this text."""
    Path("suite.yaml").write_text(text)
    return steward.invoke(app, ["suite", "check", "suite.yaml", *options])


def mistakes(ended: Result) -> list[str]:
    """The lines of mistakes."""
    assert ended.exit_code == 1, ended.output
    return [line.removeprefix("FAIL  ") for line in ended.output.splitlines() if line.startswith("FAIL")]


@pytest.mark.long("asks a model; the next test does, too")
def test_a_good_suite_passes(steward: CliRunner) -> None:
    """One question of each task is asked of the tiny model, and each benchmark gets its metrics."""
    ended = check(steward, SUITE, "--json")
    assert ended.exit_code == 0, ended.output
    findings = json.loads(ended.stdout)["findings"]
    assert [finding["title"] for finding in findings] == [
        f"dataset {REPO}",
        "tasks",
        "benchmark Colours",
        "benchmark Sums",
    ]


def test_every_mistake_is_named_at_once(steward: CliRunner) -> None:
    """A field that no question has and a metric that lm-eval lacks are found in one go, although each ends a run."""
    broken = SUITE.replace("{{question}}", "{{land}}").replace("exact_match", "exact_mach")
    metric, task = mistakes(check(steward, broken))
    assert metric.startswith("metric exact_mach: ") and "did you mean exact_match" in metric
    assert re.fullmatch("task mine_colours: harness-error: UndefinedError: 'land' is undefined", task)


@pytest.mark.long("imports the harness once more; the test above has other mistakes")
def test_names_and_datasets_that_do_not_exist_are_named(steward: CliRunner) -> None:
    """A task that lm-eval lacks, a dataset that the Hub lacks and a config that a dataset lacks are found in one go."""
    task, dataset, config = mistakes(check(steward, LM_EVAL))
    assert task.startswith("task arc_eazy: ") and "arc_easy" in task
    assert dataset.startswith("dataset our-board/none: ") and config.startswith(f"dataset {REPO}: sum: ")


def test_pin_writes_the_newest_commits(steward: CliRunner, hub: LocalHub) -> None:
    """`pin` writes the commit of each dataset into the file, moves it only with --update, and refuses missing ones."""
    Path("suite.yaml").write_text(SUITE)
    pinned = steward.invoke(app, ["suite", "pin", "suite.yaml"])
    assert pinned.exit_code == 0 and "The digest was" in pinned.output, pinned.output
    (commit,) = re.findall(rf'revision: "([0-9a-f]{{40}})", repo: {REPO}', Path("suite.yaml").read_text())
    assert f"Pinned {REPO} at {commit}." in pinned.output
    Path("suite.yaml").write_text(Path("suite.yaml").read_text().replace(commit, "0" * 40))
    again = steward.invoke(app, ["suite", "pin", "suite.yaml"])
    assert f"its newest commit is {commit}" in again.output and "Nothing was changed." in again.output
    moved = json.loads(steward.invoke(app, ["suite", "pin", "suite.yaml", "--update", "--json"]).stdout)
    assert moved["pinned"] == {REPO: commit}
    assert commit in Path("suite.yaml").read_text()
    Path("none.yaml").write_text(SUITE.replace(REPO, "our-board/none"))
    missing = steward.invoke(app, ["suite", "pin", "none.yaml"])
    assert missing.exit_code == 2 and "our-board/none" in missing.stderr
