"""The category of a model, read from every spelling that leaderboards have used.

Examples: `🟢 : 🟢 pretrained`, `pretrained`, `⭕ : instruction-tuned`, `RL-tuned`, `continously pretrained`. The words
decide; the symbol counts only if the words say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum


class ModelCategory(StrEnum):
    """The categories in which models are ranked separately; tables show the `symbol`."""

    PRETRAINED = "pretrained"
    CONTINUED = "continuously pretrained"
    FINE_TUNED = "fine-tuned"
    CHAT = "chat"
    MERGE = "merge"
    MULTIMODAL = "multimodal"
    UNKNOWN = "unknown"

    @property
    def symbol(self) -> str:
        """The emoji of the category."""
        return _SYMBOLS[self]


_SYMBOLS = {
    ModelCategory.PRETRAINED: "🟢",
    ModelCategory.CONTINUED: "🟩",
    ModelCategory.FINE_TUNED: "🔶",
    ModelCategory.CHAT: "💬",
    ModelCategory.MERGE: "🤝",
    ModelCategory.MULTIMODAL: "🌸",
    ModelCategory.UNKNOWN: "❓",
}
EXPLANATIONS: Mapping[ModelCategory, str] = {
    ModelCategory.PRETRAINED: "Trained from nothing on a large body of text. It is made from no other model, and "
    "others are made from it.",
    ModelCategory.CONTINUED: "A pretrained model whose training on plain text went on with other text: more of it, a "
    "language, a field of knowledge.",
    ModelCategory.FINE_TUNED: "A pretrained model that was trained further for one task, or on one kind of text.",
    ModelCategory.CHAT: "A model that was trained to follow instructions and to hold a conversation, by examples or by "
    "preferences (IFT, RLHF, DPO).",
    ModelCategory.MERGE: "Made by combining the weights of other models, without training. Merges often score "
    "higher in tests than in use, so they are ranked apart.",
    ModelCategory.MULTIMODAL: "A model that also takes pictures or sound; only its answers to text are evaluated.",
}
"""What each category is, for a person who chooses one."""
# The order matters: "continuously pretrained" contains "pretrained"; "base merges and moerges" is a merge only.
_WORDS = (
    (r"merge", ModelCategory.MERGE),
    (r"multi-?modal", ModelCategory.MULTIMODAL),
    (r"contin\w*[- ]?pre[- ]?train", ModelCategory.CONTINUED),
    (r"pre[- ]?train", ModelCategory.PRETRAINED),
    (r"chat|rlhf|dpo|\bift\b|instruct|\brl\b", ModelCategory.CHAT),
    (r"fine[- ]?tun", ModelCategory.FINE_TUNED),
)
MERGE_TAGS = ("merge", "mergekit", "moerge", "lazymergekit")
"""Model card tags that declare a merge."""
_OLD_SYMBOLS = {"⭕": ModelCategory.CHAT, "🟦": ModelCategory.CHAT}


def read_category(text: str | None) -> ModelCategory:
    """Return the category that `text` means; UNKNOWN for `?`, for an empty text and for unknown words."""
    words = " ".join((text or "")[:200].casefold().replace("_", " ").split())
    for pattern, category in _WORDS:
        if re.search(pattern, words):
            return category
    symbols = {symbol: category for category, symbol in _SYMBOLS.items()} | _OLD_SYMBOLS
    return next((category for symbol, category in symbols.items() if symbol in words), ModelCategory.UNKNOWN)
