"""Scores: those of the `lm_eval` command, digit for digit, and the same by two copies of a child."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from leaderboard.results import engine_use, phase_seconds, score
from leaderboard.suites import Dataset, parse_suite
from leaderboard.uncertainty import AnswerCollector, standard_errors
from localhub.testing import LocalHub
from tests.support.units.direct_errors import direct_error
from tests.support.workers import evaluation_script
from tests.support.workers.evaluation_inputs import MODEL, STARTER, WORLD, access, plan, upload, upload_questions
from tests.support.workers.real_worker import SUITE, question_files
from tests.support.workers.reference_scores import ReferenceScores, ScriptRun
from workers.common.run_plan import RunPlan
from workers.evaluation.task_files import write_tasks
from workers.models.downloads import fetch_datasets, fetch_model
from workers.models.tiny_model import model as model_files
from workers.publication.details import write_samples

CHILD = Path(evaluation_script.__file__)
CHOICES = {definition.task for definition in STARTER.definitions if definition.choices}
"""Tasks that compare the log-likelihoods of choices."""


@dataclass(frozen=True)
class Runs:
    """The same evaluation by the command, by a child, with what the child said, and by one with shared prefixes.

    One of GPQA.
    And one of another suite twice: by one child, and by two copies of it that share the questions.
    """

    command: Path
    child: Path
    said: str
    gpqa: Path
    alone: Path
    together: Path
    by_prefix: Path


def unshared() -> list[str]:
    """The command that starts a process without a network; empty if this machine cannot."""
    for way in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        if shutil.which("unshare") and subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
            return way
    return []


def planned(folder: Path, tasks: Path, questions: Path, model: Path, revision: str) -> RunPlan:
    """A plan whose spool is `folder`."""
    folder.mkdir()
    return plan(folder).model_copy(
        update={
            "revision": revision,
            "model_path": model,
            "task_folder": tasks,
            "datasets": questions,
            "batch_size": 16,
        }
    )


def child(folder: Path, *plans: RunPlan) -> ScriptRun:
    """A child for each of `plans`, one after the other, in a network namespace of its own where nothing is."""
    orders = [str(one.spool.with_suffix(".json")) for one in plans]
    for order, one in zip(orders, plans, strict=True):
        Path(order).write_text(one.model_dump_json())
    return ScriptRun.start(folder, *unshared(), sys.executable, str(CHILD), "run", *orders)


@pytest.fixture(scope="module")
def runs(reference: ReferenceScores, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The command and the children at the same time: each is a process that imports the harness."""
    folder = tmp_path_factory.mktemp("scores")
    with LocalHub(folder / "hub", WORLD) as hub:
        revision = upload(hub, MODEL, model_files())
        upload_questions(hub)
        questions = fetch_datasets(STARTER, access(hub), folder / "cache")
        model = fetch_model(MODEL, revision, access(hub), folder / "models")
        ((repo, commit),) = questions.revisions.items()
        tasks = write_tasks(STARTER, folder / "tasks", repo=repo, revision=commit)
        planned_run = planned(folder / "child", tasks, questions.folder, model, revision)
        by_prefix = planned(folder / "by_prefix", tasks, questions.folder, model, revision)
        plans = [
            planned_run,
            gpqa(hub, folder, model, revision),
            *copies(hub, folder, model, revision),
            by_prefix.model_copy(update={"engine": "shared-prefix"}),
        ]
        said = child(folder / "children.said", *plans).end()
    return Runs(reference.of("starter"), planned_run.spool, said.splitlines()[0], *(one.spool for one in plans[1:]))


def copies(hub: LocalHub, folder: Path, model: Path, revision: str) -> list[RunPlan]:
    """Two plans of a dozen questions: for one child, and for two copies."""
    suite = parse_suite(yaml.safe_dump(SUITE))
    upload(hub, *question_files())
    questions = fetch_datasets(suite, access(hub), folder / "quick-cache")
    ((repo, commit),) = questions.revisions.items()
    tasks = write_tasks(suite, folder / "quick-tasks", repo=repo, revision=commit)
    of_suite = {"tasks": suite.run, "batch_size": 2, "suite": suite.name, "suite_digest": suite.digest}
    spread = {"alone": {}, "together": {"spread": "copies", "copies": 2}}
    return [
        planned(folder / name, tasks, questions.folder, model, revision).model_copy(update={**of_suite, **changes})
        for name, changes in spread.items()
    ]


