"""Scores of the tiny model by the `lm_eval` command, for the starter suite and both leaderboards' suites.

`steward-eval` can compute those of the starter suite.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.suites.rows import files
from leaderboard.reproduction import RESULTS_FOLDER, TASKS_FOLDER, reproduction_command
from leaderboard.results import ResultsFile
from leaderboard.steward_block import StewardBlock
from leaderboard.suites import Suite, find_suite, parse_suite
from localhub.testing import LocalHub
from steward.testing.waiting import wait_until
from tests.support.models import suite_v1_datasets, suite_v2_datasets
from tests.support.units.details_samples import results
from tests.support.workers import lm_eval_script
from tests.support.workers.evaluation_inputs import MODEL, QUESTIONS, STARTER, WORLD, upload, upload_questions
from workers.models.tiny_model import model

PATIENCE = 350
"""Seconds; the tests that wait for a script have a timeout of 400."""


@dataclass(frozen=True)
class ScriptRun:
    """A process whose output goes to files, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    folder: Path

    @classmethod
    def start(cls, folder: Path, *arguments: str, **environment: str) -> ScriptRun:
        """Start the process, with one OpenMP thread."""
        folder.mkdir()
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            surroundings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
            return cls(subprocess.Popen(arguments, env=surroundings, stdout=out, stderr=err), folder)

    @property
    def output(self) -> str:
        """What the process has printed so far."""
        return (self.folder / "out").read_text()

    def end(self) -> str:
        """Wait until it has ended, and return what it printed."""
        wait_until(lambda: self.process.poll() is not None, seconds=PATIENCE, check=self.check)
        self.check()
        return self.output

    def check(self) -> None:
        """Fail if the process has failed."""
        assert self.process.poll() in (None, 0), (self.folder / "err").read_text()[-3000:]


@dataclass(frozen=True)
class ReferenceScores:
    """The `lm_eval` commands, which run one after the other while tests run."""

    run: ScriptRun
    folder: Path
    hub: LocalHub
    """The Hub, with the model MODEL and all questions."""
    revision: str
    """The model's commit."""
    first: Suite
    """What is asked of `open-llm-v1`."""
    leaderboard: Suite
    """What is asked of `open-llm-v2`."""

    def of(self, suite: str) -> Path:
        """Wait for the folder with results and samples of a suite."""
        wait_until(lambda: suite in self.run.output.split(), seconds=PATIENCE, check=self.run.check)
        return next((self.folder / suite).iterdir())

    def results(self, suite: str) -> dict[str, Any]:
        """Return the results file."""
        data: dict[str, Any] = json.loads(next(self.of(suite).glob("results_*.json")).read_text())
        return data

    def by_steward_eval(self) -> dict[str, Any]:
        """Run `steward-eval` with the arguments of the starter suite's command, and return its results file."""
        arguments = json.loads((self.folder / "starter.json").read_text())
        changed = {"hf": "steward-hf", str(self.folder / "starter"): str(self.folder / "standalone")}
        (self.folder / "standalone.json").write_text(json.dumps([changed.get(word, word) for word in arguments]))
        start_commands(self.folder, self.hub, "standalone").end()
        (file,) = (self.folder / "standalone").glob("*/results_*.json")
        data: dict[str, Any] = json.loads(file.read_text())
        return data


def start_commands(folder: Path, hub: LocalHub, *names: str) -> ScriptRun:
    """Start the commands whose arguments are in the files `folder/NAME.json`, one after the other."""
    return ScriptRun.start(
        folder / f"output-{names[0]}", sys.executable, lm_eval_script.__file__,
        *(str(folder / f"{name}.json") for name in names),
        HF_ENDPOINT=hub.url, HF_HOME=str(folder / "home"), HF_HUB_DISABLE_XET="1", NLTK_DATA=str(folder),
    )  # fmt: skip


