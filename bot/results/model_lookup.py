"""Ask the Hub about one model for its rows on the leaderboard: likes, licence, dates, kind."""

from __future__ import annotations

from dataclasses import replace

import structlog

from bot.core.context import BoardContext
from hub.errors import BadRequest, Denied, Garbled, NotFound, TooLarge
from hub.records import ModelInfo, Repo
from leaderboard.admission.sizes import BILLION
from leaderboard.contents_row import HubModelInfo, describe
from leaderboard.jsontext import storable

log = structlog.get_logger()


def look_at_model(context: BoardContext, model: str, before: HubModelInfo) -> HubModelInfo:
    """Ask the Hub about one model, as `read_model`. An unreadable answer leaves the facts unchanged, so that it does
    not hold up the table."""
    return read_model(context, model, before) or before


def read_model(context: BoardContext, model: str, before: HubModelInfo) -> HubModelInfo | None:
    """Ask the Hub about one model; None if the answer is unreadable now. One call, and another one before a model
    becomes unavailable.

    A model that is gone, hidden or disabled keeps its earlier facts and becomes unavailable. An answer that is too
    large leaves the facts unchanged.
    """
    try:
        info = context.hub.model_facts(model)
    except (NotFound, BadRequest, Denied):
        return replace(before, available=before.available and _shows_history(context, model))
    except (TooLarge, Garbled) as error:
        log.warning("no facts about a model", model=model, error=str(error)[:200])
        return before if isinstance(error, TooLarge) else None
    return _facts(info, model)


def _shows_history(context: BoardContext, model: str) -> bool:
    """Whether the Hub still shows the history of a model that it reported as gone: then that report was wrong."""
    try:
        context.hub.commits(Repo("model", model), limit=1)
    except (NotFound, BadRequest, Denied):
        return False
    except (TooLarge, Garbled):
        pass
    return True


def _facts(info: ModelInfo, model: str) -> HubModelInfo:
    merged, moe = describe([*info.tags, *_words(info.card.get("tags"))], model.rpartition("/")[2])
    bases, named = _words(info.card.get("base_model")), _words(info.config.get("architectures"))
    return HubModelInfo(
        likes=info.likes,
        licence=storable(info.license) if isinstance(info.license, str) else None,
        merged=merged,
        moe=moe,
        created=info.created_at.date().isoformat() if info.created_at is not None else None,
        architecture=";".join(named)[:200] or None,
        base_model=bases[0] if bases else None,
        parameters=round(info.parameters / BILLION, 3) if info.parameters else None,
    )


def _words(value: object) -> list[str]:
    """The texts in a value of untrusted metadata: a text, or a list of texts."""
    values = value if isinstance(value, list) else [value]
    return [storable(text[:200]) for text in values if isinstance(text, str)]
