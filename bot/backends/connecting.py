"""Builds the platforms of the board's backends from the settings of a sync process."""

from __future__ import annotations

from pathlib import Path

from bot.backends.hub_jobs import JobsPlatform
from bot.backends.slurm import SlurmPlatform
from bot.core.attempt_tokens import AttemptTokens
from bot.core.platforms import Platform, Platforms
from bot.core.settings import BotSettings, SettingsError
from hub.client import Hub
from leaderboard.backend_settings import Backend, SlurmBackend
from leaderboard.boards import Board
from leaderboard.tiers import Tier


def build_platforms(settings: BotSettings, board: Board) -> Platforms | None:
    """The platforms of `board`, by tier; None if no tier has a backend. Raises SettingsError."""
    if not board.backends:
        return None
    if not settings.pages_url:
        raise SettingsError(
            "The board's `backends` start workers that ask the board's web server for their attempt. Set "
            "STEWARD_PUBLIC_URL to its address."
        )
    by_tier = {tier: _platform(settings, board, tier, backend) for tier, backend in board.backends.items()}
    return Platforms(by_tier, AttemptTokens(board.name, settings.secrets()), settings.pages_url)


def _platform(settings: BotSettings, board: Board, tier: Tier, backend: Backend) -> Platform:
    if isinstance(backend, SlurmBackend):
        template = Path(backend.template)
        if not template.is_file():
            raise SettingsError(f"The backend of the tier {tier} names the batch script {template}, which is no file.")
        return SlurmPlatform(backend, board.name, tier, Path(backend.spool).resolve())
    return JobsPlatform(
        Hub(settings.hf_endpoint, settings.token_for_jobs()), backend, board.name, tier, settings.token_of_workers()
    )
