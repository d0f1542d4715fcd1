"""Rules about the model card, and its agreement with the category of the request."""

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
            "{model} has no model card.",
            "Add a README.md that explains what the model is and how it was made, with its license in the metadata.",
        ),
        Reason(
            "card-short",
            "The model card of {model} has {length} characters of text; this leaderboard requires at least {wanted}.",
            "Explain in it what the model is, what it was made from, and how.",
        ),
        Reason(
            "licence-missing",
            "The model card of {model} names no license.",
            "Add a license to the metadata at the top of README.md, for example 'license: apache-2.0'.",
        ),
        Reason(
            "licence-unnamed",
            "The license of {model} is 'other', but the card does not say which license that is.",
            "Add license_name and license_link to the metadata at the top of README.md.",
        ),
        Reason(
            "category-has-base",
            "{model} is submitted as pretrained, but its card names base models: {bases}.",
            "Submit it as continuously pretrained, fine-tuned or chat, or correct base_model in the card.",
        ),
        Reason(
            "category-adapter",
            "{model} is submitted as a pretrained Adapter, but an adapter is always trained on top of another model.",
            "Submit it as fine-tuned or chat.",
        ),
        Reason(
            "category-no-merge",
            "{model} is submitted as a merge, but its card does not name the merged models.",
            "List the merged models in base_model of the card's metadata, and add the tag merge.",
        ),
        Reason(
            "merge-undeclared",
            "{model} is a merge ({traces}), but is submitted as {category}. Merges have their own category.",
            "Submit it as a merge. If it is no merge, remove that statement from its card.",
        ),
        Reason(
            "merge-untagged",
            "{model} is a merge ({traces}), but its card has no tag that says so.",
            "Add the tag merge to the metadata at the top of README.md.",
        ),
        Reason(
            "base-undeclared",
            "{model} is submitted as {category}, but names no base model.",
            "Name the base model in base_model of the card's metadata, or in the field base_model of the request.",
        ),
    )
)


def _card(submission: Submission) -> ModelCard:
    assert submission.model.card is not None
    return submission.model.card


def _card_known(submission: Submission) -> bool:
    return submission.model.card is not None


def _exists(submission: Submission) -> bool:
    return submission.model.card is not None and submission.model.card.exists


def _long_enough(submission: Submission) -> Iterator[Problem]:
    card, required = _card(submission), submission.policy.card_length
    if not card.exists:
        yield REASONS["card-missing"].problem(model=submission.name)
    elif card.length < required:
        yield REASONS["card-short"].problem(model=submission.name, length=card.length, wanted=required)


def _licence(submission: Submission) -> Iterator[Problem]:
    card = _card(submission)
    if not (card.license or "").strip():
        yield REASONS["licence-missing"].problem(model=submission.name)
    elif card.license == "other" and not (card.license_name and card.license_link):
        yield REASONS["licence-unnamed"].problem(model=submission.name)


def _category(submission: Submission) -> Iterator[Problem]:
    card = _card(submission)
    if submission.category is ModelCategory.PRETRAINED and submission.weight_type == "Adapter":
        yield REASONS["category-adapter"].problem(model=submission.name)
    elif submission.category is ModelCategory.PRETRAINED and card.base_models and card.relation != "quantized":
        yield REASONS["category-has-base"].problem(model=submission.name, bases=names(card.base_models))
    elif submission.category is ModelCategory.MERGE and not (
        card.is_merge or card.relation == "merge" or card.base_models[1:]
    ):
        yield REASONS["category-no-merge"].problem(model=submission.name)


def _category_known(submission: Submission) -> bool:
    return _exists(submission) and submission.category is not ModelCategory.UNKNOWN


def _merge(submission: Submission) -> Iterator[Problem]:
    card = _card(submission)
    words = {"model": submission.name, "traces": choice(card.merge_traces) or "according to its files"}
    if submission.category not in (ModelCategory.MERGE, ModelCategory.UNKNOWN):
        yield REASONS["merge-undeclared"].problem(**words, category=submission.category.value)
    if card.relation != "merge" and all(tag.casefold() not in MERGE_TAGS for tag in card.tags):
        yield REASONS["merge-untagged"].problem(**words)


def _is_merge(submission: Submission) -> bool:
    return submission.model.card is not None and submission.model.card.is_merge


def _base_declared(submission: Submission) -> Iterator[Problem]:
    card, adapter = submission.model.card, submission.model.adapter
    declared = (submission.request.file.base_model or "").strip() or (adapter is not None and adapter.base_model)
    if not declared and not (card is not None and card.base_models):
        yield REASONS["base-undeclared"].problem(model=submission.name, category=submission.category.value)


def _made_from_another(submission: Submission) -> bool:
    return _card_known(submission) and submission.category.value in submission.policy.base_declared_for


RULES = (
    AdmissionRule(
        "licence",
        "It has a license",
        "The card's metadata names a license; for `other`, also the name of the license and a link to it.",
        "Open LLM Leaderboard's form, check 10: “Please select a license for your model”",
        _licence,
        _exists,
        of_base=True,
    ),
    AdmissionRule(
        "model-card",
        "It has a model card",
        "A README.md with at least {policy.card_length} characters of text, not counting the metadata.",
        "Open LLM Leaderboard's form, check 10: the card exists and has 200 characters",
        _long_enough,
        _card_known,
        of_base=True,
    ),
    AdmissionRule(
        "category",
        "Its category agrees with its card",
        "A pretrained model is no adapter, and its card names no base model, unless it is a quantised copy of that. "
        "The card of a merge names several base models, or says that it is a merge.",
        "FAQ: “Why do you differentiate between pretrained, continuously pretrained, fine-tuned, merges”",
        _category,
        _category_known,
    ),
    AdmissionRule(
        "merge",
        "Merges say that they are merges",
        "A merge, recognised by tags, text or a mergekit file, is submitted as a merge and tagged as one in its card.",
        "FAQ: “Merges and moerges have artificially inflated performance”; its list of flags: “Merges not indicated”",
        _merge,
        _is_merge,
    ),
    AdmissionRule(
        "base-declared",
        "It names its base model",
        "Continuously pretrained, fine-tuned and chat models, and merges, name their base model in card or request.",
        "FAQ: “copies of other models not attributed properly”",
        _base_declared,
        _made_from_another,
    ),
)
