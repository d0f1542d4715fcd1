"""Rules about the model card: what people may know of a model, and that its category agrees with it."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.facts import ModelCard
from leaderboard.admission.submission import AdmissionRule, Submission
from leaderboard.categories import MERGE_TAGS, ModelCategory
from leaderboard.reasons import Problem, Reason, choice, names, table

REASONS = table(
    (
        Reason(
            "card-missing",
            "{model} has no model card, so nobody can tell what it is.",
            "Write a README.md that says what the model is and how it was made, with its license in the metadata.",
        ),
        Reason(
            "card-short",
            "The model card of {model} has {length} characters of text; at least {wanted} are asked for.",
            "Say in it what the model is, what it was made from, and how.",
        ),
        Reason(
            "licence-missing",
            "The model card of {model} names no license.",
            "Add a license to the metadata at the top of README.md, for example 'license: apache-2.0'.",
        ),
        Reason(
            "licence-unnamed",
            "The license of {model} is 'other', and the card does not say which one that is.",
            "Add license_name and license_link to the metadata at the top of README.md.",
        ),
        Reason(
            "category-has-base",
            "{model} is submitted as pretrained, but its card names what it was made from: {bases}.",
            "Submit it as continuously pretrained, fine-tuned or chat, or correct base_model in the card.",
        ),
        Reason(
            "category-adapter",
            "{model} is submitted as pretrained and as an Adapter; an adapter is trained upon another model.",
            "Submit it as fine-tuned or chat.",
        ),
        Reason(
            "category-no-merge",
            "{model} is submitted as a merge, but its card does not say of what.",
            "Name the models in base_model of the card's metadata, and add the tag merge.",
        ),
        Reason(
            "merge-undeclared",
            "{model} is a merge ({traces}), but is submitted as {category}. Merges are shown apart from other models.",
            "Submit it as a merge. If it is none, take what says so out of its card.",
        ),
        Reason(
            "merge-untagged",
            "{model} is a merge ({traces}), but its card has no tag that says so.",
            "Add the tag merge to the metadata at the top of README.md.",
        ),
        Reason(
            "base-undeclared",
            "{model} is submitted as {category}, but nothing says which model it was made from.",
            "Name it in base_model of the card's metadata, or in the field base_model of the request.",
        ),
    )
)


def _card(it: Submission) -> ModelCard:
    assert it.model.card is not None
    return it.model.card


def _card_known(it: Submission) -> bool:
    return it.model.card is not None


def _exists(it: Submission) -> bool:
    return it.model.card is not None and it.model.card.exists


def _long_enough(it: Submission) -> Iterator[Problem]:
    card, wanted = _card(it), it.policy.card_length
    if not card.exists:
        yield REASONS["card-missing"].problem(model=it.name)
    elif card.length < wanted:
        yield REASONS["card-short"].problem(model=it.name, length=card.length, wanted=wanted)


def _licence(it: Submission) -> Iterator[Problem]:
    card = _card(it)
    if not (card.license or "").strip():
        yield REASONS["licence-missing"].problem(model=it.name)
    elif card.license == "other" and not (card.license_name and card.license_link):
        yield REASONS["licence-unnamed"].problem(model=it.name)


def _category(it: Submission) -> Iterator[Problem]:
    card = _card(it)
    if it.category is ModelCategory.PRETRAINED and it.weight_type == "Adapter":
        yield REASONS["category-adapter"].problem(model=it.name)
    elif it.category is ModelCategory.PRETRAINED and card.base_models and card.relation != "quantized":
        yield REASONS["category-has-base"].problem(model=it.name, bases=names(card.base_models))
    elif it.category is ModelCategory.MERGE and not (card.is_merge or card.relation == "merge" or card.base_models[1:]):
        yield REASONS["category-no-merge"].problem(model=it.name)


def _category_known(it: Submission) -> bool:
    return _exists(it) and it.category is not ModelCategory.UNKNOWN


def _merge(it: Submission) -> Iterator[Problem]:
    card = _card(it)
    words = {"model": it.name, "traces": choice(card.merge_traces) or "so its files say"}
    if it.category not in (ModelCategory.MERGE, ModelCategory.UNKNOWN):
        yield REASONS["merge-undeclared"].problem(**words, category=it.category.value)
    if card.relation != "merge" and all(tag.casefold() not in MERGE_TAGS for tag in card.tags):
        yield REASONS["merge-untagged"].problem(**words)


def _is_merge(it: Submission) -> bool:
    return it.model.card is not None and it.model.card.is_merge


def _base_declared(it: Submission) -> Iterator[Problem]:
    card, adapter = it.model.card, it.model.adapter
    declared = (it.request.file.base_model or "").strip() or (adapter is not None and adapter.base_model)
    if not declared and not (card is not None and card.base_models):
        yield REASONS["base-undeclared"].problem(model=it.name, category=it.category.value)


def _made_from_another(it: Submission) -> bool:
    return _card_known(it) and it.category.value in it.policy.base_declared_for


RULES = (
    AdmissionRule(
        "licence",
        "It has a license",
        "The card's metadata names a license; for `other`, also its name and where it can be read.",
        "Open LLM Leaderboard's form, check 10: “Please select a license for your model”",
        _licence,
        _exists,
        of_base=True,
    ),
    AdmissionRule(
        "model-card",
        "It has a model card",
        "A README.md with at least {policy.card_length} characters of text, without the metadata.",
        "Open LLM Leaderboard's form, check 10: the card exists and has 200 characters",
        _long_enough,
        _card_known,
        of_base=True,
    ),
    AdmissionRule(
        "category",
        "Its category agrees with its card",
        "A pretrained model was made from no other one, and a merge from several.",
        "FAQ: “Why do you differentiate between pretrained, continuously pretrained, fine-tuned, merges”",
        _category,
        _category_known,
    ),
    AdmissionRule(
        "merge",
        "Merges say that they are merges",
        "A merge, which tags, text or a mergekit file tell, is submitted as one and tagged as one in its card.",
        "FAQ: “Merges and moerges have artificially inflated performance”; its list of flags: “Merges not indicated”",
        _merge,
        _is_merge,
    ),
    AdmissionRule(
        "base-declared",
        "What it was made from is named",
        "Continuously pretrained, fine-tuned and chat models, and merges, name their base model in card or request.",
        "FAQ: “copies of other models not attributed properly”",
        _base_declared,
        _made_from_another,
    ),
)
