"""Whether a submission may be evaluated: facts about its file and its model in, a verdict with every reason out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from leaderboard.admission.facts import Availability, ConfigState, ModelFacts, Surroundings
from leaderboard.attempts import Failure
from leaderboard.boards import Board
from leaderboard.requests import Problem, Request


@dataclass(frozen=True)
class Verdict:
    """Accepted at one commit, or refused with every reason."""

    sha: str | None
    reasons: tuple[Problem, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether there is nothing against it."""
        return not self.reasons and self.sha is not None


@dataclass(frozen=True)
class Submission:
    """All that a rule may look at."""

    request: Request
    model: ModelFacts
    board: Board
    around: Surroundings


Rule = Callable[[Submission], Iterator[Problem]]


def judge(submission: Submission) -> Verdict:
    """The verdict on a submission: every rule speaks, so that a submitter hears everything at once."""
    reasons = tuple(problem for rule in RULES for problem in rule(submission))
    return Verdict(submission.model.sha, reasons)


def refusal(reasons: tuple[Problem, ...]) -> Failure:
    """`reasons` as the failure that the request file and the thread report; there must be at least one."""
    first, *others = reasons
    message = " ".join(problem.message for problem in reasons)
    advice = " ".join(dict.fromkeys(problem.advice for problem in reasons if problem.advice))
    cause = first.code if not others else "several-reasons"
    return Failure(cause=cause, fault="submission", message=message[:2_000], advice=advice[:2_000])


def known_precision(it: Submission) -> Iterator[Problem]:
    """The precision is one that the board evaluates."""
    if it.request.path.precision not in it.board.precisions:
        yield Problem(
            code="precision-unknown",
            message=f"The precision {it.request.path.precision[:40]!r} is not one that this leaderboard evaluates.",
            advice=f"Choose one of {', '.join(it.board.precisions)}.",
        )


def known_weight_type(it: Submission) -> Iterator[Problem]:
    """The weight type is one that exists."""
    if it.request.path.weight_type not in ("Original", "Delta", "Adapter"):
        yield Problem(
            code="weights-unknown",
            message=f"The weight type {it.request.path.weight_type[:40]!r} does not exist.",
            advice="Choose Original, Delta or Adapter.",
        )


def reachable(it: Submission) -> Iterator[Problem]:
    """The model and the revision exist, and the leaderboard may read them."""
    model, revision = it.request.path.model, (it.request.file.revision or "main")[:100]
    told: dict[Availability, tuple[str, str, str]] = {
        "no-model": (
            "model-not-found",
            f"There is no model {model} on the Hub, or it is private.",
            "Check the name for typing errors, and that the model is public.",
        ),
        "no-revision": (
            "revision-not-found",
            f"The model {model} has no revision {revision!r}.",
            "Name a branch, a tag or a full commit hash of the model.",
        ),
        "gated": (
            "model-gated",
            f"The model {model} is gated, so it cannot be downloaded for evaluation.",
            "Open the gate, or grant access to the leaderboard's account.",
        ),
        "disabled": ("model-disabled", f"The Hub has disabled the model {model}.", "Ask the Hub's support why."),
        "private": (
            "model-private",
            f"The model {model} is private; this leaderboard evaluates public models.",
            "Make the model public and submit it again.",
        ),
    }
    if it.model.availability in told:
        code, message, advice = told[it.model.availability]
        yield Problem(code=code, message=message, advice=advice)


def loadable_config(it: Submission) -> Iterator[Problem]:
    """The config loads in the installed stable transformers, without remote code (FAQ, first two answers)."""
    config = it.model.config
    if config is None or config.state == "loaded":
        return
    version = f"transformers {config.transformers}" if config.transformers else "transformers"
    told: dict[ConfigState, tuple[str, str, str]] = {
        "missing": (
            "config-missing",
            f"{it.request.path.model} has no config.json at this revision.",
            "Upload the model with save_pretrained(), which writes it.",
        ),
        "unreadable": (
            "config-unreadable",
            f"The config.json cannot be read: {config.error[:300]}",
            "Check that AutoConfig.from_pretrained() loads the model.",
        ),
        "remote-code": (
            "remote-code-needed",
            "The model needs code of its own (trust_remote_code=True), which is never run here, for safety.",
            "Submit it again once its architecture is part of a stable release of transformers.",
        ),
        "unknown-architecture": (
            "unknown-architecture",
            f"The config names an architecture ({(config.model_type or 'none')[:100]}) that {version} does not know.",
            "Check model_type in config.json, or wait until a stable release of transformers supports it.",
        ),
        "too-costly": (
            "config-absurd",
            "Loading the config took more time or memory than any real model needs.",
            "Check the sizes in config.json.",
        ),
    }
    code, message, advice = told[config.state]
    yield Problem(code=code, message=message, advice=advice)


def safetensors_present(it: Submission) -> Iterator[Problem]:
    """Weights are there as safetensors: pickled ones could run code when they are loaded."""
    if it.model.availability != "found" or any(file.name.endswith(".safetensors") for file in it.model.files):
        return
    pickled = any(file.name.endswith((".bin", ".pt", ".pth", ".ckpt")) for file in it.model.files)
    yield Problem(
        code="weights-not-safetensors" if pickled else "weights-missing",
        message="The weights are there as pickle files only; this leaderboard loads safetensors alone."
        if pickled
        else "There are no weights in the model's repo.",
        advice="Upload the weights as safetensors: save_pretrained() does so by default.",
    )


RULES: tuple[Rule, ...] = (known_precision, known_weight_type, reachable, loadable_config, safetensors_present)
