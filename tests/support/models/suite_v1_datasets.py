"""The datasets of `open-llm-v1` in the right shape, with a few questions each, for a Hub on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from benchmarks.suites import open_llm_v1
from benchmarks.suites.rows import Rows

SUBJECTS = ("anatomy", "virology")
"""Two of MMLU's 57 subjects; all subjects are fetched and asked in the same way."""
MMLU = [f"mmlu_{subject}" for subject in SUBJECTS]


SOME = ("arc_challenge", "gsm8k")
"""A task with 25 examples and choices, and one with five examples and a generated text."""


def suite() -> dict[str, Any]:
    """The suite with two of MMLU's subjects, because 57 datasets take a minute to fetch."""
    suite_data: dict[str, Any] = yaml.safe_load(
        (Path(__file__).parents[3] / "leaderboard/suites/open-llm-v1.yaml").read_text()
    )
    suite_data["run"] = [*(task for task in suite_data["run"] if task != "mmlu"), *MMLU]
    suite_data["datasets"][2]["configs"] = list(SUBJECTS)
    suite_data["benchmarks"][2] |= {"source": MMLU[0], "tasks": [{"name": name} for name in MMLU]}
    return suite_data


def small_suite() -> dict[str, Any]:
    """The suite with the tasks of SOME alone."""
    suite_data = suite()
    asked = [number for number, benchmark in enumerate(suite_data["benchmarks"]) if benchmark["source"] in SOME]
    suite_data["run"] = list(SOME)
    for part in ("datasets", "benchmarks"):
        suite_data[part] = [suite_data[part][number] for number in asked]
    return suite_data


def arc() -> dict[tuple[str, str], Rows]:
    """Four answers of which one is right; enough examples for 25 shots."""
    rows = [
        {"id": str(i), "question": f"Which is {i}?", "answerKey": "ABCD"[i % 4],
         "choices": {"text": [f"{letter}{i}" for letter in "abcd"], "label": list("ABCD")}}
        for i in range(30)
    ]  # fmt: skip
    return {("ARC-Challenge", "train"): rows, ("ARC-Challenge", "test"): rows[:3]}


def hellaswag() -> dict[tuple[str, str], Rows]:
    """Sentences with four endings."""
    words = ("sleeps", "sings", "sits", "swims")
    rows = [
        {"ind": i, "activity_label": "Walking", "ctx_a": f"He walks {i} miles.", "ctx_b": "then he",
         "endings": [f"{word} {i} [title] times." for word in words], "label": str(i % 4)}
        for i in range(14)
    ]  # fmt: skip
    return {("default", "train"): rows, ("default", "validation"): rows[:3]}


def mmlu() -> dict[tuple[str, str], Rows]:
    """Questions with four choices, and five examples; those of virology have realistic lengths."""
    rows = [{"question": f"What is {i}?", "choices": [f"{i}{c}" for c in "wxyz"], "answer": i % 4} for i in range(7)]
    small = {("anatomy", "dev"): rows[2:], ("anatomy", "test"): rows[:2], ("anatomy", "validation"): rows[:1]}
    return small | {part: rows for part, rows in open_llm_v1.mmlu(2).items() if part[0] == "virology"}


def truthfulqa() -> dict[tuple[str, str], Rows]:
    """Questions with one true and two false answers."""
    targets = {"choices": ["Yes.", "No.", "Maybe."], "labels": [1, 0, 0]}
    rows = [{"question": f"Is it {i}?", "mc1_targets": targets, "mc2_targets": targets} for i in range(3)]
    return {("multiple_choice", "validation"): rows}


def winogrande() -> dict[tuple[str, str], Rows]:
    """Sentences with a gap and two options."""
    rows = [
        {"sentence": f"Ann saw {i} bears, and _ ran.", "option1": "Ann", "option2": "they", "answer": str(1 + i % 2)}
        for i in range(8)
    ]
    return {("winogrande_xl", "train"): rows, ("winogrande_xl", "validation"): rows[:3]}


def gsm8k() -> dict[tuple[str, str], Rows]:
    """Sums, whose answers follow `####`."""
    rows = [{"question": f"What is {i} + 1?", "answer": f"It is {i + 1}.\n#### {i + 1}"} for i in range(8)]
    return {("main", "train"): rows, ("main", "test"): rows[:2]}


REPOS = {
    "allenai/ai2_arc": arc,
    "Rowan/hellaswag": hellaswag,
    "cais/mmlu": mmlu,
    "truthfulqa/truthful_qa": truthfulqa,
    "allenai/winogrande": winogrande,
    "openai/gsm8k": gsm8k,
}
