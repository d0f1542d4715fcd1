"""Requirements of a suite's tasks are checked at start; the error says what to install."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from leaderboard.suites import find_suite
from workers.evaluation import task_requirements

V2 = find_suite("open-llm-v2")


def test_a_suite_of_ones_own_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite with its own tasks needs no libraries, even if a task has a name like one of the harness's."""
    monkeypatch.setattr(task_requirements, "find_spec", lambda _: None)
    starter = find_suite("starter")
    (first, *others) = starter.benchmarks
    task = first.tasks[0].model_copy(update={"name": "my_ifeval"})
    benchmarks = (first.model_copy(update={"tasks": (task,)}), *others)
    own = starter.model_copy(update={"benchmarks": benchmarks})
    task_requirements.check_task_requirements(own, {})
    harness = own.model_copy(update={"definitions": {}})
    with pytest.raises(task_requirements.SuiteRequirementsMissing, match="langdetect"):
        task_requirements.check_task_requirements(harness, {})


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("ifeval", "langdetect"),
        ("leaderboard_math_algebra_hard", "sympy"),
        ("minerva_math500", "sympy"),
        ("mmlu_college_mathematics", ""),
    ],
)
def test_only_whole_words_of_a_tasks_name_count(monkeypatch: pytest.MonkeyPatch, name: str, missing: str) -> None:
    """The harness's own `ifeval` needs its libraries, and a subject of MMLU does not need those of `math`."""
    monkeypatch.setattr(task_requirements, "find_spec", lambda _: None)
    benchmark = V2.benchmarks[0]
    task = benchmark.tasks[0].model_copy(update={"name": name})
    suite = V2.model_copy(update={"benchmarks": (benchmark.model_copy(update={"tasks": (task,)}),)})
    with pytest.raises(task_requirements.SuiteRequirementsMissing, match=missing) if missing else nullcontext():
        task_requirements.check_task_requirements(suite, {})


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the missing libraries and the command that installs them."""
    monkeypatch.setattr(
        task_requirements, "find_spec", lambda name: None if name in ("langdetect", "antlr4") else object()
    )
    with pytest.raises(
        task_requirements.SuiteRequirementsMissing, match=r"langdetect, antlr4, which are not .*lm-eval\[ifeval,math\]"
    ):
        task_requirements.check_task_requirements(V2, {})


def test_a_sentence_splitter_is_asked_for_before_the_first_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """nltk's sentence splitter is required at start: children have no network to fetch it."""
    monkeypatch.setattr(task_requirements, "find_spec", lambda _name: object())
    monkeypatch.setattr(task_requirements, "_SYSTEM_FOLDERS", ())
    monkeypatch.setattr(task_requirements.sys, "prefix", str(tmp_path / "nowhere"))
    with pytest.raises(task_requirements.SuiteRequirementsMissing, match=r"nltk.downloader -d .* punkt_tab"):
        task_requirements.check_task_requirements(V2, {"NLTK_DATA": str(tmp_path)})
    (tmp_path / "tokenizers" / "punkt_tab").mkdir(parents=True)
    task_requirements.check_task_requirements(V2, {"NLTK_DATA": str(tmp_path)})
