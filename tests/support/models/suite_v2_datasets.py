"""The datasets of `open-llm-v2` in the right shape, with a few questions each, for a Hub on this machine."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

Rows = list[dict[str, Any]]
LETTERS = "ABCDEFGHIJ"
MATH = ("algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra",
        "precalculus")  # fmt: skip
GPQA = ("gpqa_diamond", "gpqa_extended", "gpqa_main")


def shipped() -> Path:
    """The folder with the harness's own `leaderboard` tasks."""
    spec = find_spec("lm_eval")
    assert spec is not None
    return Path(spec.origin or "").parent / "tasks/leaderboard"


class _Loader(yaml.SafeLoader):
    """Reads task files, and ignores their functions."""


_Loader.add_constructor("!function", lambda _loader, _node: None)


def bbh() -> dict[tuple[str, str], Rows]:
    """Two questions of each subtask, whose answers are among the choices that the harness's task names."""
    splits: dict[tuple[str, str], Rows] = {}
    for file in sorted((shipped() / "bbh_mc").glob("[a-z]*.yaml")):
        task = yaml.load(file.read_text(), Loader=_Loader)  # noqa: S506  # a safe loader
        choices = [str(choice) for choice in task["doc_to_choice"]]
        name = task["dataset_name"]
        splits[name, "test"] = [
            {"input": f"Which of {len(choices)} is it in {name}?", "target": choices[i]} for i in (0, -1)
        ]
    return splits


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
    return {(name, split): rows for name in MATH for split in ("train", "test")}


def gpqa() -> dict[tuple[str, str], Rows]:
    """Four answers of which one is right."""
    names = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Correct Answer")
    rows = [{"Question": f"Question {i}?", **{name: f"{name[0]}{i}{name[-1]}" for name in names}} for i in range(3)]
    return {(name, "train"): rows for name in GPQA}


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


def files(splits: dict[tuple[str, str], Rows]) -> dict[str, bytes]:
    """The files of a dataset repo that holds (config, split) → rows."""
    configs: dict[str, list[dict[str, str]]] = {}
    contents: dict[str, bytes] = {}
    for (config, split), rows in splits.items():
        path = f"data/{config}/{split}.jsonl"
        configs.setdefault(config, []).append({"split": split, "path": path})
        contents[path] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    head = yaml.safe_dump(
        {"configs": [{"config_name": name, "data_files": splits} for name, splits in configs.items()]}
    )
    return {"README.md": f"---\n{head}---\n".encode(), **contents}
