"""The evaluator of inspect-ai's tasks with inspect-ai itself: tasks, models, and a whole evaluation."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import read_eval_log

from leaderboard.evaluator_contract import EvaluatorFailure, EvaluatorResults
from tests.support.evaluators.inspect_tasks import CAPITALS, EVAL_YAML, REPO, SUITE, question_files
from workers.evaluators.inspect_tasks import __main__ as evaluator
from workers.evaluators.inspect_tasks.settings import CannotEvaluate, InspectOptions, TaskSource, read_options
from workers.evaluators.inspect_tasks.tasks import make_tasks
from workers.models.tiny_model import config, model, safetensors, tensors


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let inspect-ai and datasets write below the test's folder, offline, and remove a test's modules after it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    for offline in ("huggingface_hub.constants.HF_HUB_OFFLINE", "datasets.config.HF_HUB_OFFLINE"):
        monkeypatch.setattr(offline, True)  # as a worker's child is
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in set(sys.modules) - before:
        if name.startswith("evals_of_"):
            del sys.modules[name]


# --- tasks


def plan_of(folder: Path, **options: Any) -> dict[str, Any]:
    """Write the files of the dataset, and return a plan that names them."""
    (folder / "benchmark").mkdir()
    for name, data in question_files().items():
        (folder / "benchmark" / name).write_bytes(data)
    questions = [{"repo": REPO, "revision": "0" * 40, "folder": str(folder / "benchmark")}]
    tasks = [{"name": "capitals", "metrics": ["accuracy"]}, {"name": "letters", "metrics": ["exact"]}]
    tasks = [{**task, "withdrawn": []} for task in tasks]
    return {"mode": "evaluate", "options": options, "tasks": tasks, "questions": questions, "seed": 1234}


def test_tasks_of_an_eval_yaml(tmp_path: Path) -> None:
    """The evaluator makes tasks from eval.yaml; it shuffles choices in the same way each time, with their targets."""
    plan = plan_of(tmp_path, **SUITE["evaluator"]["options"])
    tasks, again = make_tasks(plan, read_options(plan)), make_tasks(plan, read_options(plan))
    assert list(tasks) == ["capitals", "letters"]
    capitals = list(tasks["capitals"].dataset)
    assert [sample.choices for sample in capitals] == [sample.choices for sample in again["capitals"].dataset]
    for sample, row in zip(capitals, CAPITALS, strict=True):
        assert sample.choices is not None and isinstance(sample.target, list | str)
        assert sample.choices["ABC".index(sample.target[0])] == row["options"][0]
    assert tasks["letters"].epochs == 2 and len(tasks["letters"].dataset) == 5


PACKAGES: dict[str, tuple[str, str]] = {
    "no such module": ("", "evals_of_test:made fails: ModuleNotFoundError"),
    "no such function": ("other = 1", "evals_of_test:made fails: AttributeError"),
    "raises": ("def made(): raise ValueError('no questions today')", "fails: ValueError: no questions today"),
    "no task": ("def made(): return 5", "gives a int, and no Task of inspect-ai"),
    "another argument": ("def made(*, digits): return 5", "fails: TypeError"),
    "the network": (
        "from inspect_ai.dataset import hf_dataset\n"
        "def made(): return Task(hf_dataset('else/where', split='test', retry=False), scorer=includes())",
        "fails: ",
    ),
    "a sandbox": ("def made(): return Task([Sample('?')], scorer=includes(), sandbox='docker')", "needs a sandbox"),
    "a sandbox of a question": (
        "def made(): return Task([Sample('?', setup='ls')], scorer=includes())", "needs a sandbox",
    ),
    "another model": (
        "def made(): return Task([Sample('?')], scorer=includes(), model='mockllm/model')", "names a model of its own",
    ),
    "graded by a model": (
        "def made(): return Task([Sample('?')], scorer=model_graded_qa())", "asks a model to grade the answers",
    ),
    "no questions": ("def made(): return Task([], scorer=includes())", "has no questions|fails: "),
    "no scorer": ("def made(): return Task([Sample('?')])", "has no scorer"),
}  # fmt: skip
HEAD = """\
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes, model_graded_qa
"""


@pytest.mark.parametrize(("source", "words"), PACKAGES.values(), ids=PACKAGES)
def test_a_packages_task_that_cannot_run_is_refused(tmp_path: Path, source: str, words: str) -> None:
    """The evaluator refuses a package's task that cannot run, with the reason, and the fault is not the model's."""
    if source:
        (tmp_path / "evals_of_test.py").write_text(HEAD + source)
    plan = plan_of(tmp_path, tasks={"letters": {"function": "evals_of_test:made"}})
    plan["tasks"] = plan["tasks"][1:]
    with pytest.raises(CannotEvaluate, match=words) as refused:
        make_tasks(plan, read_options(plan))
    assert refused.value.fault == "evaluator" and "letters" in str(refused.value)


def test_a_packages_task_reads_the_suites_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package's task that loads the dataset `org/name` reads the suite's files."""
    source = f"""
from inspect_ai.dataset import FieldSpec, hf_dataset
def made(limit):
    rows = hf_dataset({REPO!r}, name="letters", split="test", sample_fields=FieldSpec(input="text", target="letter"))
    return Task(rows[:limit], scorer=includes())
"""
    (tmp_path / "evals_of_test.py").write_text(HEAD + source)
    plan = plan_of(tmp_path, tasks={"letters": {"function": "evals_of_test:made", "args": {"limit": 3}}})
    plan["tasks"] = plan["tasks"][1:]
    monkeypatch.chdir(tmp_path)
    evaluator._enter_datasets(plan, tmp_path)
    (task,) = make_tasks(plan, read_options(plan)).values()
    assert [sample.input for sample in task.dataset] == ["Say a", "Say e", "Say i"]