def gpqa(hub: LocalHub, folder: Path, model: str, revision: str) -> RunPlan:
    """A plan of one of the harness's own tasks, with questions like its own."""
    source = Dataset(repo="ada/gpqa", configs=("gpqa_diamond",))
    upload_gpqa(hub, source.repo)
    suite = STARTER.model_copy(update={"definitions": (), "datasets": (source,)})
    questions = fetch_datasets(suite, access(hub), folder / "gpqa-cache")
    tasks = gpqa_tasks(folder / "gpqa-tasks", source.repo)
    run = planned(folder / "gpqa", tasks, questions.folder, model, revision)
    return run.model_copy(update={"tasks": ("leaderboard_gpqa_diamond",)})


def results(file: Path) -> dict[str, Any]:
    """A results file."""
    data: dict[str, Any] = json.loads(file.read_text())
    return data


def test_scores_are_those_of_the_command_digit_for_digit(runs: Runs) -> None:
    """Results, hashes of prompts, and each sample's log-likelihoods and texts equal those of the command."""
    ours, theirs = results(runs.child / "results.json"), results(next(runs.command.glob("results_*.json")))
    print(json.dumps({"child": ours["results"], "lm_eval": theirs["results"]}, indent=1))
    assert ours["results"] == theirs["results"]
    assert ours["task_hashes"] == theirs["task_hashes"]
    assert ours["n-shot"] == theirs["n-shot"]
    for task in STARTER.tasks:
        (samples,) = runs.command.glob(f"samples_{task}_*.jsonl")
        assert (runs.child / "samples" / f"{task}.jsonl").read_text() == samples.read_text()


def test_shared_prefixes_give_the_same_scores_and_choices(runs: Runs) -> None:
    """Results equal the command's digit for digit; log-likelihoods are near its own; the record says what was used."""
    ours, theirs = results(runs.by_prefix / "results.json"), results(next(runs.command.glob("results_*.json")))
    assert ours["results"] == theirs["results"]
    use = engine_use(ours)
    assert use is not None
    assert (use.engine, use.compared, use.reason) == ("shared-prefix", 64, "")
    assert use.largest_difference < 1e-4
    for task in STARTER.tasks:
        harness, engine = (
            [json.loads(line) for line in (spool / "samples" / f"{task}.jsonl").open()]
            for spool in (runs.child, runs.by_prefix)
        )
        for expected, sample in zip(harness, engine, strict=True):
            pairs = list(zip(expected["filtered_resps"], sample["filtered_resps"], strict=True))
            if task in CHOICES:
                assert [ours[1] for _, ours in pairs] == [theirs[1] for theirs, _ in pairs]
                differences = [abs(float(ours[0]) - float(theirs[0])) for theirs, ours in pairs]
                assert max(differences) < 1e-4
            else:
                assert all(ours == theirs for theirs, ours in pairs)


def test_standard_errors_equal_a_direct_computation(runs: Runs, tmp_path: Path) -> None:
    """The errors of the harness's own samples equal those that plain loops over the published rows give."""
    scores, collectors = score(results(runs.child / "results.json")["results"], STARTER), dict[str, AnswerCollector]()
    rows: dict[str, list[dict[str, Any]]] = {}
    for benchmark in STARTER.benchmarks:
        for task in benchmark.tasks:
            collectors[task.name] = AnswerCollector(task.name, benchmark)
            samples, table = runs.child / "samples" / f"{task.name}.jsonl", tmp_path / "table.parquet"
            write_samples(samples, table, benchmark.metrics, collectors[task.name].add)
            rows[task.name] = pq.read_table(table).to_pylist()
    answers = {task: collector.answers() for task, collector in collectors.items()}
    errors = standard_errors(answers, scores, STARTER).normalised
    direct = {benchmark.name: direct_error(benchmark, rows) for benchmark in STARTER.benchmarks}
    assert errors.benchmarks == pytest.approx(direct, rel=1e-5)
    assert errors.average == pytest.approx(math.hypot(*direct.values()) / len(direct), rel=1e-5)


def test_the_answers_are_not_all_the_same(runs: Runs) -> None:
    """The answers differ, so that the comparison is meaningful."""
    lines = (runs.child / "samples" / "starter_navigation.jsonl").read_text().splitlines()
    assert len({str(json.loads(line)["resps"]) for line in lines}) > 30


