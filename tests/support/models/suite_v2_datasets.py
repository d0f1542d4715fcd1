"""The datasets of `open-llm-v2` in the right shape, with a few questions each, for a Hub on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from benchmarks.engine_shapes import LETTERS
from benchmarks.suites import open_llm_v2
from benchmarks.suites.open_llm_v2 import GPQA_REAL, MATH_REAL, bbh_tasks
from benchmarks.suites.rows import Rows

REAL_BBH = ("date_understanding", "test")
SOME = ("leaderboard_bbh_date_understanding", "leaderboard_math_algebra_hard", "leaderboard_gpqa_diamond")
"""One task of each of the three largest groups; the harness loads the others in the same way."""


def suite() -> dict[str, Any]:
    """The suite."""
    suite_data: dict[str, Any] = yaml.safe_load(
        (Path(__file__).parents[3] / "leaderboard/suites/open-llm-v2.yaml").read_text()
    )
    return suite_data


def small_suite() -> dict[str, Any]:
    """The suite with a task of each large group (SOME), the group MuSR, and two single-task benchmarks."""
    suite_data = suite()
    for benchmark in suite_data["benchmarks"]:
        if asked := [task for task in benchmark["tasks"] if task["name"] in SOME]:
            benchmark.update(source=asked[0]["name"], tasks=asked)
    suite_data["run"] = [benchmark["source"] for benchmark in suite_data["benchmarks"]]
    for dataset in suite_data["datasets"]:
        if "configs" in dataset:
            dataset["configs"] = [name for name in dataset["configs"] if any(name in task for task in SOME)]
    return suite_data


def bbh() -> dict[tuple[str, str], Rows]:
    """Two questions of each subtask, with answers from its task file; those of REAL_BBH have realistic lengths."""
    splits: dict[tuple[str, str], Rows] = {}
    for task in bbh_tasks():
        choices = [str(choice) for choice in task["doc_to_choice"]]
        name = task["dataset_name"]
        splits[name, "test"] = [
            {"input": f"Which of {len(choices)} is it in {name}?", "target": choices[i]} for i in (0, -1)
        ]
    return splits | {REAL_BBH: open_llm_v2.bbh(2)[REAL_BBH]}


def ifeval() -> dict[tuple[str, str], Rows]:
    """Instructions of three kinds, one of them met by any answer without commas."""
    empty = {"num_words": None, "relation": None, "keywords": None}
    asked = [
        ("punctuation:no_comma", "Write without commas.", {}),
        ("length_constraints:number_words", "Write 2 words at least.", {"num_words": 2, "relation": "at least"}),
        ("keywords:existence", "Say pear.", {"keywords": ["pear"]}),
    ]
    rows = [
        {"key": 1000 + i, "prompt": prompt, "instruction_id_list": [kind], "kwargs": [{**empty, **more}]}
        for i, (kind, prompt, more) in enumerate(asked)
    ]
    return {("default", "train"): rows}


def math() -> dict[tuple[str, str], Rows]:
    """A question of level 5 and one of another level, which is skipped, for each subject."""
    rows = [
        {"problem": f"What is {i} + {i}?", "level": level, "type": "Sums", "solution": f"It is $\\boxed{{{2 * i}}}$."}
        for i, level in ((3, "Level 5"), (1, "Level 1"))
    ]
    return {(name, split): rows for name in MATH_REAL for split in ("train", "test")}


def gpqa() -> dict[tuple[str, str], Rows]:
    """Four answers of which one is right."""
    names = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Correct Answer")
    rows = [{"Question": f"Question {i}?", **{name: f"{name[0]}{i}{name[-1]}" for name in names}} for i in range(3)]
    return {(name, "train"): rows for name in GPQA_REAL}


def musr(words: str = "Somebody did it.") -> dict[tuple[str, str], Rows]:
    """A story for each of three splits."""
    splits: dict[tuple[str, str], Rows] = {}
    for split, count in (("murder_mysteries", 2), ("object_placements", 5), ("team_allocation", 3)):
        choices = [f"one{i}" for i in range(count)]
        splits["default", split] = [
            {
                "narrative": words,
                "question": f"Who, in {split}?",
                "choices": str(choices),
                "answer_index": i,
                "answer_choice": choices[i],
            }
            for i in (0, 1)
        ]
    return splits


def mmlu_pro() -> dict[tuple[str, str], Rows]:
    """Two questions with ten choices, and five examples."""
    rows = [
        {
            "question_id": i,
            "question": f"What is {i}?",
            "options": [f"{i}{letter}" for letter in LETTERS],
            "answer": LETTERS[i],
            "answer_index": i,
            "cot_content": "",
            "category": "sums",
            "src": "made",
        }
        for i in range(7)
    ]
    return {("default", "test"): rows[:2], ("default", "validation"): rows[2:]}


REPOS = {
    "SaylorTwift/bbh": bbh,
    "wis-k/instruction-following-eval": ifeval,
    "DigitalLearningGmbH/MATH-lighteval": math,
    "Idavidrein/gpqa": gpqa,
    "TAUR-Lab/MuSR": musr,
    "TIGER-Lab/MMLU-Pro": mmlu_pro,
}
