"""A board: the repos, suite, people and policies of one leaderboard, read from its board file."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from leaderboard.backend_settings import Backend
from leaderboard.budgets import Budgets
from leaderboard.cross_checks import WorkerPolicy
from leaderboard.effects import OTHERS, Effect, EffectMode, Effects
from leaderboard.engines import EngineName
from leaderboard.front_ends import FrontEnd
from leaderboard.model_pages import ModelPageColumn
from leaderboard.options import PRECISION_NAMES
from leaderboard.policy import AdmissionPolicy, Precision
from leaderboard.reasons import describe_errors
from leaderboard.request_paths import is_repo_name
from leaderboard.requests import Status
from leaderboard.tiers import Tier, TierLimits
from leaderboard.yaml_edits import added, replaced, value_of

# The letters are listed because a bounded repetition of `\w`, which is all of Unicode, takes ten megabytes per process.
RepoId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,96}(/[A-Za-z0-9_.-]{1,96})?$")]
PinnedRepo = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,96}/[A-Za-z0-9_.-]{1,96}(@[0-9a-f]{40})?$")]
RESTRICTED = "-restricted-answers"
"""End of the name of the details dataset with the answers to restricted benchmarks."""
MAX_REPO_NAME = 96
"""Characters that the Hub allows in the name of a repo, without the name of its owner."""


def _details_name(name: str) -> str:
    if name.count("{model}") != 1 or not is_repo_name(name.replace("{model}", "org__name")):
        raise ValueError("write a name that the Hub allows, with {model} in it, such as {model}-details")
    return name


DetailsName = Annotated[str, StringConstraints(max_length=40), AfterValidator(_details_name)]


def models_with_same_details(model: str) -> tuple[str, ...]:
    """Return the other models whose details datasets may have the same name as one of `model`.

    They are `a__b/c` for `a/b__c`, and the model whose name is that of `model` with or without RESTRICTED at its end.
    """
    name = model.replace("/", "__")
    models = [f"{name[:at]}/{name[at + 2 :]}" for at in range(1, len(name) - 2) if name[at : at + 2] == "__"]
    ends = [model.removesuffix(RESTRICTED) if model.endswith(RESTRICTED) else f"{model}{RESTRICTED}"]
    return tuple(other for other in (*models, *ends) if other != model)


class BadBoard(ValueError):
    """The board file does not describe a board; the message names every invalid field."""


class BoardRepos(BaseModel):
    """The repos of a board on the Hub. All but the community repo are datasets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: RepoId
    results: RepoId
    logs: RepoId
    community: RepoId
    community_type: Literal["dataset", "space", "model"] = "space"
    details_namespace: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,96}$")]
    details_name: DetailsName = Field(
        default="details_{model}",
        description="name of each model's [details](publishing.md#front-ends); `{model}` is `org__name`",
    )
    flags: RepoId | None = Field(default=None, description="dataset of the flags; without it, no model can be flagged")
    contents: RepoId | None = Field(
        default=None, description="dataset of the aggregated table; without it, there is none"
    )

    @property
    def private_logs(self) -> str:
        """The private dataset of logs that may not be public, beside a public logs repo."""
        return f"{self.logs}-private"

    def details(self, model: str) -> str:
        """Return the details dataset of `model` (`org/name`): `{details_namespace}/{details_name}`, or a shorter name.

        A name that is too long for the Hub is cut and ends in a digest of the whole name. A cut name contains no `__`,
        while every other name does, so two models never share a repo.
        """
        return self._details(model, "")

    def restricted_details(self, model: str) -> str:
        """Return the gated dataset with the answers of `model` to restricted benchmarks: the name of its details, and
        RESTRICTED."""
        return self._details(model, RESTRICTED)

    def _details(self, model: str, end: str) -> str:
        name = self.details_name.replace("{model}", model.replace("/", "__")) + end
        if len(name) > MAX_REPO_NAME:
            digest = hashlib.sha256(f"{model}{end}".encode()).hexdigest()[:16]
            head = re.sub(r"_+", "_", name)[: MAX_REPO_NAME - len(digest) - 1]
            name = f"{head.rstrip('-._')}_{digest}"
        return f"{self.details_namespace}/{name}"


