"""Facts about a model's tokenizer: fetch the files that loading needs, within bounds, and let the probe load them."""

from __future__ import annotations

from pathlib import Path

from bot.model_facts.repo import ModelRepo
from bot.probe import Probe
from hub.errors import TooLarge
from leaderboard.admission.facts import TokenizerFacts

MIB = 2**20
MAX_VOCABULARY = 48 * MIB
"""Bytes of the file with the vocabulary; the largest known one has 33 MB."""
MAX_SETTINGS = 8 * MIB
"""Bytes of each other file."""
SETTINGS = ("tokenizer_config.json", "chat_template.jinja")
LEGACY = ("special_tokens_map.json",)
"""Read only where there is no tokenizer_config.json, since the library needs it only then."""
VOCABULARIES = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("vocab.txt",),
)
"""The files that hold a vocabulary, in the order in which the library prefers them."""


def gather_tokenizer(repo: ModelRepo, probe: Probe, folder: Path, model_type: str) -> TokenizerFacts:
    """Load the tokenizer of a model of this type: at most four calls, three for nearly all models.

    Without a vocabulary, or where a file is too large, it makes no call.
    """
    vocabulary = next((names for names in VOCABULARIES if repo.has(names[0])), ())
    if not vocabulary:
        return TokenizerFacts("missing")
    settings = repo.among(SETTINGS if repo.has(SETTINGS[0]) else (*SETTINGS, *LEGACY))
    limits = {**dict.fromkeys(settings, MAX_SETTINGS), **dict.fromkeys(vocabulary, MAX_VOCABULARY)}
    large = [name for name, limit in limits.items() if (repo.size(name) or 0) > limit]
    if large:
        return _too_large(repo, large[0], limits[large[0]])
    for name, limit in limits.items():
        try:
            repo.save(name, folder, max_bytes=limit)
        except TooLarge:
            return _too_large(repo, name, limit)
    return probe.tokenizer(folder, model_type)


def _too_large(repo: ModelRepo, name: str, limit: int) -> TokenizerFacts:
    size = repo.size(name)
    amount = f"{size / 1e6:,.0f} MB" if size is not None else f"more than {limit / 1e6:,.0f} MB"
    return TokenizerFacts("too-large", error=f"{name} has {amount}")
