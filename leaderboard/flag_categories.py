"""The categories of flags: the objection to a model, and what its author can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FlagCategory:
    """A category of flags. `words` describe the objection to a model; `cure` says what its author can do.

    `rechecked_codes` are codes of findings (`leaderboard.suspicions`): if the findings of a flag can no longer be
    reproduced, its reason is gone. `hides`: front ends hide the rows of such a model. `follows_weights`: models with
    the same weights are flagged too; False where that would flag the original of a copy.
    """

    name: str
    words: str
    cure: str
    rechecked_codes: frozenset[str] = frozenset()
    hides: bool = True
    follows_weights: bool = True


CATEGORIES: Mapping[str, FlagCategory] = {
    category.name: category
    for category in (
        FlagCategory(
            "contamination",
            "trained on the test questions of a benchmark",
            "Explain how its training data was made, and how test questions were removed from it.",
        ),
        FlagCategory(
            "copy",
            "another model's weights without attribution",
            "Name the original model in base_model of the model card, and keep its licence.",
            frozenset({"same-weights-unnamed", "licence-missing", "licence-changed", "base-undeclared"}),
            follows_weights=False,
        ),
        FlagCategory(
            "merge",
            "an undeclared merge or derivative of other models",
            "Declare it in the model card: add the tag merge, and list the source models in base_model.",
            frozenset({"merge-undeclared", "base-undeclared"}),
        ),
        FlagCategory(
            "category",
            "listed in the wrong category",
            "Name the right category in a comment; a maintainer corrects it.",
            frozenset({"wrong-category"}),
            follows_weights=False,
        ),
        FlagCategory(
            "opt-out",
            "the authors opted out of this leaderboard",
            "If you are one of the authors and have changed your mind, say so in a comment.",
            hides=False,
        ),
        FlagCategory("other", "see the reason", "Say in a comment why the reason does not apply."),
    )
}
