"""Generated datasets have the real suites' numbers of questions, shots and answers, and prompts as long as theirs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from benchmarks.suites import instructions, open_llm_v1, open_llm_v2
from benchmarks.suites.comparison import Answer, Cost, SideResult, TaskFigures, compare_task, count_requests
from benchmarks.suites.datasets import MAKERS
from benchmarks.suites.evaluations import command_answers, processor_seconds, published_answers
from benchmarks.suites.instructions import INSTRUCTIONS, LEFT_OUT
from benchmarks.suites.rows import size
from leaderboard.suites import find_suite
from workers.publication.details import write_samples

SUITES = [find_suite(name) for name in ("open-llm-v2", "open-llm-v1")]
SHOTS = {name: shots for suite in SUITES for name, shots in suite.shots.items()}
CHOICES = {task.name: task.choices for suite in SUITES for benchmark in suite.benchmarks for task in benchmark.tasks}


def options(row: dict[str, Any]) -> list[str]:
    """The texts of a question and its choices."""
    choices = row.get("options") or row.get("choices")
    return [row["question"], *(choices["text"] if isinstance(choices, dict) else choices or ())]


def ending(row: dict[str, Any]) -> list[str]:
    """The texts of a question of HellaSwag with one of its endings."""
    return [row["ctx_a"], row["ctx_b"], row["endings"][0]]


def test_every_dataset_of_both_suites_is_made_with_its_configs() -> None:
    """Each dataset has the configs that the suite names, and at most the given number of questions in each split."""
    for suite in SUITES:
        for source in suite.datasets:
            splits = MAKERS[source.repo](3)
            assert {config for config, _ in splits} == set(source.configs or ("default",))
            tested = [rows for (_, split), rows in splits.items() if split not in ("train", "dev", "validation")]
            assert all(len(rows) <= 6 for rows in tested), source.repo


def test_the_real_numbers_of_questions() -> None:
    """Without a limit there are as many questions as the real datasets have."""
    real = {
        "SaylorTwift/bbh": 5_761, "Idavidrein/gpqa": 1_192, "TAUR-Lab/MuSR": 756,
        "wis-k/instruction-following-eval": 541,
    }  # fmt: skip
    assert {repo: sum(map(len, MAKERS[repo](None).values())) for repo in real} == real
    levels = [row["level"] for (_, split), rows in open_llm_v2.math(None).items() for row in rows if split == "test"]
    assert levels.count("Level 5") == 1_324
    assert open_llm_v2.MMLU_PRO_REAL == 12_032
    assert sum(open_llm_v1.MMLU_REAL.values()) == 14_042


def test_questions_of_bbh_are_like_the_examples_of_their_task() -> None:
    """Generated questions are about as long as the examples in the task file, and have its answers and options."""
    splits = open_llm_v2.bbh(20)
    tasks = list(open_llm_v2.bbh_tasks())
    assert len(tasks) == 24
    for task in tasks:
        rows = splits[task["dataset_name"], "test"]
        choices = [str(choice) for choice in task["doc_to_choice"]]
        assert len(choices) == CHOICES[task["task"]]
        assert {row["target"] for row in rows} <= set(choices)
        examples = mean(size(example["input"]) for example in task["fewshot_config"]["samples"])
        assert 0.7 < mean(size(row["input"]) for row in rows) / examples < 2, task["task"]
        if choices[0] == "(A)":
            assert all(f"\n{choice} " in row["input"] for row in rows for choice in choices)


@pytest.mark.parametrize(
    ("task", "repo", "split", "examples", "texts", "least", "most"),
    [
        ("leaderboard_mmlu_pro", "TIGER-Lab/MMLU-Pro", ("default", "test"), "validation", options, 900, 1_500),
        ("leaderboard_musr_team_allocation", "TAUR-Lab/MuSR", ("default", "team_allocation"), None,
         lambda row: [row["narrative"]], 800, 1_300),
        ("leaderboard_gpqa_main", "Idavidrein/gpqa", ("gpqa_main", "train"), None, lambda row: row.values(), 70, 350),
        ("leaderboard_ifeval", "wis-k/instruction-following-eval", ("default", "train"), None,
         lambda row: [row["prompt"]], 20, 150),
        ("arc_challenge", "allenai/ai2_arc", ("ARC-Challenge", "test"), "train", options, 600, 1_500),
        ("hellaswag", "Rowan/hellaswag", ("default", "validation"), "train", ending, 500, 1_300),
        ("mmlu_virology", "cais/mmlu", ("virology", "test"), "dev", options, 250, 700),
        ("mmlu_professional_law", "cais/mmlu", ("professional_law", "test"), "dev", options, 1_000, 2_300),
        ("winogrande", "allenai/winogrande", ("winogrande_xl", "validation"), "train",
         lambda row: [row["sentence"]], 70, 150),
        ("gsm8k", "openai/gsm8k", ("main", "test"), "train", lambda row: row.values(), 600, 1_500),
    ],
)  # fmt: skip
def test_prompts_are_as_long_as_real_ones(
    task: str, repo: str, split: tuple[str, str], examples: str | None, texts: Callable[[Any], list[str]],
    least: int, most: int,
) -> None:  # fmt: skip
    """A question with the suite's number of shots has a number of words and signs in the range of the real prompts."""
    splits = MAKERS[repo](20)
    shots = splits[split[0], examples][: SHOTS[task]] if examples else []
    assert len(shots) == SHOTS[task]
    beginning = sum(size(str(text)) for row in shots for text in texts(row))
    lengths = [beginning + sum(size(str(text)) for text in texts(row)) for row in splits[split]]
    assert least <= min(lengths) and max(lengths) <= most, (min(lengths), max(lengths))


