"""The bot's settings, read once at start."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from bot.core.signin_settings import SignInSettings
from leaderboard.boards import BadBoard, Board, parse_board
from redis_state.errors import SecretMissing
from redis_state.settings import read_secret


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names it."""


class BotSettings(SignInSettings):
    """Where the board is described, and the secrets, each of which may come from a file instead."""

    board: Path = Field(default=Path("board.yaml"), description="the board file")
    bot_token: SecretStr | None = Field(default=None, description="what the bot speaks to the Hub with")
    bot_token_file: Path | None = Field(default=None, description="a file that holds it")
    webhook_secret: SecretStr | None = Field(default=None, description="what the Hub's webhooks show that they are its")
    webhook_secret_file: Path | None = Field(default=None, description="a file that holds it; `init` writes it")
    old_webhook_secret: SecretStr | None = Field(default=None, description="still accepted, while secrets are rotated")
    old_webhook_secret_file: Path | None = Field(default=None, description="a file that holds it")
    mirrors: Path | None = Field(
        default=None, description="folder for clones of the board's repos; by default below that for temporary files"
    )
    host: str = Field(default="127.0.0.1", description="address at which the web server listens")
    port: int = Field(default=7860, description="its port")
    max_delivery_bytes: int = Field(default=1_000_000, description="of one webhook's body; longer ones are refused")
    checks_per_minute: int = Field(default=12, ge=0, description="that the web server hands on, in all")
    checks_per_client: int = Field(default=4, ge=0, description="that it hands on for one client, a minute")
    frame_ancestors: str = Field(
        default="", pattern=r"^(https://[\w.*-]+(:\d+)?( |$))*$", description="origins that may show pages in a frame"
    )
    commits_per_hour: int = Field(default=60, ge=1, le=300, description="that the bot makes in each shared repo")
    probe_patience: float = Field(
        default=1.0,
        ge=1,
        description="how many times longer than usual to wait for what is found out about a submission",
    )

    def read_board(self) -> Board:
        """The board in the board file. Raises SettingsError."""
        try:
            return parse_board(self.board.read_text("utf-8"))
        except (OSError, BadBoard) as error:
            raise SettingsError(f"STEWARD_BOARD={self.board}: {error}") from error

    def token(self) -> str:
        """The token that the bot speaks to the Hub with. Raises SettingsError where there is none."""
        return _secret("STEWARD_BOT_TOKEN", self.bot_token, self.bot_token_file)

    def secrets(self) -> tuple[str, ...]:
        """The webhook secrets that are accepted, the current one first.

        Raises SettingsError where there is no current one, or a file that is named cannot be read.
        """
        current = _secret("STEWARD_WEBHOOK_SECRET", self.webhook_secret, self.webhook_secret_file)
        old = _read_secret("STEWARD_OLD_WEBHOOK_SECRET", self.old_webhook_secret, self.old_webhook_secret_file)
        return (current, old) if old else (current,)


def _secret(name: str, value: SecretStr | None, file: Path | None) -> str:
    found = _read_secret(name, value, file)
    if not found:
        raise SettingsError(f"Set {name}, or {name}_FILE to the path of a file that holds it.")
    return found


def _read_secret(name: str, value: SecretStr | None, file: Path | None) -> str:
    """The secret in one of the two; "" where neither is set."""
    if value is not None and value.get_secret_value():
        return value.get_secret_value()
    if file is None:
        return ""
    try:
        return read_secret(f"{name}_FILE", file)
    except SecretMissing as error:
        raise SettingsError(str(error)) from error
