"""The kinds of boards that run side by side: one for each evaluator, and one of predictions.

For the board of a new evaluator, add a row to `KINDS`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.board.predictions import PRIVATE_COUNT, PUBLIC_COUNT, as_file, lines, predictions, suite_at
from tests.support.evaluators import code, embeddings, inspect_tasks
from tests.support.workers import real_worker

PREDICTIONS = "predictions"
ADA, BOB, CHEN = "ada", "bob", "chen"
BY_FORM, BY_COMMAND, BY_PULL, BROKEN = "ada/tiny", "bob/tiny", "chen/tiny", "bob/broken"
"""What is submitted to every board: by the form, by a command, by a pull request, and one that must fail."""
GOOD = (BY_FORM, BY_COMMAND, BY_PULL)
ANSWERS_ORG = "secrets"
ANSWERS = f"{ANSWERS_ORG}/answers"
SECRET_WORD = "zanzibar-quokka"
"""Part of each private answer. No submission predicts it, so a test finds a leak of any of them."""


@dataclass(frozen=True)
class BoardKind:
    """One kind of board: its suite, its questions, and how it differs from the others.

    `suite` takes the commit of the private answers, and returns the fields of the suite file.
    """

    name: str
    suite: Callable[[str], Mapping[str, Any]]
    questions: str
    files: Mapping[str, bytes]
    cause: str
    """Cause of the failure of the broken submission."""
    tells: str
    """Text in the message of that failure."""
    reproduces: str
    """Text in the answer to `/reproduce`."""
    changed: Mapping[str, Any] | None = None
    """The suite file that scores the same answers differently; None if stored answers are not scored again."""
    errors: tuple[str, ...] = ()
    """Benchmarks whose scores have a standard error."""
    details: tuple[str, ...] = ()
    """Tasks whose answers are in the details repo."""
    attachments: tuple[str, ...] = ()
    """Names of the files that an evaluation publishes beside its answers."""
    takes_predictions: bool = False

    @property
    def precision(self) -> str:
        """The precision of every request of the board."""
        return PREDICTIONS if self.takes_predictions else "float32"

    def path(self, model: str) -> str:
        """The path of a request."""
        return f"{model}_eval_request_False_{self.precision}_Original.json"

    def repo(self, name: str) -> str:
        """A repo of the board."""
        return f"{self.name}/{name}"


def season_suite(revision: str, *, ends: timedelta = timedelta(days=1)) -> dict[str, Any]:
    """Return the suite of predictions with a season that began yesterday and ends after `ends`."""
    now = datetime.now(UTC)
    season = {"name": "autumn", "begins": now - timedelta(days=1), "ends": now + ends}
    suite = suite_at(revision, metric="exact_match,none", type="text", choices=[], seasons=[season])
    made = suite.model_dump(mode="json", exclude_defaults=True)
    made["predictions"]["answers"] |= {"repo": ANSWERS}
    made["predictions"]["rounding"] = 0.001
    made["datasets"] = [{"repo": "colours/questions"}]
    return made


def answer_rows() -> list[dict[str, str]]:
    """Return the rows of the private file, with the right answer to every question."""
    return [
        {"id": f"q{number}", "answer": answer_of(number), "split": "public" if number < PUBLIC_COUNT else "private"}
        for number in range(PUBLIC_COUNT + PRIVATE_COUNT)
    ]


def answer_of(number: int) -> str:
    """The right answer to a question."""
    return f"{SECRET_WORD} {number:03}"


def predicted(right: Mapping[str, int]) -> bytes:
    """Return a file of predictions with this number of right ones in each part."""
    known = [*range(right["public"]), *range(PUBLIC_COUNT, PUBLIC_COUNT + right["private"])]
    return as_file({key: answer_of(n) if n in known else f"guess {n}" for n, key in enumerate(predictions())})


PREDICTED = {
    BY_FORM: {"public": 8, "private": 2},
    BY_COMMAND: {"public": 5, "private": 7},
    BY_PULL: {"public": 3, "private": 4},
}
"""Submission → its numbers of right predictions; the private part ranks the submissions in a different order."""
INCOMPLETE = as_file(dict.fromkeys(list(predictions())[2:], "guess") | {"q99": "guess"})
"""Predictions without two questions, and with one that does not exist."""

ANY_PROBLEM = {
    "task_id": "Nothing/0",
    "prompt": 'def nothing():\n    """Return nothing."""\n    # ',
    "entry_point": "nothing",
    "canonical_solution": "nothing\n",
    "test": "def check(candidate):\n    assert candidate() is None\n",
}
"""A problem that nearly any text solves, so that the board has scores above 0."""
ANY_LETTER = {"text": "Say anything", "letter": "", "kind": "any"}
"""A question that any text answers correctly."""


def with_line(files: Mapping[str, bytes], name: str, row: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files, with one more row in the file `name`."""
    return {**files, name: files[name] + json.dumps(row).encode() + b"\n"}


