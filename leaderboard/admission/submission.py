"""The submission that rules judge, and the type of a rule."""

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
    """The facts that rules may use. If `base_name` is set, the rules judge the base model of the submission."""

    request: Request
    model: ModelFacts
    board: Board
    board_facts: BoardFacts
    base_name: str = ""

    @property
    def policy(self) -> AdmissionPolicy:
        """The admission policy of the board."""
        return self.board.admission

    @property
    def name(self) -> str:
        """The requested model id."""
        return self.base_name or self.request.path.model

    @property
    def revision(self) -> str:
        """The requested revision."""
        return "main" if self.base_name else (self.request.file.revision or "main").strip()

    @property
    def precision(self) -> str:
        """The requested precision."""
        return self.request.path.precision

    @property
    def weight_type(self) -> str:
        """Original, Delta or Adapter; a base model is always Original."""
        return "Original" if self.base_name else self.request.path.weight_type

    @property
    def category(self) -> ModelCategory:
        """The category that the request claims."""
        return read_category(self.request.file.model_type)

    @property
    def config(self) -> ConfigFacts | None:
        """The config that is loaded: for an adapter, the config of its base model."""
        if self.weight_type == "Adapter":
            return self.model.base.config if self.model.base is not None else None
        return self.model.config

    @property
    def tokenizer(self) -> TokenizerFacts | None:
        """The tokenizer that is loaded: for an adapter without one, the tokenizer of its base model."""
        own, base = self.model.tokenizer, self.model.base
        if self.weight_type == "Adapter" and base is not None and (own is None or own.state == "missing"):
            return base.tokenizer
        return own

    @property
    def is_bare_adapter(self) -> bool:
        """Whether the repo holds an adapter alone, but is not submitted as an Adapter."""
        config = self.model.config
        has_no_config = config is None or config.state == "missing"
        return self.weight_type != "Adapter" and self.model.adapter is not None and has_no_config

    def of_base(self) -> Submission | None:
        """Return the base model as a submission to judge; None without facts about it."""
        if self.model.base is None or not self.model.base_name:
            return None
        return replace(self, model=self.model.base, base_name=self.model.base_name)


Check = Callable[[Submission], Iterator[Problem]]
Known = Callable[[Submission], bool]


@dataclass(frozen=True)
class AdmissionRule:
    """One requirement for submissions.

    `explains` is for submitters and may contain numbers of the board's policy, as in `{policy.quota}`. `source` is a
    sentence of the Open LLM Leaderboard's FAQ, or a check of its form, numbered in order. `known`: whether the facts
    for the check are known; `of_base`: whether the base model of a Delta or an Adapter must pass it too.
    """

    name: RuleName
    title: str
    explains: str
    source: str
    check: Check
    known: Known
    of_base: bool = False


def always(_: Submission) -> bool:
    """Return True, as the `known` of rules about the request alone: their facts are always known."""
    return True


def is_readable(submission: Submission) -> bool:
    """Whether the model is readable; the `known` of rules about its files."""
    return submission.model.availability == "found"
