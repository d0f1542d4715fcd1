"""Facts about the Hub: their ids, statements, and what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from localhub.contract.workspace import Workspace

Need = Literal["organisation", "webhook address", "other token", "exhaustive", "jobs"]
Test = Callable[[Workspace], None]

NEEDS: dict[Need, str] = {
    "organisation": "the account is in no organisation",
    "webhook address": "no --webhook-url, at which the Hub could reach this machine",
    "other token": "no --other-token, of a second account",
    "exhaustive": "it uses up the limit of commits of a repo; --exhaustive tries it",
    "jobs": "starting Jobs costs money; --jobs starts a few small ones",
}
"""A need of facts → the reason that the report gives if the run does not meet it."""


@dataclass(frozen=True)
class Fact:
    """One statement about the Hub, and the test of it. `calls` is the most calls that the test makes.

    `is_choice`: the Hub's documents say nothing about it, localhub has chosen an answer, and Steward does not rely on
    it.
    """

    id: str
    group: str
    statement: str
    calls: int
    test: Test
    is_choice: bool = False
    needs: tuple[Need, ...] = ()

    @property
    def sentence(self) -> str:
        """The statement, marked if it is a choice."""
        return f"{self.statement} [localhub's choice]" if self.is_choice else self.statement


@dataclass
class FactGroup:
    """Facts about one subject, in the order in which they are tested: later ones may use what earlier ones made.

    All of them have these `needs`.
    """

    name: str
    needs: tuple[Need, ...] = ()
    facts: list[Fact] = field(default_factory=list)

    def fact(self, *, calls: int, needs: tuple[Need, ...] = ()) -> Callable[[Test], Test]:
        """Decorator: add a fact that Steward relies on. Its docstring is the statement, its name the end of the id."""
        return self._adding(calls, needs, is_choice=False)

    def choice(self, *, calls: int, needs: tuple[Need, ...] = ()) -> Callable[[Test], Test]:
        """Decorator: add an answer that localhub has chosen because the Hub's documents say nothing."""
        return self._adding(calls, needs, is_choice=True)

    def _adding(self, calls: int, needs: tuple[Need, ...], *, is_choice: bool) -> Callable[[Test], Test]:
        def add(test: Test) -> Test:
            fact_id = f"{self.name}.{test.__name__.replace('_', '-')}"
            statement = " ".join((test.__doc__ or "").split())
            self.facts.append(Fact(fact_id, self.name, statement, calls, test, is_choice, (*self.needs, *needs)))
            return test

        return add
