"""Which model a name means: as the Hub calls it now, else as a row of the board still calls it.

A name that the Hub redirects is followed, blanks and addresses are taken off, capitals are as the Hub or the board has
them. A name that means nothing is an error for whoever used it, never a flag that silently does nothing. So is the name
of a private model: nobody learns from us that there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.context import BoardContext
from bot.model_facts.board_facts import model_of
from hub.errors import BadRequest, Disabled, Gated, RepoNotFound, RevisionNotFound
from leaderboard.flag_tables import tidy
from leaderboard.requests import is_model

Where = Literal["hub", "board", "nowhere"]


@dataclass(frozen=True)
class ResolvedName:
    """What a name means: `model` as it is called now, `also` what else the board calls it; where it was found."""

    said: str
    model: str
    where: Where
    also: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether there is such a model."""
        return self.where != "nowhere"


def find_model(context: BoardContext, said: str) -> ResolvedName:
    """What `said` means: one call. Raises HubError where the Hub does not answer."""
    name = tidy(said)
    if not is_model(name):
        return ResolvedName(said, name[:200], "nowhere")
    rows = _rows(context, name)
    now = _on_the_hub(context, name)
    if now is None:
        return ResolvedName(said, rows[0], "board", rows[1:]) if rows else ResolvedName(said, name, "nowhere")
    names = (*((name,) if now.casefold() != name.casefold() else ()), *rows, *_rows(context, now))
    return ResolvedName(said, now, "hub", tuple(one for one in dict.fromkeys(names) if one != now))


def _rows(context: BoardContext, model: str) -> tuple[str, ...]:
    """What rows that everybody may see call it."""
    entries = (entry for entry in context.index.of_model(model) if not entry.is_private)
    return tuple(dict.fromkeys(model_of(entry) for entry in entries))


def _on_the_hub(context: BoardContext, name: str) -> str | None:
    """What the Hub calls the model; None where it has none, or none that everybody may know of."""
    try:
        found = context.hub.model_facts(name)
        return None if found.private else found.id or name
    except (Gated, Disabled, RevisionNotFound):
        return name
    except (RepoNotFound, BadRequest):
        return None