def test_smaller_sets_of_gpqa_are_parts_of_larger_ones() -> None:
    """Diamond is a part of main, and main of extended, which standard errors count on."""
    splits = open_llm_v2.gpqa(None)
    sets = [
        {row["Question"] for row in splits[name, "train"]} for name in ("gpqa_diamond", "gpqa_main", "gpqa_extended")
    ]
    assert sets[0] < sets[1] < sets[2]


@pytest.mark.long("two seconds of a processor")
def test_instructions_are_of_all_kinds_whose_checks_need_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind that the harness knows is used or left out; only checks of those left out need NLTK's data."""
    nltk = pytest.importorskip("nltk", reason="the harness's extra ifeval is not installed")
    (tmp_path / "tokenizers/punkt_tab").mkdir(parents=True)  # the harness downloads it unless the folder is there
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    from lm_eval.tasks.ifeval.instructions_registry import INSTRUCTION_DICT

    assert set(INSTRUCTION_DICT) == {*INSTRUCTIONS, *LEFT_OUT}
    rows = instructions.ifeval(None)["default", "train"]
    assert {kind for row in rows for kind in row["instruction_id_list"]} == set(INSTRUCTIONS)
    for row in rows[: len(INSTRUCTIONS)]:
        for kind, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True):
            check = INSTRUCTION_DICT[kind](kind)
            check.build_description(**{name: value for name, value in arguments.items() if value})
            assert check.check_following("It is a sentence.\n\nAnd a second one.") in (True, False)
    for kind in LEFT_OUT:
        check = INSTRUCTION_DICT[kind](kind)
        check.build_description()
        with pytest.raises(LookupError):
            check.check_following("It is a sentence.")


def test_datasets_are_the_same_in_each_run() -> None:
    """Generators return the same rows again, whatever the state of Python's shared random number generator."""
    random.seed(1)
    first = {repo: maker(2) for repo, maker in MAKERS.items()}
    random.seed(2)
    assert first == {repo: maker(2) for repo, maker in MAKERS.items()}


def compared(ours: Answer, theirs: Answer, score: float = 0.5) -> TaskFigures:
    """The comparison of one question, for which the command's score is 0.5."""
    sides = [
        SideResult({"task": {"acc,none": value}}, {"task": {0: answer}}, Cost(1, 1, 1, 1), {})
        for answer, value in ((ours, score), (theirs, 0.5))
    ]
    return compare_task("task", "acc,none", *sides, whole=True)


def test_both_sides_answers_are_read_alike(tmp_path: Path) -> None:
    """The sample file of lm-eval's command, and the table that a worker makes of such a file, give the same answers."""
    sample = {"doc": {}, "target": "x", "filter": "none", "metrics": ["acc"], "acc": 1.0, "filtered_resps": []}
    choices = {f"gen_args_{number}": {"arg_0": "Q:", "arg_1": " a" * number} for number in range(11)}
    values = [[[str(-float(number)), "False"]] for number in range(11)]
    text = {"gen_args_0": {"arg_0": "Q:", "arg_1": {"until": []}}}
    lines = [
        {**sample, "doc_id": 0, "arguments": dict(sorted(choices.items())), "resps": values},
        {**sample, "doc_id": 1, "arguments": text, "resps": [["written"]]},
    ]
    file, table = tmp_path / "samples.jsonl", tmp_path / "table.parquet"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_samples(file, table, ["acc,none"])
    answers = command_answers(file)
    assert published_answers(table.read_bytes()) == answers
    assert answers[0].values[10] == -10 and answers[0].lengths[10] == 20
    assert answers[1] == Answer(text="written")
    assert count_requests({"task": answers}) == 12


def test_processor_time_counts_children() -> None:
    """The processor time of a process includes that of its children, also after their end."""
    before = processor_seconds(os.getpid())
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-S", "-c", burn], check=True)
    assert processor_seconds(os.getpid()) - before >= 0.28


def test_a_difference_between_the_sides_counts() -> None:
    """Another best answer, log-likelihood or accuracy than the command's disagrees; another text is only counted."""
    right = Answer((-1.0, -2.0), (5, 5))
    assert compared(right, right).agrees
    assert compared(Answer((-1.00009, -2.0), (5, 5)), right).agrees
    assert not compared(Answer((-1.001, -2.0), (5, 5)), right).agrees
    assert not compared(right, right, score=0.6).agrees
    changed = compared(Answer((-1.0, -1.00001), (5, 5)), Answer((-1.00001, -1.0), (5, 5)))
    assert (changed.agrees, changed.differing) == (False, 1)
    text = compared(Answer(text="one"), Answer(text="two"))
    assert (text.agrees, text.differing) == (True, 1)
