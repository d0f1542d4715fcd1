"""Tests facts one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pygit2

from localhub.contract.checks import Differs, NotTried
from localhub.contract.guard import WriteRefused
from localhub.contract.registry import NEEDS, Fact, Need
from localhub.contract.workspace import Workspace

Ending = Literal["confirmed", "differs", "not tried"]

_WRONG_SHAPE = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""The errors that code raises when it reads an answer of another form than the documented one."""


@dataclass(frozen=True)
class FactResult:
    """How the test of a fact ended; `expected` and `got` for one that differs, `reason` for one that is not tried."""

    fact: Fact
    ending: Ending
    expected: str = ""
    got: str = ""
    reason: str = ""
    calls: int = 0
    """The calls of the fact itself, without those that create things for several facts."""


def run_facts(workspace: Workspace, facts: Sequence[Fact], available: Collection[Need]) -> Iterator[FactResult]:
    """Yield the result of each fact. `available`: the needs of facts that this run meets."""
    for fact in facts:
        missing = [need for need in fact.needs if need not in available]
        yield FactResult(fact, "not tried", reason=NEEDS[missing[0]]) if missing else _try_fact(workspace, fact)


def _try_fact(workspace: Workspace, fact: Fact) -> FactResult:
    budget = workspace.client.budget
    before = budget.used - budget.set_up

    def calls() -> int:
        return budget.used - budget.set_up - before

    try:
        fact.test(workspace)
    except Differs as error:
        return FactResult(fact, "differs", expected=error.expected, got=error.got, calls=calls())
    except pygit2.GitError as error:
        return FactResult(fact, "differs", expected="an answer to git", got=str(error), calls=calls())
    except _WRONG_SHAPE as error:
        got = f"another form: {type(error).__name__}: {error}"
        return FactResult(fact, "differs", expected="an answer of the documented form", got=got, calls=calls())
    except (NotTried, WriteRefused) as error:
        return FactResult(fact, "not tried", reason=str(error), calls=calls())
    return FactResult(fact, "confirmed", calls=calls())


def unreached(facts: Sequence[Fact], results: Sequence[FactResult]) -> list[FactResult]:
    """Results, `not tried`, for the facts that an interrupted run did not reach."""
    return [FactResult(fact, "not tried", reason="the run was interrupted") for fact in facts[len(results) :]]
