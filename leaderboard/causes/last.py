"""Causes: failures that no more precise row matches."""

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
        "The evaluation ended without results and without an error message: {detail}",
        "You don't need to do anything for now: the evaluation is retried once. The maintainers have the log.",
        ONCE,
        (EvidencePattern("ends silently", lambda e: e.silent and e.exit_status is not None),),
    ),
    Cause(
        "harness-error",
        "us",
        "The evaluation harness stopped with an error: {detail}",
        "The maintainers have the log. If you know what in the model may cause this error, tell them in the thread.",
        signs=(anything_raised("prepare", "evaluate", "score"),),
    ),
    Cause(
        "unknown",
        "unknown",
        "The evaluation failed for a reason that we do not know yet: {detail}",
        "The maintainers have the log, look into it, and can start the evaluation again.",
    ),
)
