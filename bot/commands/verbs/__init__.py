"""The verbs, a file for each or for two that belong together. A new one is written in a file and listed here."""

from bot.commands.registry import Registry
from bot.commands.verbs.approve import APPROVE, REJECT
from bot.commands.verbs.cancel import CANCEL
from bot.commands.verbs.check import CHECK
from bot.commands.verbs.flag import DISMISS, FLAG, UNFLAG
from bot.commands.verbs.help import HELP
from bot.commands.verbs.hold import HOLD, UNHOLD
from bot.commands.verbs.pause import PAUSE, RESUME
from bot.commands.verbs.priority import PRIORITY
from bot.commands.verbs.relaunch import RELAUNCH
from bot.commands.verbs.remove import REMOVE_VERB, RESTORE_VERB
from bot.commands.verbs.rename import RENAME
from bot.commands.verbs.search import SEARCH
from bot.commands.verbs.status import STATUS
from bot.commands.verbs.submit import RESUBMIT, SUBMIT
from bot.commands.verbs.subscribe import SUBSCRIBE
from bot.commands.verbs.why import WHY

REGISTRY = Registry(
    (
        HELP,
        STATUS,
        WHY,
        CHECK,
        SUBMIT,
        RESUBMIT,
        RELAUNCH,
        CANCEL,
        SUBSCRIBE,
        SEARCH,
        PRIORITY,
        HOLD,
        UNHOLD,
        PAUSE,
        RESUME,
        APPROVE,
        REJECT,
        RENAME,
        REMOVE_VERB,
        RESTORE_VERB,
        FLAG,
        UNFLAG,
        DISMISS,
    )
)
