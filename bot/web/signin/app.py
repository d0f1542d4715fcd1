"""The board's OAuth app on the Hub, from the settings."""

from __future__ import annotations

from pydantic import SecretStr

from bot.core.settings import BotSettings, SettingsError
from hub.oauth import OAuthApp
from redis_state.errors import SecretMissing
from redis_state.settings import read_secret

CALLBACK = "/signin/callback"


def app_of(settings: BotSettings) -> OAuthApp | None:
    """The OAuth app; None if none is set up. Raises SettingsError if one of its settings is missing."""
    if not settings.oauth_client_id:
        return None
    if not settings.pages_url:
        raise SettingsError("OAUTH_CLIENT_ID is set: set STEWARD_PUBLIC_URL too, to the address of these pages.")
    return OAuthApp(settings.oauth_client_id, _secret_of(settings), settings.pages_url + CALLBACK)


def _secret_of(settings: BotSettings) -> str:
    value, file = settings.oauth_client_secret or SecretStr(""), settings.oauth_client_secret_file
    try:
        secret = value.get_secret_value() or (read_secret("OAUTH_CLIENT_SECRET_FILE", file) if file else "")
    except SecretMissing as error:
        raise SettingsError(str(error)) from error
    if not secret:
        raise SettingsError("OAUTH_CLIENT_ID is set: set OAUTH_CLIENT_SECRET too, or OAUTH_CLIENT_SECRET_FILE.")
    return secret
