"""Settings that every process has: where Redis and the Hub are."""

from __future__ import annotations

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WireSettings(BaseSettings):
    """Read once at start, from the environment and `.env`. Each room adds its own on top of these."""

    model_config = SettingsConfigDict(env_prefix="STEWARD_", env_file=".env", extra="ignore", populate_by_name=True)

    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0", validation_alias=AliasChoices("REDIS_URL", "STEWARD_REDIS_URL")
    )
    hf_endpoint: str = Field(
        default="https://huggingface.co", validation_alias=AliasChoices("HF_ENDPOINT", "STEWARD_HF_ENDPOINT")
    )
    log_level: str = "info"
    log_json: bool = False
