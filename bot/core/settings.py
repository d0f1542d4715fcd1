"""The bot's settings, read once at start."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr

from leaderboard.boards import BadBoard, Board, parse_board
from leaderboard.look_rhythm import LONGEST_SECONDS, SHORTEST_SECONDS
from leaderboard.options import Effect, EffectMode
from redis_state.errors import SecretMissing
from redis_state.settings import SharedSettings, read_secret


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names it."""


def _either(name: str) -> AliasChoices:
    """Read `name`, which the Hub sets in a Space whose card says `hf_oauth: true`, or `STEWARD_{name}`."""
    return AliasChoices(name, f"STEWARD_{name}")


class BotSettings(SharedSettings):
    """The board file, the web server, and the secrets, each of which may come from a file instead.

    Without an OAuth app, sign-in is off.
    """

    board: Path = Field(default=Path("board.yaml"), description="the board file")
    bot_token: SecretStr | None = Field(default=None, description="the bot's token for the Hub")
    bot_token_file: Path | None = Field(default=None, description="a file that holds it")
    model_pr_token: SecretStr | None = Field(
        default=None, description="the token for pull requests with scores on models' repos, which writes nothing else"
    )
    model_pr_token_file: Path | None = Field(default=None, description="a file that holds it")
    webhook_secret: SecretStr | None = Field(
        default=None, description="the secret that the Hub sends with each webhook delivery"
    )
    webhook_secret_file: Path | None = Field(default=None, description="a file that holds it; `init` writes it")
    old_webhook_secret: SecretStr | None = Field(
        default=None, description="the earlier secret, accepted too while secrets are rotated"
    )
    old_webhook_secret_file: Path | None = Field(default=None, description="a file that holds it")
    attempts_redis_url: str = Field(
        default="",
        description="for a board with `backends`: the queue server as the workers' account, with which the web server "
        "serves workers without Redis; without it, REDIS_URL",
    )
    attempts_redis_url_file: Path | None = Field(default=None, description="a file that holds it")
    jobs_token: SecretStr | None = Field(
        default=None, description="the token that starts Jobs, for a backend `jobs`; without it, the bot's token"
    )
    jobs_token_file: Path | None = Field(default=None, description="a file that holds it")
    worker_token: SecretStr | None = Field(
        default=None, description="the workers' token, which a backend `jobs` gives to its workers"
    )
    worker_token_file: Path | None = Field(default=None, description="a file that holds it")
    mirrors: Path | None = Field(
        default=None,
        description="folder for clones of the board's repos; by default below the system's folder for temporary files",
    )
    host: str = Field(default="127.0.0.1", description="address at which the web server listens")
    port: int = Field(default=7860, description="its port")
    max_delivery_bytes: int = Field(
        default=1_000_000, description="largest body of a webhook delivery; larger ones are refused"
    )
    checks_per_minute: int = Field(default=12, ge=0, description="checks that are accepted per minute, in all")
    checks_per_client: int = Field(default=4, ge=0, description="checks that are accepted per minute from one client")
    frame_ancestors: str = Field(
        default="", pattern=r"^(https://[\w.*-]+(:\d+)?( |$))*$", description="origins that may show pages in a frame"
    )
    commits_per_hour: int = Field(
        default=60, ge=1, le=300, description="commits that the bot makes per hour in each shared repo, at most"
    )
    look_seconds: float = Field(
        default=LONGEST_SECONDS,
        ge=SHORTEST_SECONDS,
        le=3600,
        description="longest time in seconds between two looks for changes that no webhook reported "
        "([when](reliability.md#how-often-the-bot-looks)); 60: always once a minute",
    )
    probe_patience: float = Field(
        default=1.0, ge=1, description="factor by which the bot waits longer than usual for the checks of a submission"
    )
    recompute_metrics: bool = Field(
        default=False,
        description="whether the sync process computes the metrics of samples again before it publishes results; needs "
        "the harness beside the bot ([security](security.md#what-a-worker-claims))",
    )
    oauth_client_id: str = Field(
        default="",
        validation_alias=_either("OAUTH_CLIENT_ID"),
        description="id of the OAuth app; the Hub sets it in a Space",
    )
    oauth_client_secret: SecretStr | None = Field(
        default=None,
        validation_alias=_either("OAUTH_CLIENT_SECRET"),
        description="its secret; the Hub sets it in a Space",
    )
    oauth_client_secret_file: Path | None = Field(
        default=None, validation_alias=_either("OAUTH_CLIENT_SECRET_FILE"), description="a file that holds it"
    )
    openid_provider_url: str = Field(
        default="",
        validation_alias=_either("OPENID_PROVIDER_URL"),
        description="address of the Hub at which people sign in; by default HF_ENDPOINT",
    )
    space_host: str = Field(
        default="", validation_alias=_either("SPACE_HOST"), description="host name of the Space; the Hub sets it there"
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[\w.\-\[\]:]+)?/?$",
        description="address of the pages outside a Space: browsers return there after sign-in, and badges, comments "
        "and previews of links name it",
    )

    @property
    def pages_url(self) -> str:
        """The address of the board's pages, without a slash at the end; empty if it is not known."""
        host = self.space_host.partition(",")[0].strip()
        return self.public_url.rstrip("/") or (f"https://{host}" if host else "")

    def read_board(self) -> Board:
        """The board in the board file. Raises SettingsError."""
        try:
            return parse_board(self.board.read_text("utf-8"))
        except FileNotFoundError as error:
            raise SettingsError(
                f"There is no board file {self.board} in {Path.cwd()}. Run the command where it is, set STEWARD_BOARD "
                "to its path, or make a new board with `steward init --org ORG --url URL`."
            ) from error
        except (OSError, BadBoard) as error:
            raise SettingsError(f"STEWARD_BOARD={self.board}: {error}") from error

    def require_free_port(self) -> None:
        """Raise SettingsError if the web server cannot listen at its address, such as when another program does."""
        try:
            family, kind, _, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server does
                probe.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                words = f"The web server cannot listen at {self.host}:{self.port}: {error}. Set STEWARD_HOST."
                raise SettingsError(words) from error
            raise SettingsError(
                f"Port {self.port} of {self.host} is taken: another program listens there, perhaps a `steward up` "
                "that still runs. Stop it, or set STEWARD_PORT to a free port."
            ) from error

    def token(self) -> str:
        """The bot's token for the Hub. Raises SettingsError if there is none."""
        return _secret("STEWARD_BOT_TOKEN", self.bot_token, self.bot_token_file)

    def models_token(self, board: Board) -> str:
        """The token for pull requests on models' repos; "" where `board` opens none. Raises SettingsError if it is
        missing."""
        if not board.model_pages or board.effects.mode(Effect.MODEL_PR) is EffectMode.OFF:
            return ""
        return _secret("STEWARD_MODEL_PR_TOKEN", self.model_pr_token, self.model_pr_token_file)

    def redis_url_for_attempts(self) -> str:
        """The URL of the queue server for an account that may take jobs and write attempts. Raises SecretMissing."""
        if self.attempts_redis_url_file is not None:
            return read_secret("STEWARD_ATTEMPTS_REDIS_URL_FILE", self.attempts_redis_url_file)
        return self.attempts_redis_url or self.redis_url

    def token_for_jobs(self) -> str:
        """The token that starts Jobs: a separate one, else the bot's token. Raises SettingsError if there is none."""
        return _read_secret("STEWARD_JOBS_TOKEN", self.jobs_token, self.jobs_token_file) or self.token()

    def token_of_workers(self) -> str:
        """The token that workers of a backend publish with. Raises SettingsError if there is none."""
        return _secret("STEWARD_WORKER_TOKEN", self.worker_token, self.worker_token_file)

    def secrets(self) -> tuple[str, ...]:
        """The webhook secrets that are accepted, the current one first.

        Raises SettingsError if there is no current one, or a file cannot be read.
        """
        current = _secret("STEWARD_WEBHOOK_SECRET", self.webhook_secret, self.webhook_secret_file)
        old = _read_secret("STEWARD_OLD_WEBHOOK_SECRET", self.old_webhook_secret, self.old_webhook_secret_file)
        return (current, old) if old else (current,)


def _secret(name: str, value: SecretStr | None, file: Path | None) -> str:
    secret = _read_secret(name, value, file)
    if not secret:
        raise SettingsError(f"Set {name}, or {name}_FILE to the path of a file that holds it.")
    return secret


def _read_secret(name: str, value: SecretStr | None, file: Path | None) -> str:
    """The secret in `value`, else in `file`; "" if neither is set."""
    if value is not None and value.get_secret_value():
        return value.get_secret_value()
    if file is None:
        return ""
    try:
        return read_secret(f"{name}_FILE", file)
    except SecretMissing as error:
        raise SettingsError(str(error)) from error
