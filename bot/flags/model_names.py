"""Resolve a written name to a model: by its present name on the Hub, else by the name in a row of the board.

The resolution follows redirects of the Hub, strips blanks and addresses, and takes the case of letters from the Hub or
the board. An unknown name is an error that the author of the command sees, never a flag without effect. The name of a
private model counts as unknown, so that the bot does not reveal that it exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.context import BoardContext
from bot.model_facts.board_facts import model_of
from hub.errors import BadRequest, Disabled, Garbled, Gated, RepoNotFound, RevisionNotFound, TooLarge
from hub.records import Repo
from leaderboard.flag_tables import tidy
from leaderboard.request_paths import is_model

Where = Literal["hub", "board", "nowhere"]


@dataclass(frozen=True)
class ResolvedName:
    """A resolved name: as `written`, the `model`'s present name, `also` its other names, and `where` it is known."""

    written: str
    model: str
    where: Where
    also: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the model exists on the Hub or on the board."""
        return self.where != "nowhere"


def find_model(context: BoardContext, written: str) -> ResolvedName:
    """Resolve `written` with one call, or two. Raises HubError where the Hub does not answer, or contradicts itself."""
    name = tidy(written)
    if not is_model(name):
        return ResolvedName(written, name[:200], "nowhere")
    rows = _row_names(context, name)
    present = _hub_name(context, name)
    if present is None:
        return ResolvedName(written, rows[0], "board", rows[1:]) if rows else ResolvedName(written, name, "nowhere")
    names = (*((name,) if present.casefold() != name.casefold() else ()), *rows, *_row_names(context, present))
    return ResolvedName(
        written, present, "hub", tuple(other_name for other_name in dict.fromkeys(names) if other_name != present)
    )


def _row_names(context: BoardContext, model: str) -> tuple[str, ...]:
    """The names of the model in public rows of the board."""
    entries = (entry for entry in context.index.of_model(model) if not entry.is_private)
    return tuple(dict.fromkeys(model_of(entry) for entry in entries))


def _hub_name(context: BoardContext, name: str) -> str | None:
    """The model's name on the Hub; None where it has no such model, or a private one."""
    try:
        facts = context.hub.model_facts(name)
        return None if facts.private else facts.id or name
    except (Gated, Disabled, RevisionNotFound):
        return name
    except RepoNotFound as error:
        if context.hub.repo_exists(Repo("model", name)):
            raise Garbled(f"The Hub says that there is no {name}, and shows its branches.") from error
        return None
    except BadRequest:
        return None
    except TooLarge:
        return None if context.hub.is_private(Repo("model", name)) else name
