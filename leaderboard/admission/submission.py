"""What a rule looks at, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from leaderboard.admission.facts import BoardFacts, ConfigFacts, ModelFacts, TokenizerFacts
from leaderboard.boards import Board
from leaderboard.categories import ModelCategory, read_category
from leaderboard.policy import AdmissionPolicy, RuleName
from leaderboard.reasons import Problem
from leaderboard.requests import Request


@dataclass(frozen=True)
class Submission:
    """All that a rule may look at. With `base_name` it is the base model of a submission that is judged."""

    request: Request
    model: ModelFacts
    board: Board
    board_facts: BoardFacts
    base_name: str = ""

    @property
    def policy(self) -> AdmissionPolicy:
        """What the board asks for."""
        return self.board.admission

    @property
    def name(self) -> str:
        """The model's id, as it was asked for."""
        return self.base_name or self.request.path.model

    @property
    def revision(self) -> str:
        """The revision that was asked for."""
        return "main" if self.base_name else (self.request.file.revision or "main").strip()

    @property
    def precision(self) -> str:
        """The precision that was asked for."""
        return self.request.path.precision

    @property
    def weight_type(self) -> str:
        """Original, Delta or Adapter; a base model has weights of its own."""
        return "Original" if self.base_name else self.request.path.weight_type

    @property
    def category(self) -> ModelCategory:
        """The category that the request claims."""
        return read_category(self.request.file.model_type)

    @property
    def config(self) -> ConfigFacts | None:
        """The config that is loaded: an adapter has none of its own, but that of its base model."""
        if self.weight_type == "Adapter":
            return self.model.base.config if self.model.base is not None else None
        return self.model.config

    @property
    def tokenizer(self) -> TokenizerFacts | None:
        """The tokenizer that is loaded: an adapter, which need not have one, may use that of its base model."""
        own, base = self.model.tokenizer, self.model.base
        if self.weight_type == "Adapter" and base is not None and (own is None or own.state == "missing"):
            return base.tokenizer
        return own

    @property
    def is_bare_adapter(self) -> bool:
        """Whether the repo holds an adapter and no model, though it was not submitted as one."""
        config = self.model.config
        without = config is None or config.state == "missing"
        return self.weight_type != "Adapter" and self.model.adapter is not None and without

    def of_base(self) -> Submission | None:
        """The base model as something to be judged; None where nothing is known of it."""
        if self.model.base is None or not self.model.base_name:
            return None
        return replace(self, model=self.model.base, base_name=self.model.base_name)


Check = Callable[[Submission], Iterator[Problem]]
Known = Callable[[Submission], bool]


@dataclass(frozen=True)
class AdmissionRule:
    """One thing that is asked of a submission.

    `explains` is for people who submit: it may name numbers of the board's policy, as `{policy.quota}`. `source` is a
    sentence of the Open LLM Leaderboard's FAQ, or a check of its form, numbered in order. `known` says whether there is
    anything to look at; `of_base` whether the base model of a Delta or an Adapter has to pass it too.
    """

    name: RuleName
    title: str
    explains: str
    source: str
    check: Check
    known: Known
    of_base: bool = False


def always(_: Submission) -> bool:
    """A rule about the request alone."""
    return True


def is_readable(it: Submission) -> bool:
    """A rule about a model that can be read."""
    return it.model.availability == "found"
