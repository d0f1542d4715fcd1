"""Settings for signing in with the Hub. The Hub sets nearly all of them in a Space whose card has `hf_oauth: true`."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr

from redis_state.settings import SharedSettings


def _either(name: str) -> AliasChoices:
    """Return the names of a setting: the name that the Hub uses in a Space, and the same with the prefix STEWARD_."""
    return AliasChoices(name, f"STEWARD_{name}")


class SignInSettings(SharedSettings):
    """The OAuth app, and the address to which browsers return. Without an app, sign-in is off."""

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
        description="address of the Hub that signs people in; by default HF_ENDPOINT",
    )
    space_host: str = Field(
        default="", validation_alias=_either("SPACE_HOST"), description="host name of the Space; the Hub sets it"
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[\w.\-\[\]:]+)?/?$",
        description="public address of the pages, outside of a Space",
    )
