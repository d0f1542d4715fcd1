"""Parameters and roles that several verbs share."""

from __future__ import annotations

from bot.core.commands.model import Param
from leaderboard.roles import Role

MODEL = Param("model", "model", "a model's id on the Hub, org/name")
NAMED = Param("model", "model", "a model's id on the Hub, org/name", required=True)
PRECISION = Param("precision", "word", "which of the model's requests, such as bfloat16", by_name=True)
WEIGHTS = Param("weight_type", "word", "Original, Delta or Adapter", by_name=True)
REASON = Param("reason", "words", "why, in a sentence that everyone can read", required=True)
WHY = Param("reason", "words", "why, in a sentence that everyone can read")

ANYONE = frozenset({Role.ANYONE})
MAINTAINERS = frozenset({Role.MAINTAINER})
OWNERS = frozenset({Role.MAINTAINER, Role.OWNER})
THEIRS = frozenset({Role.MAINTAINER, Role.OWNER, Role.SUBMITTER})
