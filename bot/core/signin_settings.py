"""Settings for signing in with the Hub. A Space whose card says `hf_oauth: true` has nearly all of them by itself."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr

from redis_state.settings import SharedSettings


def _either(name: str) -> AliasChoices:
    """The name that the Hub gives to it in a Space, or the same after our own prefix."""
    return AliasChoices(name, f"STEWARD_{name}")


class SignInSettings(SharedSettings):
    """The OAuth app, and the address to which browsers return. Without an app, sign-in is off."""

    oauth_client_id: str = Field(
        default="", validation_alias=_either("OAUTH_CLIENT_ID"), description="id of the OAuth app; a Space has it"
    )
    oauth_client_secret: SecretStr | None = Field(
        default=None, validation_alias=_either("OAUTH_CLIENT_SECRET"), description="its secret; a Space has it"
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
        default="", validation_alias=_either("SPACE_HOST"), description="the host of our Space; a Space has it"
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[\w.\-\[\]:]+)?/?$",
        description="the address of these pages, where they are in no Space",
    )
