"""Rules about what a model is put upon: a Delta and an Adapter are nothing without their base model."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission import card, config, model, tokenizer, weights
from leaderboard.admission.submission import AdmissionRule, Submission, is_readable
from leaderboard.reasons import Problem, Reason, bounded, table
from leaderboard.requests import is_model

REASONS = table(
    (
        Reason(
            "base-missing",
            "{model} is submitted as {weight_type}, but nothing says which base model it belongs to.",
            "Name it in the field base_model of the request.",
        ),
        Reason(
            "base-is-itself",
            "{model} is submitted as {weight_type}, and names itself as its base model.",
            "Name the model that it was made from, or submit it as Original.",
        ),
        Reason(
            "base-differs",
            "The request says that the base model of {model} is '{said}', its adapter_config.json says '{found}'.",
            "Submit it with the base model that it was trained on.",
        ),
        Reason(
            "adapter-config-missing",
            "{model} is submitted as Adapter, but has no adapter_config.json.",
            "Submit it as Original if it is a whole model; else upload what the adapter's save_pretrained() writes.",
        ),
        Reason(
            "adapter-unreadable",
            "The adapter_config.json of {model} cannot be read: {error}.",
            "Upload what the adapter's save_pretrained() writes, and submit the new commit.",
        ),
        Reason(
            "adapter-as-original",
            "{model} holds an adapter, not a whole model, but is submitted as {weight_type}.",
            "Submit it as Adapter, with its base model.",
        ),
    )
)
ABOUT_MODELS = tuple(
    rule for family in (model, config, weights, tokenizer, card) for rule in family.RULES if rule.of_base
)
"""What a base model has to pass as well."""
BASE = "base-"
"""Before the code of a reason that is about the base model."""


def _base(it: Submission) -> Iterator[Problem]:
    name = it.model.base_name
    if not name:
        yield REASONS["base-missing"].problem(model=it.name, weight_type=it.weight_type)
    elif name.casefold() == it.name.casefold():
        yield REASONS["base-is-itself"].problem(model=it.name, weight_type=it.weight_type)
    else:
        yield from _of_base(it)


def _of_base(it: Submission) -> Iterator[Problem]:
    base = it.of_base()
    for rule in ABOUT_MODELS if base is not None else ():
        assert base is not None
        if it.policy.holds(rule.name) and rule.known(base):
            yield from (_base_problem(base.name, problem) for problem in rule.check(base))


def _base_problem(name: str, problem: Problem) -> Problem:
    """What a base model is refused for, told to whoever submitted something upon it."""
    which = "" if name in problem.message else f" '{bounded(name, 100)}'"
    message = f"Its base model{which} would be refused: {problem.message}"
    advice = f"Where the base model is yours: {problem.advice[:1].lower()}{problem.advice[1:]}"
    if problem.code == "model-not-found":
        advice = (
            "Look for typing errors in the name of the base model: it is in the request, or in adapter_config.json."
        )
    return problem.model_copy(update={"code": BASE + problem.code, "message": message, "advice": advice})


def _base_known(it: Submission) -> bool:
    return it.weight_type in ("Delta", "Adapter") and is_readable(it)


def _adapter(it: Submission) -> Iterator[Problem]:
    adapter = it.model.adapter
    if it.weight_type != "Adapter":
        if it.is_bare_adapter:
            yield REASONS["adapter-as-original"].problem(model=it.name, weight_type=it.weight_type)
    elif adapter is None:
        yield REASONS["adapter-config-missing"].problem(model=it.name)
    elif adapter.error:
        yield REASONS["adapter-unreadable"].problem(model=it.name, error=adapter.error.rstrip("."))
    elif is_model(adapter.base_model) and _differ(it.request.file.base_model, adapter.base_model):
        words = {"said": it.request.file.base_model, "found": adapter.base_model}
        yield REASONS["base-differs"].problem(model=it.name, **words)


def _differ(said: str | None, written: str) -> bool:
    return bool(said and said.strip()) and str(said).strip().casefold() != written.casefold()


RULES = (
    AdmissionRule(
        "base-model",
        "Its base model would be accepted too",
        "A Delta or an Adapter names its base model, which passes the rules that are marked with *.",
        "Open LLM Leaderboard's form, check 9: the base of a Delta or an Adapter is on the Hub, with its tokenizer",
        _base,
        _base_known,
    ),
    AdmissionRule(
        "adapter",
        "Adapters are submitted as adapters",
        "An Adapter has an adapter_config.json that can be read and names the base model of the request; what has "
        "nothing else is no Original.",
        "FAQ: failures come from “wrong parameters selected for eval”; its form, check 9",
        _adapter,
        is_readable,
    ),
)
