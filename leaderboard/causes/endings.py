"""Attempts that the worker, a person or an operator ended, and what went wrong before a model was touched."""

from __future__ import annotations

from leaderboard.causes.cause import AT_ONCE, LATER, ONCE, SHORTLY, TRIED_AGAIN, Cause
from leaderboard.evidence import UNFORKED, UNWALLED, exited, raised, stopped, text_matches

ROWS = (
    Cause(
        "cancelled",
        "submission",
        "The evaluation was cancelled.",
        "Submit the model again if you want it evaluated.",
        signs=(stopped("cancelled"),),
    ),
    Cause(
        "time-limit",
        "unknown",
        "The evaluation took longer than an evaluation may take here.",
        "Check that the model stops generating. If it is merely slow, ask the maintainers for more time.",
        signs=(stopped("time-limit"),),
    ),
    Cause(
        "stalled",
        "unknown",
        "The evaluation made no progress for so long that it was stopped.",
        "Nothing to do for the moment: it is tried once more.",
        ONCE,
        (stopped("stalled"),),
    ),
    Cause(
        "worker-lost",
        "us",
        "The evaluation machine stopped before the evaluation was finished: {detail}",
        TRIED_AGAIN,
        AT_ONCE,
        (stopped("handed-back"),),
    ),
    Cause(
        "child-misbehaved",
        "unknown",
        "The evaluation was stopped because it sent its worker what no evaluation sends.",
        "The maintainers have the log and look into it; a model has no business there.",
        signs=(stopped("flood", "forged"),),
    ),
    Cause(
        "walls-missing",
        "us",
        "The evaluation machine could not shut the model in safely, so it was not run.",
        "Nothing to do for you: it is tried again, and the maintainers see to the machine.",
        LATER,
        (exited(UNWALLED, UNFORKED), raised("WallMissing")),
    ),
    Cause(
        "zygote-broken",
        "us",
        "The evaluation machine could not start an evaluation: {detail}",
        TRIED_AGAIN,
        SHORTLY,
        (raised("ZygoteBroken"),),
    ),
    Cause(
        "canary-failed",
        "us",
        "Evaluations of this suite fail at the moment, also that of a model that is known to work: {detail}",
        "Nothing to do for you: the maintainers look into it, and it is tried again.",
        LATER,
        (raised("CanaryFailed"),),
    ),
    Cause(
        "suite-differs",
        "us",
        "The evaluation machine has another version of the suite than the board: {detail}",
        "Nothing to do for you: the maintainers bring the machine up to date, and it is tried again.",
        LATER,
        (raised("SuiteDiffers"),),
    ),
    Cause(
        "task-missing",
        "us",
        "The suite asks for a task that the evaluation harness does not have: {detail}",
        "Nothing to do for you: the maintainers mend the suite or bring the harness up to date.",
        signs=(
            text_matches(
                r"is not a registered task|tasks? (?:were |was )?not found|no tasks specified|unknown task",
                ("prepare",),
            ),
        ),
    ),
    Cause(
        "library-missing",
        "us",
        "The evaluation machine lacks a library that this model needs: {detail}",
        "The maintainers can install it, if it is a common one: ask them in the thread.",
        signs=(
            raised("ModuleNotFoundError", "PackageNotFoundError"),
            raised("ImportError", phases=("start", "load")),
            text_matches(r"requires the .{1,80} librar|is not installed", ("start", "load")),
        ),
    ),
)
