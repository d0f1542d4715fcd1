"""The category of a model, read from every spelling that leaderboards have used.

Examples: `🟢 : 🟢 pretrained`, `pretrained`, `⭕ : instruction-tuned`, `RL-tuned`, `continously pretrained`. The words
decide; the symbol counts only if the words say nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache


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

    @property
    def explanation(self) -> str:
        """What the category holds, and why it is ranked apart."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    ModelCategory.PRETRAINED: "Trained on raw text only: the base on which others build, so progress here counts most.",
    ModelCategory.CONTINUED: "A base model trained on, with more raw text, often of one language or one subject.",
    ModelCategory.FINE_TUNED: "Trained further on examples of particular tasks or subjects.",
    ModelCategory.CHAT: "Trained on instructions or preferences (SFT, DPO, RLHF). Its scores depend on the prompt.",
    ModelCategory.MERGE: "Weights of several models combined. Its test scores can exceed its real abilities.",
    ModelCategory.MULTIMODAL: "Reads more than text, such as pictures; it is evaluated on text alone.",
    ModelCategory.UNKNOWN: "Its submission names no category.",
}
_SYMBOLS = {
    ModelCategory.PRETRAINED: "🟢",
    ModelCategory.CONTINUED: "🟩",
    ModelCategory.FINE_TUNED: "🔶",
    ModelCategory.CHAT: "💬",
    ModelCategory.MERGE: "🤝",
    ModelCategory.MULTIMODAL: "🌸",
    ModelCategory.UNKNOWN: "❓",
}
# Each starts at the start of a word, and abbreviations are whole words: "endpoint" contains "dpo", "emergent" "merge".
# The order matters: "continuously pretrained" contains "pretrained"; "base merges and moerges" is a merge only.
_WORDS = (
    (r"\b(lazy)?merge", ModelCategory.MERGE),
    (r"\bmulti-?modal", ModelCategory.MULTIMODAL),
    (r"\bcontin\w*[- ]?pre[- ]?train", ModelCategory.CONTINUED),
    (r"\bpre[- ]?train", ModelCategory.PRETRAINED),
    (r"\b(chat|instruct|(rlhf|dpo|ift|rl)\b)", ModelCategory.CHAT),
    (r"\bfine[- ]?tun", ModelCategory.FINE_TUNED),
)
MERGE_TAGS = ("merge", "mergekit", "moerge", "lazymergekit")
"""Model card tags that declare a merge."""
_OLD_SYMBOLS = {"⭕": ModelCategory.CHAT, "🟦": ModelCategory.CHAT}


def read_category(text: str | None) -> ModelCategory:
    """Return the category that `text` means; UNKNOWN for `?`, for an empty text and for unknown words."""
    return _category_of((text or "")[:200])


@lru_cache(maxsize=256)
def _category_of(text: str) -> ModelCategory:
    words = " ".join(text.casefold().replace("_", " ").split())
    for pattern, category in _WORDS:
        if re.search(pattern, words):
            return category
    symbols = {symbol: category for category, symbol in _SYMBOLS.items()} | _OLD_SYMBOLS
    return next((category for symbol, category in symbols.items() if symbol in words), ModelCategory.UNKNOWN)
