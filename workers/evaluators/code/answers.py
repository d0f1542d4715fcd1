"""Makes programs from a model's answers, and samples that say how many of them passed."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from workers.evaluators.code.runner import CodeProblem, SolutionVerdict

Question = dict[str, Any]
PREFIX = "pass_at_"
"""The beginning of the metrics' names."""
_MAX_TEXT = 200_000
"""Characters of an output, by the contract."""
_NEXT = "\n# ---- next answer\n"
_BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


def program(problem: CodeProblem, answer: str, *, chat: bool) -> str:
    """The program of an answer: the answer continues the prompt, or in a chat its first block of code does."""
    if not chat:
        return problem.prompt + answer
    block = match.group(1) if (match := _BLOCK.search(answer)) else answer
    whole = f"def {problem.entry_point}" in block
    return f"{problem.prompt}\n    pass\n\n{block}" if whole else problem.prompt + block


def before_stops(answer: str, stops: Sequence[str]) -> str:
    """The answer before the first of `stops`."""
    return answer[: min((at for stop in stops if (at := answer.find(stop)) >= 0), default=len(answer))]


def code_sample(
    number: int, question: Question, answers: Sequence[str], verdicts: Sequence[SolutionVerdict], ranks: Sequence[int]
) -> dict[str, Any]:
    """A line of samples: all answers to a question, and how many passed."""
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    passed = outcomes["passed"]
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return {
        "id": number,
        "question_digest": hashlib.sha256(canonical.encode()).hexdigest(),
        "question": question,
        "prompt": question["prompt"],
        "target": str(question.get("canonical_solution", "")),
        "output": _NEXT.join(answer[: _limit(len(answers))] for answer in answers),
        "metrics": {**{f"{PREFIX}{k}": pass_at_k(len(answers), passed, k) for k in ranks}, **outcomes},
    }


def answers_of(output: str, count: int) -> list[str] | None:
    """The `count` answers in the output of a sample; None if it does not hold them whole."""
    answers = output.split(_NEXT)
    return answers if len(answers) == count and max(map(len, answers)) < _limit(count) else None


def _limit(count: int) -> int:
    """Characters of one of `count` answers that fit into an output."""
    return _MAX_TEXT // count - len(_NEXT)


def metric_names(ranks: Sequence[int]) -> list[str]:
    """The name of pass_at_k for each k."""
    return [f"{PREFIX}{k}" for k in ranks]


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that one of k answers passes: the unbiased estimate of Chen et al., 2021, from `samples` answers."""
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)
