"""Every sentence that the bot says, as templates, and the escaping that keeps strangers' words mere words."""

from bot.texts.render import code, plain, render

__all__ = ["code", "plain", "render"]