@contextmanager
def reference_scores(folder: Path, *, all_tasks: bool) -> Iterator[ReferenceScores]:
    """Start the commands against a Hub with all questions: those of some tasks of each suite, or of all tasks.

    The commands of the starter suite and of `open-llm-v2` are the lines that their results show.
    """
    v1, v2 = (
        parse_suite(yaml.safe_dump(module.suite() if all_tasks else module.small_suite()))
        for module in (suite_v1_datasets, suite_v2_datasets)
    )
    with LocalHub(folder / "hub", world()) as hub:
        revision = upload(hub, MODEL, model())
        questions = upload_questions(hub)
        for repo, rows in (suite_v1_datasets.REPOS | suite_v2_datasets.REPOS).items():
            upload(hub, repo, files(rows()), "dataset")
        (folder / "group").mkdir()
        (folder / "group" / "first.yaml").write_text(yaml.safe_dump(group("first", v1)))
        group_of_first = [
            "run", "--model", "hf", "--model_args", f"pretrained={MODEL},revision={revision},dtype=float32",
            "--tasks", "first", "--include_path", str(folder / "group"), "--batch_size", "8", "--device", "cpu",
            "--output_path", str(folder / "first"), "--log_samples",
        ]  # fmt: skip
        starter = pasted(folder, "starter", shown_line(STARTER, revision, 16, {QUESTIONS: questions}))
        commands = {
            "leaderboard": pasted(folder, "leaderboard", line_of_v2(v2, revision)),
            "first": group_of_first,
            "starter": starter,
        }
        for name, arguments in commands.items():
            (folder / f"{name}.json").write_text(json.dumps(arguments))
        run = start_commands(folder, hub, *commands)
        try:
            yield ReferenceScores(run, folder, hub, revision, v1, v2)
        finally:
            run.process.kill()
            run.process.wait()


def line_of_v2(suite: Suite, revision: str) -> str:
    """The command line that a result of `open-llm-v2` shows, for the tasks of `suite`."""
    tasks = ",".join(suite.run)
    return shown_line(find_suite("open-llm-v2"), revision, 8, {}).replace("--tasks leaderboard ", f"--tasks {tasks} ")


def shown_line(suite: Suite, revision: str, batch_size: int, questions: dict[str, str]) -> str:
    """The command line that a result of `suite` shows, without the installation, for commits of model and questions."""
    made = results()
    fields = {"model": MODEL, "revision": revision, "batch_size": batch_size, "datasets": questions}
    block = StewardBlock.model_validate({**made.block.model_dump(), **fields})
    data = {**made.data, "config": {"device": "cpu", "model_args": {"dtype": "float32"}}}
    return reproduction_command(ResultsFile(block, made.scores, data), suite).run


def pasted(folder: Path, name: str, line: str) -> list[str]:
    """Return the arguments of `lm_eval` after a shell has run `line` in `folder`, with absolute paths.

    A program of this name records them: the harness runs later, in a process that has imported it.
    """
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    note = "import json, sys; json.dump(sys.argv[1:], open('lm_eval.json', 'w'))"
    (programs / "lm_eval").write_text(f"#!{sys.executable}\n{note}\n")
    (programs / "lm_eval").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-c", line], cwd=folder, env={**os.environ, "PATH": path}, check=True)
    places = {TASKS_FOLDER: str(folder / TASKS_FOLDER), RESULTS_FOLDER: str(folder / name)}
    return [places.get(word, word) for word in json.loads((folder / "lm_eval.json").read_text())]


def world() -> dict[str, Any]:
    """Return the accounts, and the organisations that publish the questions."""
    named = {repo.split("/")[0] for repo in suite_v1_datasets.REPOS | suite_v2_datasets.REPOS}
    return {**WORLD, "orgs": [*WORLD["orgs"], *({"name": name, "members": {"ada": "admin"}} for name in named)]}


def group(name: str, suite: Suite) -> dict[str, Any]:
    """A group of the harness's own tasks, which names the shots of each."""
    return {"group": name, "task": [{"task": task, "num_fewshot": count} for task, count in suite.shots.items()]}
