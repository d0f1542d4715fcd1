"""The starter suite's questions: each answer is verified by an independent computation."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from leaderboard.suite_questions import content_digest
from leaderboard.suites import find_suite
from workers.starter import dataset_files
from workers.starter.questions import KINDS, LETTERS, MAKERS, StarterQuestion
from workers.starter.repo import SHOTS, TEST_QUESTIONS, path

FILES = dataset_files()


def questions(task: str, split: str = "test") -> list[StarterQuestion]:
    """The questions of one split."""
    return [StarterQuestion(**json.loads(line)) for line in FILES[path(task, split)].decode().splitlines()]


def everything(task: str) -> list[StarterQuestion]:
    """The questions of both splits."""
    return questions(task, "fewshot") + questions(task)


@pytest.mark.parametrize("task", MAKERS)
def test_there_are_enough_questions_and_no_example_is_asked(task: str) -> None:
    """Each task has at least forty test questions, and no two questions are equal, few-shot examples included."""
    asked, shown = questions(task), questions(task, "fewshot")
    assert len(asked) == TEST_QUESTIONS >= 40
    assert len(shown) == SHOTS
    assert len({question.input for question in asked + shown}) == TEST_QUESTIONS + SHOTS


def test_boolean_expressions_evaluate_to_their_target() -> None:
    """The target of a boolean expression is its value in Python."""
    for question in everything("boolean_expressions"):
        tree = ast.parse(question.input.removesuffix(" is"), mode="eval")
        assert str(evaluated(tree.body)) == question.target


def evaluated(node: ast.expr) -> bool:
    """The value of an expression of True, False, not, and, or."""
    if isinstance(node, ast.BoolOp):
        values = [evaluated(value) for value in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.UnaryOp):
        return not evaluated(node.operand)
    assert isinstance(node, ast.Constant)
    return bool(node.value)


def test_walks_lead_where_their_target_says() -> None:
    """The target of a walk says whether the sum of its steps is zero."""
    ways = {"right": 1, "left": -1, "forward": 1j, "backward": -1j}
    for question in everything("navigation"):
        steps = re.findall(r"Go (\d+) (\w+)\.", question.input)
        end = sum(int(count) * ways[way] for count, way in steps)
        assert question.target == ("Yes" if end == 0 else "No")
        assert len(steps) >= 3


def test_the_last_speaker_is_what_the_target_says() -> None:
    """The target says whether the last speaker is honest, as computed along the chain of sentences."""
    for question in everything("web_of_lies"):
        first, *chain, _ = re.split(r"(?<=[.?]) ", question.input)
        honest = "truth" in first
        for sentence in chain:
            honest = honest == ("truth" in sentence)
        assert question.target == ("Yes" if honest else "No")


def test_the_right_date_stands_at_the_right_letter() -> None:
    """The target is the letter of the only option with the right date, computed one day at a time."""
    for question in everything("date_arithmetic"):
        asked, *options = re.split(r" \([A-D]\) ", question.input)
        day, count, unit, way = re.findall(
            r"Today is (.*?)\. Which date is (\d+) (day|week)s? (later|earlier)\?", asked
        )[0]
        when = datetime.strptime(f"{day} 2023", "%B %d %Y")  # noqa: DTZ007  # a date of no time zone
        for _ in range(int(count) * {"day": 1, "week": 7}[unit]):
            when += timedelta(days=1 if way == "later" else -1)
        right = [letter for letter, option in zip(LETTERS, options, strict=True) if option == f"{when:%B} {when.day}"]
        assert right == [question.target]


def test_only_things_of_the_kind_are_counted() -> None:
    """The target is the sum of the numbers of things of the kind in question."""
    numbers = {"a": 1, "an": 1, "two": 2, "three": 3}
    for question in everything("object_counting"):
        kind = re.findall(r"How many ([\w ]+) do I have", question.input)[0]
        things = re.findall(r"\b(an?|two|three) (\w+)", question.input.partition(". How")[0])
        counted = sum(numbers[n] for n, thing in things if any(thing.startswith(name[:-1]) for name in KINDS[kind]))
        assert question.target == str(counted)


def test_sorted_words_are_sorted() -> None:
    """The target has the question's words in alphabetical order, and the question does not."""
    for question in everything("word_sorting"):
        words = question.input.partition(": ")[2].split(", ")
        assert question.target.split(", ") == sorted(words) != words


@pytest.mark.parametrize("task", ["boolean_expressions", "navigation", "web_of_lies", "date_arithmetic"])
def test_no_answer_is_favoured(task: str) -> None:
    """Always giving the same answer scores exactly what guessing scores."""
    counts = Counter(question.target for question in questions(task))
    assert len(set(counts.values())) == 1


def test_the_same_seed_makes_the_same_bytes_and_another_does_not() -> None:
    """The same seed generates the same bytes as those that the suite pins."""
    pinned = find_suite("starter").datasets[0]
    assert _digest(FILES) == pinned.content
    assert _digest(dataset_files(seed=1)) != pinned.content


def _digest(files: dict[str, bytes]) -> str:
    return content_digest({name: content for name, content in files.items() if name.startswith("data/")})


def test_the_card_names_a_file_for_every_config_that_the_suite_wants() -> None:
    """The card's head names the files of each config, from which `datasets` finds the splits."""
    head: dict[str, Any] = yaml.safe_load(FILES["README.md"].decode().split("---\n")[1])
    configs = {config["config_name"]: config["data_files"] for config in head["configs"]}
    assert tuple(configs) == find_suite("starter").datasets[0].configs
    assert {file["path"] for files in configs.values() for file in files} == FILES.keys() - {"README.md"}
