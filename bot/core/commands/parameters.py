"""Parameters and roles that several verbs share."""

from __future__ import annotations

from bot.core.commands.model import Param
from leaderboard.options import PRECISION_ALIASES, PRECISION_NAMES, WEIGHT_TYPES
from leaderboard.roles import Role

MODEL = Param("model", "model", "a model's id on the Hub, org/name")
REQUIRED_MODEL = Param("model", "model", "a model's id on the Hub, org/name", required=True)
PRECISIONS = tuple(name.lower() for name in (*PRECISION_NAMES, *PRECISION_ALIASES))
PRECISION = Param(
    "precision", "word", "which of the model's requests, such as bfloat16", by_name=True, known=PRECISIONS
)
WEIGHTS = Param(
    "weight_type",
    "word",
    "Original, Delta or Adapter",
    by_name=True,
    known=tuple(name.lower() for name in WEIGHT_TYPES),
)
REASON = Param("reason", "words", "why, in a sentence that everyone can read", required=True)
OPTIONAL_REASON = Param("reason", "words", "why, in a sentence that everyone can read")

ANYONE = frozenset({Role.ANYONE})
MAINTAINERS = frozenset({Role.MAINTAINER})
OWNERS = frozenset({Role.MAINTAINER, Role.OWNER})
SUBMITTERS = frozenset({Role.MAINTAINER, Role.OWNER, Role.SUBMITTER})