WRONG_DATA: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another config": (lambda fields: fields.update(config="rivers"), "config rivers, split test cannot be read"),
    "another split": (lambda fields: fields.update(split="train"), "config capitals, split train cannot be read"),
    "another column": (
        lambda fields: fields["field_spec"].update(input="q"),
        "a row does not have what field_spec says",
    ),
    "another argument": (lambda fields: fields["scorers"][0].update(args={"x": 1}), "choice cannot be made: TypeError"),
}


@pytest.mark.parametrize(("edit", "words"), WRONG_DATA.values(), ids=WRONG_DATA)
def test_a_dataset_that_differs_from_its_eval_yaml_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, Any]], Any], words: str
) -> None:
    """The evaluator refuses a dataset without the config, split, column or solver argument that its eval.yaml names."""
    content = json.loads(json.dumps(EVAL_YAML))
    edit(content["tasks"][0])
    plan = plan_of(tmp_path)
    (tmp_path / "benchmark" / "eval.yaml").write_text(json.dumps(content))
    plan["tasks"] = plan["tasks"][:1]
    with pytest.raises(CannotEvaluate, match=words):
        make_tasks(plan, InspectOptions())
    with pytest.raises(CannotEvaluate, match="the suite has no dataset ada/other"):
        make_tasks(plan, InspectOptions(tasks={"capitals": TaskSource(dataset="ada/other")}))


# --- models

WITHOUT_HEAD = {name: part for name, part in tensors().items() if name != "lm_head.weight"}
MODELS: dict[str, tuple[dict[str, bytes], dict[str, Any], str]] = {
    "missing weights": ({"model.safetensors": safetensors(WITHOUT_HEAD)}, {}, "weights are missing, such as lm_head"),
    "cut weights": ({"model.safetensors": safetensors(tensors())[:-100]}, {}, "transformers cannot load it: "),
    "an unknown type": ({"config.json": json.dumps(config(model_type="?")).encode()}, {}, "cannot load it: "),
    "an adapter": ({}, {"weight_type": "Adapter"}, "only whole models are evaluated, and this is an Adapter"),
    "no template": (
        {"tokenizer_config.json": json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}).encode(),
         "chat_template.jinja": b""},
        {"use_chat_template": True}, "it has no chat template",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "asks", "words"), MODELS.values(), ids=MODELS)
