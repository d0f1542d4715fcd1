"""The kinds of boards that run side by side: one for each evaluator, and one of predictions. A row for each.

A board of a new evaluator is one more row of `KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.board.predictions import PRIVATE_COUNT, PUBLIC_COUNT, as_file, lines, predictions, suite_at
from tests.support.evaluators import code, embeddings
from tests.support.workers import real_worker

PREDICTIONS = "predictions"
ADA, BOB, CHEN = "ada", "bob", "chen"
BY_FORM, BY_COMMAND, BY_PULL, BROKEN = "ada/tiny", "bob/tiny", "chen/tiny", "bob/broken"
"""What is submitted to every board: by the form, by a command, by a pull request, and one that must fail."""
GOOD = (BY_FORM, BY_COMMAND, BY_PULL)
ANSWERS_ORG = "secrets"
ANSWERS = f"{ANSWERS_ORG}/answers"
SECRET_WORD = "zanzibar-quokka"
"""Part of every private answer that nobody predicts, so that a leak of any of them is found."""


@dataclass(frozen=True)
class BoardKind:
    """One kind of board: its suite, its questions, and how it differs from the others.

    `suite` takes the commit of the private answers, and gives the fields of the suite file.
    """

    name: str
    suite: Callable[[str], Mapping[str, Any]]
    questions: str
    files: Mapping[str, bytes]
    cause: str
    """Cause of the failure of the broken submission."""
    tells: str
    """Words of its message."""
    reproduces: str
    """Words of the answer to `/reproduce`."""
    rescores: str
    """Words of the answer of `steward rescore --dry-run`."""
    errors: tuple[str, ...] = ()
    """Benchmarks whose scores have a standard error."""
    details: tuple[str, ...] = ()
    """Tasks whose answers are in the details repo."""
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
    """The suite of predictions with a season that began yesterday, and `ends` after now."""
    now = datetime.now(UTC)
    season = {"name": "autumn", "begins": now - timedelta(days=1), "ends": now + ends}
    suite = suite_at(revision, metric="exact_match,none", type="text", choices=[], seasons=[season])
    made = suite.model_dump(mode="json", exclude_defaults=True)
    made["predictions"]["answers"] |= {"repo": ANSWERS}
    made["predictions"]["rounding"] = 0.001
    made["datasets"] = [{"repo": "colours/questions"}]
    return made


def answer_rows() -> list[dict[str, str]]:
    """The private file: a right answer for every question, of which the submissions know few."""
    return [
        {"id": f"q{number}", "answer": answer_of(number), "split": "public" if number < PUBLIC_COUNT else "private"}
        for number in range(PUBLIC_COUNT + PRIVATE_COUNT)
    ]


def answer_of(number: int) -> str:
    """The right answer to a question."""
    return f"{SECRET_WORD} {number:03}"


def predicted(right: Mapping[str, int]) -> bytes:
    """A file of predictions of which so many are right in each part."""
    known = [*range(right["public"]), *range(PUBLIC_COUNT, PUBLIC_COUNT + right["private"])]
    return as_file({key: answer_of(n) if n in known else f"guess {n}" for n, key in enumerate(predictions())})


PREDICTED = {
    BY_FORM: {"public": 8, "private": 2},
    BY_COMMAND: {"public": 5, "private": 7},
    BY_PULL: {"public": 3, "private": 4},
}
"""How many predictions of each submission are right: the private part ranks them in another order."""
INCOMPLETE = as_file(dict.fromkeys(list(predictions())[2:], "guess") | {"q99": "guess"})
"""Predictions without two questions, and with one that does not exist."""

KINDS = (
    BoardKind(
        "language",
        suite=lambda _: real_worker.SUITE,
        questions=real_worker.QUESTIONS,
        files=real_worker.question_files()[1],
        cause="weights-not-finite",
        tells="NaN",
        reproduces="lm_eval",
        rescores="There is nothing to do",
        errors=("Choose", "Write"),
        details=("quick_choose", "quick_write"),
    ),
    BoardKind(
        "nearness",
        suite=lambda _: embeddings.SUITE,
        questions=embeddings.REPO,
        files=embeddings.question_files(),
        cause="evaluator-refused-model",
        tells="are not numbers",
        reproduces="is evaluated by embeddings 1, not by lm-eval",
        rescores="is evaluated by embeddings",
        errors=("Nearer",),
        details=("triples", "pairs"),
    ),
    BoardKind(
        "programs",
        suite=lambda _: code.SUITE,
        questions=code.REPO,
        files=code.question_files(),
        cause="evaluator-refused-model",
        tells="are not numbers",
        reproduces="is evaluated by code 1, not by lm-eval",
        rescores="is evaluated by code",
        errors=("Times",),
        details=("times",),
    ),
    BoardKind(
        "colours",
        suite=season_suite,
        questions="colours/questions",
        files={"questions.jsonl": lines([{"id": key, "text": f"Which colour has {key}?"} for key in predictions()])},
        cause="several-reasons",
        tells="q99",
        reproduces="others cannot compute them again",
        rescores="There is nothing to do",
        errors=("Colours",),
        takes_predictions=True,
    ),
)
"""The boards that run side by side."""