class MaintainingOrganisation(BaseModel):
    """An organisation on the Hub whose members with `role` are maintainers. The bot must be a member to see roles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,96}$")]
    role: Literal["admin", "write", "contributor", "read"] = "admin"


class Board(BaseModel):
    """The settings of one leaderboard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    title: str = Field(max_length=100)
    repos: BoardRepos
    suite: str = Field(description="name of a suite that ships with Steward, or a path to a suite file")
    questions: dict[RepoId, PinnedRepo] = Field(
        default_factory=dict, description="a dataset of the suite → the repo, or repo@commit, that holds it here"
    )
    engine: EngineName = Field(
        default="shared-prefix",
        description="how a model's answers are computed ([engines](evaluation-engine.md)); a suite may say it, too",
    )
    front_end: FrontEnd = Field(
        default_factory=FrontEnd,
        description="the Space that shows the board: its name, or an object as below",
    )
    front_ends: tuple[str, ...] = Field(
        default=(), description="Hub user ids of accounts whose request files may name another submitter in `sender`"
    )
    maintainers: tuple[str, ...] = Field(default=(), description="Hub user ids")
    maintainer_organisations: tuple[MaintainingOrganisation, ...] = ()
    effects: Effects = Field(default_factory=Effects, description="the mode of each kind of effect; shadow by default")
    threads: Literal["always", "failures", "never"] = "failures"
    pull_requests: Literal["wait", "merge"] = Field(
        default="wait", description="who merges a pull request that passes every check: a maintainer, or the bot"
    )
    precisions: tuple[Precision, ...] = PRECISION_NAMES
    admission: AdmissionPolicy = Field(default_factory=AdmissionPolicy, description="the rules for submissions")
    max_request_bytes: int = Field(default=100_000, ge=1_000)
    attempts: int = Field(
        default=3, ge=1, le=20, description="maximal attempts of one request, until a person relaunches it"
    )
    relaunches_a_day: int = Field(default=100, ge=0, description="maximal relaunches by people in 24 hours")
    attempt_seconds: int = Field(default=8 * 3600, ge=10, description="time limit of one attempt")
    shows_new_evals: bool = Field(
        default=True, description="`false`: PENDING_NEW_EVAL is not among the `statuses` of the front end"
    )
    model_pages: dict[str, ModelPageColumn] = Field(
        default_factory=dict,
        description="column → the official task that it is: scores for [models' own pages](model-pages.md)",
    )
    model_pages_a_day: int = Field(
        default=10, ge=0, le=1000, description="maximal new pull requests with scores on models' repos in 24 hours"
    )
    trials_a_week: int = Field(
        default=3, ge=0, le=1000, description="maximal trials (`/try`) of one person in seven days; 0: no trials"
    )
    tiers: TierLimits = Field(default_factory=TierLimits, description="limits of the tiers")
    backends: dict[Tier, Backend] = Field(
        default_factory=dict,
        description="tier → where its attempts are computed; a tier without an entry has workers of its own",
    )
    budgets: Budgets = Field(default_factory=Budgets, description="GPU-hours by tier, submitter and request")
    workers: WorkerPolicy | None = Field(
        default=None,
        description="whose workers evaluate ([other people's workers](other-workers.md)); "
        "without it, all are the operator's",
    )

    def listed(self, status: Status) -> Status:
        """Return `status`, or PENDING in place of a status of waiting requests that the front end does not list."""
        is_listed = self.front_end.lists(status) and (self.shows_new_evals or status is not Status.PENDING_NEW_EVAL)
        return status if is_listed else Status.PENDING

    def with_effect(self, kind: Effect, mode: EffectMode) -> Board:
        """Return this board with effects of `kind` in `mode`."""
        return self.model_copy(update={"effects": Effects(modes={**self.effects.modes, kind: mode})})


def parse_board(text: str) -> Board:
    """Parse the board in the YAML document `text`. Raises BadBoard."""
    try:
        return Board.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        raise BadBoard(f"the board file has invalid fields: {describe_errors(error)}") from error
    except RecursionError as error:
        raise BadBoard("the board file is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:  # a ValueError: an impossible date, or too many digits
        raise BadBoard(f"the board file is not YAML: {error}") from error


def set_effect(text: str, kind: Effect, mode: EffectMode) -> str:
    """Return the board file `text` with effects of `kind` in `mode` and nothing else changed.

    Raises BadBoard if `text` is no board file, or its effects cannot be edited in place.
    """
    before = parse_board(text)
    if before.effects.mode(kind) is mode:
        return text
    after = _edited(text, kind, mode)
    try:
        edited = parse_board(after)
    except BadBoard:
        edited = None
    if edited != before.with_effect(kind, mode):
        raise BadBoard(f"the effects cannot be edited in place; write `effects: {{{kind}: {mode}, …}}` by hand.")
    return after


def _edited(text: str, kind: Effect, mode: EffectMode) -> str:
    board = yaml.compose(text)
    assert isinstance(board, yaml.MappingNode)
    effects = value_of(board, "effects")
    if effects is None:
        return added(text, board, f"effects: {{{kind}: {mode}}}")
    if isinstance(effects, yaml.MappingNode):
        current = value_of(effects, kind)
        return added(text, effects, f"{kind}: {mode}") if current is None else replaced(text, current, mode)
    return replaced(text, effects, f"{{{kind}: {mode}, {OTHERS}: {_word(effects)}}}")


def _word(node: yaml.Node) -> EffectMode:
    """Return the mode that one word sets for all kinds; YAML reads a bare `on` and `off` as true and false."""
    word = yaml.safe_load(yaml.serialize(node))
    return EffectMode({True: "on", False: "off"}[word] if isinstance(word, bool) else word)
