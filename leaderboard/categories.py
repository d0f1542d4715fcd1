"""What kind of model one is, by every text in which leaderboards have ever written it.

`🟢 : 🟢 pretrained`, `pretrained`, `⭕ : instruction-tuned`, `RL-tuned`, `continously pretrained`: the words are looked
at first, the symbol only where the words say nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum


class ModelCategory(StrEnum):
    """The categories that do not play against each other; `symbol` is how tables show them."""

    PRETRAINED = "pretrained"
    CONTINUED = "continuously pretrained"
    FINE_TUNED = "fine-tuned"
    CHAT = "chat"
    MERGE = "merge"
    MULTIMODAL = "multimodal"
    UNKNOWN = "unknown"

    @property
    def symbol(self) -> str:
        """The emoji that stands for it."""
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
# In this order: "continuously pretrained" holds "pretrained", "base merges and moerges" names no other kind.
_WORDS = (
    (r"merge", ModelCategory.MERGE),
    (r"multi-?modal", ModelCategory.MULTIMODAL),
    (r"contin\w*[- ]?pre[- ]?train", ModelCategory.CONTINUED),
    (r"pre[- ]?train", ModelCategory.PRETRAINED),
    (r"chat|rlhf|dpo|\bift\b|instruct|\brl\b", ModelCategory.CHAT),
    (r"fine[- ]?tun", ModelCategory.FINE_TUNED),
)
MERGE_TAGS = ("merge", "mergekit", "moerge", "lazymergekit")
"""Tags of a model card that call its model a merge."""
_OLD_SYMBOLS = {"⭕": ModelCategory.CHAT, "🟦": ModelCategory.CHAT}


def read_category(text: str | None) -> ModelCategory:
    """The category that `text` means; UNKNOWN for `?`, nothing, and whatever nobody has heard of."""
    words = " ".join((text or "")[:200].casefold().replace("_", " ").split())
    for pattern, category in _WORDS:
        if re.search(pattern, words):
            return category
    symbols = {symbol: category for category, symbol in _SYMBOLS.items()} | _OLD_SYMBOLS
    return next((category for symbol, category in symbols.items() if symbol in words), ModelCategory.UNKNOWN)