def test_progress_counts_every_request_up_to_the_last(runs: Runs) -> None:
    """Two choices a question in three tasks, four in one, one text in two: 480."""
    assert runs.said.split() == ["load", "prepare", "evaluate", "score", "480", "480"]


def test_how_long_each_phase_took_is_told(runs: Runs) -> None:
    """The results report the seconds of each phase."""
    seconds = phase_seconds(results(runs.child / "results.json"))
    assert list(seconds) == ["load", "prepare", "evaluate"]
    assert seconds["evaluate"] > 0


def test_results_name_the_model_and_no_folder_of_this_machine(runs: Runs) -> None:
    """The results name the model and its commit, and no folder of this machine."""
    text = (runs.child / "results.json").read_text()
    found = json.loads(text)
    assert found["model_name"] == found["config"]["model_name"] == MODEL
    assert found["config"]["model_args"]["pretrained"] == MODEL
    assert found["config"]["model_sha"] == found["config"]["model_args"]["revision"]
    assert str(runs.child.parent) not in text


def test_the_arguments_have_the_form_that_the_command_writes(runs: Runs) -> None:
    """The arguments are the command's object, member by member; the two runs read the model from different Hubs."""
    ours, theirs = results(runs.child / "results.json"), results(next(runs.command.glob("results_*.json")))
    arguments, expected = ours["config"]["model_args"], theirs["config"]["model_args"]
    assert all(len(one.pop("revision")) == 40 for one in (arguments, expected))
    assert arguments == expected


def test_the_spool_holds_what_was_promised_and_no_more(runs: Runs) -> None:
    """The spool holds only the promised files; the harness's own folder is removed."""
    assert {path.name for path in runs.child.iterdir()} == {"results.json", "samples", "datasets"}
    assert {path.stem for path in (runs.child / "samples").iterdir()} == set(STARTER.tasks)


NAMES = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Correct Answer")


def gpqa_questions() -> list[dict[str, str]]:
    """Questions with the fields of GPQA."""
    return [{"Question": f"Question {i}?", **{name: f"{name[0]}{i}{name[-1]}" for name in NAMES}} for i in range(9)]


def upload_gpqa(hub: LocalHub, repo: str) -> None:
    """Upload the questions in GPQA's format."""
    lines = "".join(json.dumps(row) + "\n" for row in gpqa_questions()).encode()
    card = b"---\nconfigs:\n- {config_name: gpqa_diamond, data_files: [{split: train, path: d.jsonl}]}\n---\n"
    upload(hub, repo, {"README.md": card, "d.jsonl": lines}, "dataset")


def gpqa_tasks(folder: Path, repo: str) -> Path:
    """The harness's own task, with its questions in `repo`."""
    found = find_spec("lm_eval")
    assert found is not None
    shipped = Path(found.origin or "").parent / "tasks/leaderboard/gpqa"
    folder.mkdir()
    for name in ("_template_yaml", "utils.py", "gpqa_diamond_zeroshot.yaml"):
        (folder / name).write_text((shipped / name).read_text().replace("Idavidrein/gpqa", repo))
    return folder


def test_gpqas_choices_are_shuffled_once_as_the_command_shuffles_them(runs: Runs) -> None:
    """GPQA's choices are shuffled only once, from seed 0, although the task shuffles whenever it derives its table."""
    asked = [json.loads(line)["doc"] for line in (runs.gpqa / "samples/leaderboard_gpqa_diamond.jsonl").open()]
    shuffle = Random(0)
    for row, doc in zip(gpqa_questions(), asked, strict=True):
        choices = [row[name] for name in NAMES]
        shuffle.shuffle(choices)
        assert [doc[f"choice{i}"] for i in (1, 2, 3, 4)] == choices


def answers(spool: Path) -> list[dict[str, Any]]:
    """The samples of a dozen questions, in their order."""
    lines = (spool / "samples" / "quick_choose.jsonl").read_text().splitlines()
    return sorted(map(json.loads, lines), key=lambda sample: int(sample["doc_id"]))


def test_two_copies_find_what_one_finds(runs: Runs) -> None:
    """Data parallel: the same scores, and the same answer to every question."""
    assert results(runs.together / "results.json")["results"] == results(runs.alone / "results.json")["results"]
    found, expected = answers(runs.together), answers(runs.alone)
    assert [sample["doc"] for sample in found] == [sample["doc"] for sample in expected]
    assert [sample["filtered_resps"] for sample in found] == [sample["filtered_resps"] for sample in expected]
