"""The verbs, one file each. A new one is written in a file of its own and listed here."""

from bot.commands.registry import Registry
from bot.commands.verbs.help import HELP
from bot.commands.verbs.status import STATUS

REGISTRY = Registry((HELP, STATUS))
