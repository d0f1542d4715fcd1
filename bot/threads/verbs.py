"""The registry of all verbs. A verb is defined in a file of its slice (`verb_*.py`) and listed here."""

from bot.changes.verb_remove import REMOVE_VERB, RESTORE_VERB
from bot.changes.verb_rename import RENAME
from bot.core.commands.registry import Registry
from bot.flags.verb_flag import DISMISS, FLAG, UNFLAG
from bot.model_pages.verb_publish_scores import PUBLISH_SCORES, UNPUBLISH_SCORES
from bot.pulls.verb_approve import APPROVE, REJECT
from bot.queue.verb_cancel import CANCEL
from bot.queue.verb_hold import HOLD, UNHOLD
from bot.queue.verb_pause import PAUSE, RESUME
from bot.queue.verb_priority import PRIORITY
from bot.request_files.verb_subscribe import SUBSCRIBE
from bot.requests.verb_check import CHECK
from bot.requests.verb_relaunch import RELAUNCH
from bot.requests.verb_status import STATUS
from bot.requests.verb_submit import RESUBMIT, SUBMIT
from bot.requests.verb_try import TRY
from bot.requests.verb_why import WHY
from bot.results.verb_reproduce import REPRODUCE
from bot.results.verb_search import SEARCH
from bot.threads.verb_help import help_verb

REGISTRY: Registry = Registry(
    (
        help_verb(lambda: REGISTRY),
        STATUS,
        WHY,
        CHECK,
        TRY,
        SUBMIT,
        RESUBMIT,
        RELAUNCH,
        CANCEL,
        SUBSCRIBE,
        SEARCH,
        REPRODUCE,
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
        PUBLISH_SCORES,
        UNPUBLISH_SCORES,
        FLAG,
        UNFLAG,
        DISMISS,
    )
)
