"""The evaluator of inspect-ai's tasks: options, eval.yaml, and what it refuses before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.evaluators.inspect_tasks import CAPITALS, EVAL_YAML, SUITE
from workers.evaluators.inspect_tasks.eval_yaml import MAX_BYTES, FieldSpec, question_of, read_task
from workers.evaluators.inspect_tasks.settings import CannotEvaluate, read_options

Edit = Callable[[dict[str, Any]], Any]


def written(folder: Path, content: object) -> Path:
    """A dataset with this eval.yaml."""
    data = content if isinstance(content, bytes) else yaml.safe_dump(content).encode()
    (folder / "eval.yaml").write_bytes(data)
    return folder


def test_a_task_is_found_by_its_id_or_by_the_suites_name(tmp_path: Path) -> None:
    """The evaluator finds a task of eval.yaml by its id or by the suite's task name; a single task needs no id."""
    folder = written(tmp_path, EVAL_YAML)
    assert read_task(folder, "", "capitals").scorers[0].name == "choice"
    assert read_task(folder, "say-letters", "letters").epochs == 2
    alone = {"tasks": [{key: value for key, value in EVAL_YAML["tasks"][0].items() if key != "id"}]}
    assert read_task(written(tmp_path, alone), "", "anything").split == "test"


MALFORMED: dict[str, tuple[object, str]] = {
    "huge": (b"#" * (MAX_BYTES + 1), "more than 262,144 bytes"),
    "no YAML": (b"tasks: [", "it is no YAML"),
    "an object of Python": (b"!!python/object/apply:os.system [id]", "it is no YAML"),
    "another encoding": (b"\xff\xfe\xff", "it is no YAML"),
    "deep": (b"[" * 100_000, "it is no YAML"),
    "a list": (["tasks"], "it is no mapping"),
    "without tasks": ({"name": "x"}, "it has no list of tasks"),
    "tasks that are no mappings": ({"tasks": ["x"]}, "it has no list of tasks"),
    "another framework": ({**EVAL_YAML, "evaluation_framework": "nemo"}, "its evaluation_framework is nemo"),
}


@pytest.mark.parametrize(("content", "words"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_refused(tmp_path: Path, content: object, words: str) -> None:
    """The evaluator refuses a malformed eval.yaml with the reason, and the fault is not the model's."""
    with pytest.raises(CannotEvaluate, match=words) as refused:
        read_task(written(tmp_path, content), "", "capitals")
    assert refused.value.fault == "evaluator"


def test_a_dataset_without_the_file_is_refused(tmp_path: Path) -> None:
    """The evaluator refuses a dataset without eval.yaml."""
    with pytest.raises(CannotEvaluate, match=r"eval\.yaml: the dataset has no such file"):
        read_task(tmp_path, "", "capitals")


WRONG_TASKS: dict[str, tuple[Edit, str]] = {
    "another id": (
        lambda task: task.update(id="rivers"),
        "there is no task capitals; its tasks are rivers, ",
    ),
    "no solvers": (lambda task: task.pop("solvers"), "task capitals: solvers: Field required"),
    "unknown field": (lambda task: task.update(extra=1), "task capitals: extra: Extra inputs are not permitted"),
    "unknown solver": (
        lambda task: task["solvers"][0].update(name="guess"),
        "no solver guess; there are chain_",
    ),
    "unknown scorer": (
        lambda task: task["scorers"][0].update(name="bleu"),
        "no scorer bleu; there are answer, ",
    ),
    "tools": (lambda task: task["solvers"][0].update(name="use_tools"), "use_tools is not run here: it gives tools"),
    "graded by a model": (
        lambda task: task["scorers"][0].update(name="model_graded_qa"),
        "model_graded_qa is not run here: it asks a model to grade",
    ),
    "another model": (
        lambda task: task["solvers"].append({"name": "self_critique", "args": {"model": "openai/gpt"}}),
        r"self_critique asks another model \(model\)",
    ),
    "images": (lambda task: task["field_spec"].update(input_image="picture"), "its questions have images"),
    "a sandbox": (lambda task: task["field_spec"].update(sandbox="docker"), "it needs a sandbox with tools"),
    "no epochs": (lambda task: task.update(epochs=0), "task capitals: epochs: "),
    "unknown reducer": (lambda task: task.update(epoch_reducer="best"), "task capitals: epoch_reducer: "),
}


@pytest.mark.parametrize(("edit", "words"), WRONG_TASKS.values(), ids=WRONG_TASKS)
def test_a_task_that_cannot_run_is_refused(tmp_path: Path, edit: Edit, words: str) -> None:
    """The evaluator refuses a task of eval.yaml that is invalid or cannot run here, with the reason."""
    content = deepcopy(EVAL_YAML)
    edit(content["tasks"][0])
    with pytest.raises(CannotEvaluate, match=words):
        read_task(written(tmp_path, content), "", "capitals")


def test_a_question_is_made_as_inspect_makes_it() -> None:
    """The evaluator makes questions from rows as inspect-ai does: with choices, for instance, target 0 becomes A."""
    row = {**CAPITALS[0], "a": 1, "b": 2}
    question = question_of(row, FieldSpec(input="question", target="answer", choices="options"))
    assert question == {"input": row["question"], "choices": row["options"], "target": "A"}
    spec = FieldSpec(input="question", target="literal:B", choices=["a", "b"], metadata=["answer"])
    assert question_of(row, spec) == {
        "input": row["question"],
        "choices": ["1", "2"],
        "target": "B",
        "metadata": {"answer": 0},
    }
    assert question_of(row, FieldSpec(input="question", target="answer"))["target"] == "0"


OPTIONS: dict[str, tuple[dict[str, object], str]] = {
    "unknown option": ({"retries": 1}, "options: retries: Extra inputs"),
    "unknown task": ({"tasks": {"rivers": {}}}, "options name rivers, which is no task of the suite"),
    "a function without a module": ({"tasks": {"letters": {"function": "sums"}}}, "tasks.letters.function: "),
    "no tokens": ({"max_tokens": 0}, "max_tokens: "),
}


@pytest.mark.parametrize(("options", "words"), OPTIONS.values(), ids=OPTIONS)
def test_wrong_options_are_refused(options: dict[str, object], words: str) -> None:
    """The evaluator refuses invalid options, and names the invalid one."""
    plan = {"options": SUITE["evaluator"]["options"], "tasks": [{"name": "capitals"}, {"name": "letters"}]}
    assert read_options(plan).max_tokens == 8
    with pytest.raises(CannotEvaluate, match=words):
        read_options({**plan, "options": options})
