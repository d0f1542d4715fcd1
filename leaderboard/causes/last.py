"""What is left when nothing more precise fits."""

from __future__ import annotations

import signal

from leaderboard.causes.cause import AT_ONCE, ONCE, TRIED_AGAIN, Cause
from leaderboard.evidence import EvidencePattern, anything_raised, killed

ROWS = (
    Cause(
        "child-ended",
        "us",
        "The evaluation was ended from outside: {detail}",
        TRIED_AGAIN,
        AT_ONCE,
        (killed(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),),
    ),
    Cause(
        "left-without-a-word",
        "unknown",
        "The evaluation ended without results and without saying why: {detail}",
        "Nothing to do for the moment: it is tried once more. The maintainers have the log.",
        ONCE,
        (EvidencePattern("ends, and says nothing", lambda e: e.silent and e.exit_status is not None),),
    ),
    Cause(
        "harness-error",
        "us",
        "The evaluation harness stopped with an error: {detail}",
        "The maintainers have the log. If you know what in the model may have caused it, tell them in the thread.",
        signs=(anything_raised("prepare", "evaluate", "score"),),
    ),
    Cause(
        "unknown",
        "unknown",
        "The evaluation failed, and we do not know why yet: {detail}",
        "The maintainers have the log and can start the evaluation again.",
    ),
)
