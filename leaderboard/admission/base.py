"""Rules about the base models of Deltas and Adapters."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission import card, config, model, tokenizer, weights
from leaderboard.admission.submission import AdmissionRule, Submission, is_readable
from leaderboard.reasons import Problem, Reason, bounded, table
from leaderboard.request_paths import is_model

REASONS = table(
    (
        Reason(
            "base-missing",
            "{model} is submitted as {weight_type}, but names no base model.",
            "Name the base model in the field base_model of the request.",
        ),
        Reason(
            "base-is-itself",
            "{model} is submitted as {weight_type}, but names itself as its base model.",
            "Name the model that it was made from, or submit it as Original.",
        ),
        Reason(
            "base-is-adapter",
            "The base model of {model}, '{base}', is an adapter itself.",
            "Merge that adapter into its own base model, upload the result, and name it as the base model.",
        ),
        Reason(
            "base-differs",
            "The request names the base model of {model} as '{said}', but its adapter_config.json names '{found}'.",
            "Submit it with the base model on which it was trained.",
        ),
        Reason(
            "adapter-config-missing",
            "{model} is submitted as Adapter, but has no adapter_config.json.",
            "If it is a whole model, submit it as Original. If it is an adapter, upload the files that its "
            "save_pretrained() writes.",
        ),
        Reason(
            "adapter-unreadable",
            "The adapter_config.json of {model} cannot be read: {error}.",
            "Upload the files that the adapter's save_pretrained() writes, and submit the new commit.",
        ),
        Reason(
            "adapter-as-original",
            "{model} is an adapter rather than a whole model, but is submitted as {weight_type}.",
            "Submit it as Adapter, and name its base model.",
        ),
    )
)
ABOUT_MODELS = tuple(
    rule for family in (model, config, weights, tokenizer, card) for rule in family.RULES if rule.of_base
)
"""The rules that base models must pass as well."""
BASE = "base-"
"""Prefix of the codes of reasons about the base model."""


def _base(submission: Submission) -> Iterator[Problem]:
    name = submission.model.base_name
    if not name:
        yield REASONS["base-missing"].problem(model=submission.name, weight_type=submission.weight_type)
    elif name.casefold() == submission.name.casefold():
        yield REASONS["base-is-itself"].problem(model=submission.name, weight_type=submission.weight_type)
    else:
        yield from _of_base(submission)


def _of_base(submission: Submission) -> Iterator[Problem]:
    base = submission.of_base()
    if base is not None and base.is_bare_adapter:
        yield REASONS["base-is-adapter"].problem(model=submission.name, base=base.name)
    for rule in ABOUT_MODELS if base is not None else ():
        assert base is not None
        if submission.policy.holds(rule.name) and rule.known(base):
            yield from (_base_problem(base.name, problem) for problem in rule.check(base))


def _base_problem(name: str, problem: Problem) -> Problem:
    """Reword a problem of a base model for the submitter of a model that uses it."""
    which = "" if name in problem.message else f" '{bounded(name, 100)}'"
    message = f"Its base model{which} would be refused: {problem.message}"
    advice = f"If the base model is yours: {problem.advice[:1].lower()}{problem.advice[1:]}"
    if problem.code == "model-not-found":
        advice = "Check the name of the base model, in the request or in adapter_config.json, for typing errors."
    return problem.reworded(code=BASE + problem.code, message=message, advice=advice)


def _base_known(submission: Submission) -> bool:
    return submission.weight_type in ("Delta", "Adapter") and is_readable(submission)


def _adapter(submission: Submission) -> Iterator[Problem]:
    adapter = submission.model.adapter
    if submission.weight_type != "Adapter":
        if submission.is_bare_adapter:
            yield REASONS["adapter-as-original"].problem(model=submission.name, weight_type=submission.weight_type)
    elif adapter is None:
        yield REASONS["adapter-config-missing"].problem(model=submission.name)
    elif adapter.error:
        yield REASONS["adapter-unreadable"].problem(model=submission.name, error=adapter.error.rstrip("."))
    elif is_model(adapter.base_model) and _differ(submission.request.file.base_model, adapter.base_model):
        words = {"said": submission.request.file.base_model, "found": adapter.base_model}
        yield REASONS["base-differs"].problem(model=submission.name, **words)


def _differ(requested: str | None, configured: str) -> bool:
    return bool(requested and requested.strip()) and str(requested).strip().casefold() != configured.casefold()


RULES = (
    AdmissionRule(
        "base-model",
        "Its base model would be accepted too",
        "A Delta or an Adapter names its base model, which passes the rules marked with *.",
        "Open LLM Leaderboard's form, check 9: the base of a Delta or an Adapter is on the Hub, with its tokenizer",
        _base,
        _base_known,
    ),
    AdmissionRule(
        "adapter",
        "Adapters are submitted as adapters",
        "An Adapter has a readable adapter_config.json that names the same base model as the request. A repo with an "
        "adapter alone is no Original.",
        "FAQ: failures come from “wrong parameters selected for eval”; its form, check 9",
        _adapter,
        is_readable,
    ),
)
