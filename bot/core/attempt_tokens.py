"""Tokens of attempts: each lets one worker speak with the bot's web server about one attempt, for a limited time.

A token is a signed grant, so the bot stores nothing about it, and it survives a loss of Redis. The key is derived from
the webhook secret, which all processes of the bot may read; a token stays valid while secrets are rotated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.attempts import ATTEMPT_ID

PREFIX = "steward-attempt-1"
MAX_TOKEN = 3_000
"""Characters of a token that are read."""
_PURPOSE = b"steward attempt token v1"


class AttemptGrant(BaseModel):
    """The right that a token gives: to call the web server about `attempt` of the request at `path` until `expires`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempt: str = Field(pattern=ATTEMPT_ID.pattern)
    path: str = Field(max_length=1_000, description="of the request file, or of the trial")
    expires: float = Field(ge=0, allow_inf_nan=False, description="seconds since the epoch")
    seconds: float = Field(gt=0, allow_inf_nan=False, description="time limit of the evaluation")


class AttemptTokens:
    """Issues and reads the tokens of one board. `secrets`: the webhook secrets, the current one first."""

    def __init__(self, board: str, secrets: Sequence[str]) -> None:
        purpose = _PURPOSE + b"\n" + board.encode()
        self._keys = [hmac.digest(secret.encode(), purpose, hashlib.sha256) for secret in secrets]

    def issue(self, grant: AttemptGrant) -> str:
        """Return a token that allows `grant`."""
        payload = base64.urlsafe_b64encode(grant.model_dump_json().encode()).decode()
        return f"{PREFIX}.{payload}.{_signature(self._keys[0], payload)}"

    def read(self, token: str, *, now: float) -> AttemptGrant | None:
        """Return the right that `token` gives; None if it is forged, malformed or expired."""
        prefix, _, signed = token[: MAX_TOKEN + 1].partition(".")
        payload, _, signature = signed.partition(".")
        if len(token) > MAX_TOKEN or prefix != PREFIX or not signed.isascii():
            return None
        matches = [hmac.compare_digest(signature, _signature(key, payload)) for key in self._keys]
        if not any(matches):
            return None
        try:
            grant = AttemptGrant.model_validate(json.loads(base64.urlsafe_b64decode(payload)))
        except (binascii.Error, ValueError, ValidationError):
            return None
        return grant if now < grant.expires else None


def _signature(key: bytes, payload: str) -> str:
    return hmac.new(key, payload.encode(), hashlib.sha256).hexdigest()
