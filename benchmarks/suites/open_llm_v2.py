"""Datasets in the shape of those of `open-llm-v2`, except IFEval's (`instructions`).

As many questions, shots, answers and tokens as the real ones have.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from benchmarks.engine_shapes import LETTERS, paragraphs, sentence, words
from benchmarks.suites.rows import Rows, Splits, few, sentences, size

GPQA_REAL = {"gpqa_diamond": 198, "gpqa_extended": 546, "gpqa_main": 448}
MATH_REAL = {
    "algebra": 307,
    "counting_and_probability": 123,
    "geometry": 132,
    "intermediate_algebra": 280,
    "number_theory": 154,
    "prealgebra": 193,
    "precalculus": 135,
}
"""Questions of level 5."""
MUSR_REAL = {"murder_mysteries": (250, 2), "object_placements": (256, 5), "team_allocation": (250, 3)}
"""Questions, and answers to choose from."""
BBH_REAL = {"causal_judgement": 187, "penguins_in_a_table": 146, "snarks": 178}
BBH_OTHERS = 250
MMLU_PRO_REAL = 12_032


def shipped() -> Path:
    """The folder with the harness's own `leaderboard` tasks."""
    spec = find_spec("lm_eval")
    assert spec is not None
    return Path(spec.origin or "").parent / "tasks/leaderboard"


class _Loader(yaml.SafeLoader):
    """Reads task files, and ignores their functions."""


_Loader.add_constructor("!function", lambda _loader, _node: None)


def bbh_tasks() -> Iterator[dict[str, Any]]:
    """The harness's task files of BBH."""
    for file in sorted((shipped() / "bbh_mc").glob("[a-z]*.yaml")):
        yield yaml.load(file.read_text(), Loader=_Loader)  # noqa: S506  # a safe loader


def bbh(count: int | None) -> Splits:
    """Questions about as long as the three examples in each task file, whose answers the file names."""
    splits: Splits = {}
    for task in bbh_tasks():
        name = task["dataset_name"]
        rng = random.Random(f"bbh {name}")
        choices = [str(choice) for choice in task["doc_to_choice"]]
        examples = [example["input"] for example in task["fewshot_config"]["samples"]]
        splits[name, "test"] = [
            {"input": _like(rng, rng.choice(examples), choices), "target": rng.choice(choices)}
            for _ in range(few(count, BBH_REAL.get(name, BBH_OTHERS)))
        ]
    return splits


def _like(rng: random.Random, example: str, choices: list[str]) -> str:
    """A question with about as many words and options as `example`; it is longer if it has more options."""
    text, _, options = example.partition("Options:")
    length = size(text) * rng.uniform(0.85, 1.15)
    listed = [line for line in options.splitlines() if line.strip()]
    if not listed:
        return sentences(rng, round(length))
    length *= (1 + len(choices) / len(listed)) / 2
    if not choices[0].startswith("("):
        lines = [f"- {choice}" for choice in choices]
    else:
        sizes = [size(line) - 3 for line in listed]
        lines = [f"{choice} {words(rng, max(1, rng.choice(sizes)))}" for choice in choices]
    return "\n".join([sentences(rng, round(length)), "Options:", *lines])


def gpqa(count: int | None) -> Splits:
    """Four answers of some words to long questions; the smaller sets are parts of the larger ones."""
    rng = random.Random("gpqa")
    names = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Correct Answer")
    rows = [
        {"Question": sentences(rng, rng.randint(40, 160)), **{name: words(rng, rng.randint(3, 25)) for name in names}}
        for _ in range(max(GPQA_REAL.values()))
    ]
    return {(name, "train"): rows[: few(count, real)] for name, real in GPQA_REAL.items()}


def musr(count: int | None) -> Splits:
    """Stories of about a thousand tokens; four questions about each story of `object_placements`."""
    splits: Splits = {}
    for split, (real, answers) in MUSR_REAL.items():
        rng = random.Random(f"musr {split}")
        rows: Rows = []
        per_story = 4 if split == "object_placements" else 1
        for at in range(few(count, real)):
            story = rows[-1]["narrative"] if at % per_story else paragraphs(rng, rng.randint(11, 14))
            choices = [words(rng, rng.randint(1, 3)).title() for _ in range(answers)]
            right = rng.randrange(answers)
            rows.append(
                {"narrative": story, "question": sentence(rng, rng.randint(8, 20)), "choices": str(choices),
                 "answer_index": right, "answer_choice": choices[right]}
            )  # fmt: skip
        splits["default", split] = rows
    return splits


def mmlu_pro(count: int | None) -> Splits:
    """Ten options, and five examples of each of fourteen subjects."""
    rng = random.Random("mmlu pro")
    subjects = [f"subject {number}" for number in range(14)]

    def row(number: int, subject: str) -> dict[str, Any]:
        right = rng.randrange(len(LETTERS))
        return {
            "question_id": number,
            "question": sentences(rng, rng.randint(30, 90)),
            "options": [words(rng, rng.randint(3, 15)) for _ in LETTERS],
            "answer": LETTERS[right],
            "answer_index": right,
            "cot_content": "",
            "category": subject,
            "src": "generated",
        }

    examples = [row(5 * number + each, subject) for number, subject in enumerate(subjects) for each in range(5)]
    tested = [row(70 + number, subjects[number % 14]) for number in range(few(count, MMLU_PRO_REAL))]
    return {("default", "test"): tested, ("default", "validation"): examples}


def math(count: int | None) -> Splits:
    """Questions of level 5 with boxed answers, and as many of other levels, which the harness leaves out."""
    splits: Splits = {}
    for name, real in MATH_REAL.items():
        rng = random.Random(f"math {name}")
        levels = [level for _ in range(few(count, real)) for level in (5, rng.randint(1, 4))]
        splits[name, "test"] = [_problem(rng, name, level) for level in levels]
        splits[name, "train"] = [_problem(rng, name, 5) for _ in range(5)]
    return splits


def _problem(rng: random.Random, name: str, level: int) -> dict[str, str]:
    a, b, c = (rng.randint(2, 40) for _ in range(3))
    answer = rng.choice([str(a), rf"\frac{{{a}}}{{{b}}}", rf"[{a},{a + b})", rf"{a}\sqrt{{{b}}}", f"{a}x^2 - {b}"])
    steps = " ".join(f"{sentences(rng, rng.randint(15, 45))} Then ${a}x^2 + {b * n}x = {c + n}$." for n in (1, 2, 3))
    return {
        "problem": f"{sentences(rng, rng.randint(20, 80))} Find $x$ such that ${a}x^2 + {b}x - {c} = 0$.",
        "level": f"Level {level}",
        "type": name.replace("_", " ").title(),
        "solution": rf"{steps} So the answer is $\boxed{{{answer}}}$.",
    }
