"""Settings of every process: the addresses of Redis and the Hub, and the log."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from redis_state.errors import SecretMissing


class SharedSettings(BaseSettings):
    """Read once at start from the environment and `.env`. The bot's and the workers' settings extend these."""

    model_config = SettingsConfigDict(env_prefix="STEWARD_", env_file=".env", extra="ignore", populate_by_name=True)

    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("REDIS_URL", "STEWARD_REDIS_URL"),
        description="the queue server",
    )
    redis_url_file: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("REDIS_URL_FILE", "STEWARD_REDIS_URL_FILE"),
        description="a file that holds the URL, if it has a password: rediss://user:password@host:6379/0",
    )
    hf_endpoint: str = Field(
        default="https://huggingface.co",
        validation_alias=AliasChoices("HF_ENDPOINT", "STEWARD_HF_ENDPOINT"),
        description="the Hub, or a localhub",
    )
    log_level: str = Field(
        default="info", description="level of the log on standard error: debug, info, warning, error"
    )
    log_json: bool = Field(default=False, description="write each line of the log as one JSON object")

    @model_validator(mode="after")
    def _redis_url_from_file(self) -> Self:
        if self.redis_url_file is not None:
            self.redis_url = read_secret("REDIS_URL_FILE", self.redis_url_file)
        return self


def read_secret(name: str, file: Path) -> str:
    """The content of `file` without surrounding white space. Raises SecretMissing, which names the setting."""
    try:
        secret = file.read_text("utf-8").strip()
    except OSError as error:
        raise SecretMissing(f"{name}={file}: {error}") from error
    if not secret:
        raise SecretMissing(f"{name}={file} is empty.")
    return secret