def without_questions(suite: Mapping[str, Any], *questions: tuple[str, int]) -> dict[str, Any]:
    """Return the suite in which these questions do not count: task and number of each."""
    errata = [{"task": task, "question": number, "reason": "Its answer is wrong."} for task, number in questions]
    return {**copy.deepcopy(dict(suite)), "errata": errata}


def other_language_rules() -> dict[str, Any]:
    """The suite of the board of lm-eval, with a withdrawn question, and without a benchmark's number of choices."""
    suite = without_questions(real_worker.SUITE, ("quick_choose", 0))
    del suite["benchmarks"][0]["choices"]
    return suite


def other_limits_of_programs() -> dict[str, Any]:
    """The suite of the board of code, with a withdrawn problem, and another limit of time for solutions."""
    suite = without_questions(code.SUITE, ("times", 0))
    suite["evaluator"]["options"]["seconds"] = 5
    return suite


KINDS = (
    BoardKind(
        "language",
        suite=lambda _: real_worker.SUITE,
        questions=real_worker.QUESTIONS,
        files=real_worker.question_files()[1],
        cause="weights-not-finite",
        tells="NaN",
        reproduces="lm_eval",
        errors=("Choose", "Write"),
        details=("quick_choose", "quick_write"),
        changed=other_language_rules(),
    ),
    BoardKind(
        "nearness",
        suite=lambda _: embeddings.SUITE,
        questions=embeddings.REPO,
        files=embeddings.question_files(),
        cause="evaluator-refused-model",
        tells="are not numbers",
        reproduces="steward evaluator run",
        errors=("Nearer",),
        details=("triples", "pairs"),
        changed=without_questions(embeddings.SUITE, ("triples", 0), ("pairs", 0)),
    ),
    BoardKind(
        "programs",
        suite=lambda _: code.SUITE,
        questions=code.REPO,
        files=with_line(code.question_files(), "times.jsonl", ANY_PROBLEM),
        cause="evaluator-refused-model",
        tells="are not numbers",
        reproduces="steward evaluator run",
        errors=("Times",),
        details=("times",),
        changed=other_limits_of_programs(),
    ),
    BoardKind(
        "capitals",
        suite=lambda _: inspect_tasks.SUITE,
        questions=inspect_tasks.REPO,
        files=with_line(inspect_tasks.question_files(), "letters.jsonl", ANY_LETTER),
        cause="evaluator-refused-model",
        tells="its logits are not numbers",
        reproduces="steward evaluator run",
        errors=("Capitals", "Letters"),
        details=("capitals", "letters"),
        changed=without_questions(inspect_tasks.SUITE, ("capitals", 0), ("letters", 5)),
        attachments=("capitals.eval", "letters.eval"),
    ),
    BoardKind(
        "colours",
        suite=season_suite,
        questions="colours/questions",
        files={"questions.jsonl": lines([{"id": key, "text": f"Which colour has {key}?"} for key in predictions()])},
        cause="several-reasons",
        tells="q99",
        reproduces="others cannot compute them again",
        errors=("Colours",),
        takes_predictions=True,
    ),
)
"""The boards that run side by side."""