def test_a_model_that_cannot_be_asked_is_refused(
    tmp_path: Path, files: dict[str, bytes], asks: dict[str, Any], words: str
) -> None:
    """The evaluator refuses a model that it cannot load or prompt, with the reason, as the model's fault."""
    from workers.evaluators.inspect_tasks.model import load_model  # torch is heavy, and needed here alone

    for name, data in {**model(), **files}.items():
        (tmp_path / name).write_bytes(data)
    planned = {"name": "org/m", "folder": str(tmp_path), "weight_type": "Original", "dtype": "float32"}
    planned |= {"quantisation": {}, "use_chat_template": False, **asks}
    plan = {"model": planned, "devices": {"device": "cpu", "spread": "one"}}
    with pytest.raises(CannotEvaluate, match=words) as refused:
        load_model(plan, InspectOptions())
    assert refused.value.fault == "model"


# --- a whole evaluation


def evaluated(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Path:
    """Run the evaluator in this process, and return its folder."""
    plan = plan_of(folder, **SUITE["evaluator"]["options"])
    work = folder / "work"
    for created_folder in (work, work / "samples", work / "attachments", folder / "model"):
        created_folder.mkdir()
    for name, data in model().items():
        (folder / "model" / name).write_bytes(data)
    planned = {"name": "org/m", "revision": "1" * 40, "folder": str(folder / "model"), "weight_type": "Original"}
    plan["model"] = {**planned, "dtype": "float32", "quantisation": {}, "use_chat_template": True}
    plan["devices"] = {"device": "cpu", "spread": "one", "batch_size": 2, "threads": None}
    limits = {"attachments": 50, "attachments_bytes": 1 << 20}
    plan |= {"tasks": plan["tasks"][:1], "limit": 2, "limits": limits, **changes}
    plan["options"] = {**plan["options"], "tasks": {}}
    (work / "plan.json").write_text(json.dumps(plan))
    monkeypatch.chdir(work)
    monkeypatch.setenv("STEWARD_PLAN", str(work / "plan.json"))
    for name in ("INSPECT_DISPLAY", "INSPECT_LOG_LEVEL", "HF_DATASETS_CACHE"):
        monkeypatch.setenv(name, "")  # the evaluator sets them; monkeypatch restores them
    with (work / "progress").open("wb") as progress:
        monkeypatch.setenv("STEWARD_PROGRESS", str(progress.fileno()))
        evaluator.main()
    return work


def test_a_plan_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The evaluator writes samples, results, progress and inspect-ai's log, within the plan's limit of questions."""
    work = evaluated(tmp_path, monkeypatch)
    results = EvaluatorResults.model_validate_json((work / "results.json").read_bytes())
    assert (results.model, results.tasks["capitals"].questions) == ("org/m", 2)
    samples = [json.loads(line) for line in (work / "samples" / "capitals.jsonl").read_text().splitlines()]
    assert [sample["question"]["input"] for sample in samples] == [row["question"] for row in CAPITALS[:2]]
    progress = [json.loads(line) for line in (work / "progress").read_text().splitlines()]
    assert progress == [{"done": 1, "total": 2}, {"done": 2, "total": 2}]
    log = read_eval_log(str(work / "attachments" / "capitals.eval"))
    assert log.samples is not None and log.eval.task == "capitals"
    assert [sample.output.completion for sample in log.samples] == [sample["output"] for sample in samples]


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "no such task": (
        {"tasks": [{"name": "rivers", "metrics": ["accuracy"], "withdrawn": []}]},
        "eval.yaml: there is no task rivers; its tasks are capitals, say-letters",
    ),
    "stored answers to score again": (
        {"mode": "score", "questions": []},
        "inspect-ai's scorers do not run again on stored answers: leave scores_again out of the suite",
    ),
}


@pytest.mark.parametrize(("changes", "words"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_left_with_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    """If it fails, the evaluator ends with status 1 and writes a valid failure.json with fault and reason."""
    with pytest.raises(SystemExit, match="1"):
        evaluated(tmp_path, monkeypatch, **changes)
    failure = EvaluatorFailure.model_validate_json((tmp_path / "work" / "failure.json").read_bytes())
    assert failure.fault == "evaluator"
    assert failure.message == words
