"""The facts about a model, its files and the board from which findings for a flag follow (`leaderboard.suspicions`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from leaderboard.admission.facts import ModelCard
from leaderboard.flags import FlagRecord

_NAMED = re.compile(r"\b(?:model|base_model)\s*:\s*[\"']?([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})")


@dataclass(frozen=True)
class ExaminedModel:
    """The facts about one model. `weights` maps each weight file to its sha256, "" if unknown.

    `traces` maps a file ("config.json", "mergekit_config.yml") to the models that it names. `created` in seconds since
    the epoch, 0 if unknown.
    """

    model: str
    sha: str = ""
    weights: Mapping[str, str] = field(default_factory=dict)
    card: ModelCard | None = None
    traces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    created: float = 0.0
    link: str = ""

    @property
    def author(self) -> str:
        """The namespace of the model."""
        return self.model.partition("/")[0] if "/" in self.model else ""

    @property
    def declared(self) -> tuple[str, ...]:
        """The base models that its card declares."""
        return self.card.base_models if self.card is not None else ()

    def names(self, other: str) -> bool:
        """Whether its card declares `other` as a base model."""
        return any(name and name.casefold() == other.casefold() for name in self.declared)


@dataclass(frozen=True)
class ExaminedRequest:
    """A request of the model; `revision` is the evaluated commit, "" if it was not evaluated."""

    path: str
    precision: str
    revision: str
    category: str = ""
    link: str = ""


@dataclass(frozen=True)
class EvidenceCase:
    """All facts that the rules use.

    `others` holds possible base models and copies: declared base models, models that its files or a report name, and
    models on the board with the same weights. `flags` holds records of the model, its author and its base models.
    `aliases` are the model's other names on the Hub. `unread` are names, in lower case, of models that were to be
    compared and that the bot could not read.
    """

    subject: ExaminedModel
    others: tuple[ExaminedModel, ...] = ()
    requests: tuple[ExaminedRequest, ...] = ()
    flags: tuple[FlagRecord, ...] = ()
    is_official: bool = False
    aliases: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()


def models_named(text: str) -> tuple[str, ...]:
    """Return the models that a mergekit file names, each once; `text` is untrusted."""
    return tuple(dict.fromkeys(match[1] for match in _NAMED.finditer(text[:100_000])))[:20]
