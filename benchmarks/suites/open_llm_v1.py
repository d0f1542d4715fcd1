"""Datasets in the shape of those of `open-llm-v1`: as many questions, shots, answers and tokens."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from typing import Any

from benchmarks.engine_shapes import sentence, words
from benchmarks.suites.rows import Splits, few, sentences

POOL = 1_000
"""Size of the pool of shots where the real one is larger: only the number and length of shots affect the cost."""
V1_REAL = {"arc": 1_172, "hellaswag": 10_042, "truthfulqa": 817, "winogrande": 1_267, "gsm8k": 1_319}
_MMLU_COUNTS = (
    "abstract_algebra 100 anatomy 135 astronomy 152 business_ethics 100 clinical_knowledge 265 college_biology 144 "
    "college_chemistry 100 college_computer_science 100 college_mathematics 100 college_medicine 173 "
    "college_physics 102 computer_security 100 conceptual_physics 235 econometrics 114 electrical_engineering 145 "
    "elementary_mathematics 378 formal_logic 126 global_facts 100 high_school_biology 310 high_school_chemistry 203 "
    "high_school_computer_science 100 high_school_european_history 165 high_school_geography 198 "
    "high_school_government_and_politics 193 high_school_macroeconomics 390 high_school_mathematics 270 "
    "high_school_microeconomics 238 high_school_physics 151 high_school_psychology 545 high_school_statistics 216 "
    "high_school_us_history 204 high_school_world_history 237 human_aging 223 human_sexuality 131 "
    "international_law 121 jurisprudence 108 logical_fallacies 163 machine_learning 112 management 103 marketing 234 "
    "medical_genetics 100 miscellaneous 783 moral_disputes 346 moral_scenarios 895 nutrition 306 philosophy 311 "
    "prehistory 324 professional_accounting 282 professional_law 1534 professional_medicine 272 "
    "professional_psychology 612 public_relations 110 security_studies 245 sociology 201 us_foreign_policy 100 "
    "virology 166 world_religions 171"
)
MMLU_REAL = {subject: int(count) for subject, count in re.findall(r"(\w+) (\d+)", _MMLU_COUNTS)}
MMLU_LONG = ("high_school_european_history", "high_school_us_history", "high_school_world_history", "professional_law",
             "professional_medicine", "security_studies")  # fmt: skip
"""Subjects that ask about a text of some hundred words."""


def arc(count: int | None) -> Splits:
    """Four answers of some words; enough examples to draw 25 shots."""
    rng = random.Random("arc")

    def row(number: int) -> dict[str, Any]:
        answers = [words(rng, rng.randint(1, 9)) for _ in range(4)]
        return {"id": f"Q_{number}", "question": sentences(rng, rng.randint(10, 35)),
                "choices": {"text": answers, "label": list("ABCD")}, "answerKey": rng.choice("ABCD")}  # fmt: skip

    train, test = map(row, range(POOL)), map(row, range(POOL, POOL + few(count, V1_REAL["arc"])))
    return {("ARC-Challenge", "train"): [*train], ("ARC-Challenge", "test"): [*test]}


def hellaswag(count: int | None) -> Splits:
    """Four endings of a sentence or two; enough examples to draw ten shots."""
    rng = random.Random("hellaswag")

    def row(number: int) -> dict[str, Any]:
        endings = [sentences(rng, rng.randint(8, 35)) for _ in range(4)]
        return {"ind": number, "activity_label": words(rng, 2).title(), "ctx_a": sentences(rng, rng.randint(15, 70)),
                "ctx_b": words(rng, rng.randint(1, 6)), "endings": endings, "label": str(rng.randrange(4))}  # fmt: skip

    train, tested = map(row, range(POOL)), map(row, range(POOL, POOL + few(count, V1_REAL["hellaswag"])))
    return {("default", "train"): [*train], ("default", "validation"): [*tested]}


def mmlu(count: int | None) -> Splits:
    """Four choices and five fixed examples for each of 57 subjects, six of which have long questions."""
    splits: Splits = {}
    for subject, real in MMLU_REAL.items():
        rng = random.Random(f"mmlu {subject}")
        least, most = (120, 300) if subject in MMLU_LONG else (12, 60)

        def row(rng: random.Random = rng, least: int = least, most: int = most) -> dict[str, Any]:
            choices = [words(rng, rng.randint(1, 14)) for _ in range(4)]
            return {"question": sentences(rng, rng.randint(least, most)), "choices": choices,
                    "answer": rng.randrange(4)}  # fmt: skip

        for split, size in (("dev", 5), ("test", few(count, real)), ("validation", 5)):
            splits[subject, split] = [row() for _ in range(size)]
    return splits


def truthfulqa(count: int | None) -> Splits:
    """Four to twelve true and false answers."""
    rng = random.Random("truthfulqa")

    def targets(right: int, wrong: int) -> dict[str, Any]:
        choices = [sentences(rng, rng.randint(5, 14)) for _ in range(right + wrong)]
        return {"choices": choices, "labels": [1] * right + [0] * wrong}

    rows = [
        {"question": sentence(rng, rng.randint(6, 18)), "mc1_targets": targets(1, rng.randint(2, 6)),
         "mc2_targets": targets(rng.randint(2, 5), rng.randint(2, 7))}
        for _ in range(few(count, V1_REAL["truthfulqa"]))
    ]  # fmt: skip
    return {("multiple_choice", "validation"): rows}


def winogrande(count: int | None) -> Splits:
    """A sentence with a gap and two options; enough examples to draw five shots."""
    rng = random.Random("winogrande")

    def row(_: int) -> dict[str, str]:
        first, second = rng.sample(("Ann", "Tom", "the garden", "the letter", "the window", "Mary", "Paul"), 2)
        text = f"{words(rng, rng.randint(6, 12)).capitalize()} _ {words(rng, rng.randint(3, 8))}."
        return {"sentence": text, "option1": first, "option2": second, "answer": rng.choice("12")}

    train, tested = map(row, range(POOL)), map(row, range(few(count, V1_REAL["winogrande"])))
    return {("winogrande_xl", "train"): [*train], ("winogrande_xl", "validation"): [*tested]}


def gsm8k(count: int | None) -> Splits:
    """Word problems; the answers have steps, and the result after `####`."""
    rng = random.Random("gsm8k")

    def row(_: int) -> dict[str, str]:
        numbers = [rng.randint(2, 90) for _ in range(rng.randint(3, 6))]
        steps = [f"{sentences(rng, 12)} {first}*{second}=<<{first}*{second}={first * second}>>{first * second}."
                 for first, second in pairwise(numbers)]  # fmt: skip
        question = f"{sentences(rng, rng.randint(25, 70))} How many is {' and '.join(map(str, numbers))}?"
        return {"question": question, "answer": "\n".join([*steps, f"#### {numbers[-1] * numbers[-2]}"])}

    train, tested = map(row, range(POOL)), map(row, range(few(count, V1_REAL["gsm8k"])))
    return {("main", "train"): [*train], ("main", "test"): [*tested]}
