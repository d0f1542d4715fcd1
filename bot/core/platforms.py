"""The interface to a platform on which workers run: list the board's runs, start one for an attempt, cancel one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.core.attempt_tokens import AttemptTokens
from leaderboard.backends import BackendRun
from leaderboard.tiers import Tier


class PlatformError(Exception):
    """The platform does not answer, or refuses. The message says what and why, for an operator."""


@dataclass(frozen=True)
class LaunchOrder:
    """One run to start: `steward work --once {attempt}`.

    `token` is the attempt's token for the bot's web server at `board_url`.
    """

    attempt: str
    tier: Tier
    model: str
    revision: str
    private: bool
    seconds: float
    board_url: str
    token: str


@dataclass(frozen=True)
class Platforms:
    """The platforms of the board's backends, by tier, and what a run needs to speak with the bot's web server."""

    by_tier: Mapping[Tier, Platform]
    tokens: AttemptTokens
    board_url: str


class Platform(Protocol):
    """The runs of one board on one tier."""

    def problems(self) -> Iterator[str]:
        """The reasons why it cannot start runs, in sentences for an operator; starts none. Raises PlatformError."""

    def runs(self) -> Sequence[BackendRun]:
        """The board's runs of this tier that the platform still lists. Raises PlatformError."""

    def launch(self, order: LaunchOrder) -> str:
        """Start a run and return its id. Raises PlatformError; then it may have started all the same."""

    def cancel(self, run: BackendRun) -> None:
        """Cancel a run; a run that has ended is no error. Raises PlatformError."""
