"""Causes: attempts that the worker, a person or an operator ended, and failures before the model was loaded."""

from __future__ import annotations

from leaderboard.causes.cause import AT_ONCE, LATER, ONCE, SHORTLY, TRIED_AGAIN, Cause
from leaderboard.evidence import UNFORKED, UNWALLED, begins, exited, raised, stopped

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
        "The evaluation exceeded this leaderboard's time limit.",
        "Check that the model ends its answers. If it is just slow, ask the maintainers for more time.",
        signs=(stopped("time-limit"),),
    ),
    Cause(
        "stalled",
        "unknown",
        "The evaluation was stopped because it made no progress for too long.",
        "You don't need to do anything for now: the evaluation is retried once.",
        ONCE,
        (stopped("stalled"),),
    ),
    Cause(
        "worker-lost",
        "us",
        "The evaluation machine stopped before the evaluation had finished: {detail}",
        TRIED_AGAIN,
        AT_ONCE,
        (stopped("handed-back"),),
    ),
    Cause(
        "child-misbehaved",
        "unknown",
        "The evaluation was stopped because its process sent unexpected data to the worker.",
        "The maintainers have the log and look into it: a model must not be able to do this.",
        signs=(stopped("flood", "forged"),),
    ),
    Cause(
        "walls-missing",
        "us",
        "The evaluation machine could not isolate the model safely, so the model was not run.",
        "You don't need to do anything: the maintainers check the machine, and the evaluation is retried.",
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
        "call-refused",
        "us",
        "The leaderboard does not accept what the evaluation machine reports: {detail}",
        "You don't need to do anything: the maintainers look into it, and the evaluation is retried once.",
        ONCE,
        (raised("CallRefused"),),
    ),
    Cause(
        "canary-failed",
        "us",
        "All evaluations of this suite fail at the moment, even of a model that is known to work: {detail}",
        "You don't need to do anything: the maintainers look into it, and the evaluation is retried.",
        LATER,
        (raised("CanaryFailed"),),
    ),
    Cause(
        "suite-differs",
        "us",
        "The evaluation machine has another version of the suite than the board: {detail}",
        "You don't need to do anything: the maintainers update the machine, and the evaluation is retried.",
        LATER,
        (raised("SuiteDiffers"),),
    ),
    Cause(
        "tasks-changed",
        "us",
        "The evaluation machine would ask or score otherwise than for the board's other results: {detail}",
        "You don't need to do anything: the maintainers look into it, and the evaluation is retried.",
        LATER,
        (raised("TasksChanged"),),
    ),
    Cause(
        "task-missing",
        "us",
        "The suite contains a task that the evaluation harness does not have: {detail}",
        "You don't need to do anything: the maintainers correct the suite or update the harness.",
        signs=(
            begins(
                ("KeyError", "ValueError"),
                r"\W{0,2}spec '.{1,200}' is not a registered task|tasks? (?:were |was )?not found|no tasks specified",
                ("prepare",),
            ),
        ),
    ),
    Cause(
        "library-missing",
        "us",
        "The evaluation machine lacks a library that this model needs: {detail}",
        "Ask the maintainers in the thread to install it, if it is a common library.",
        signs=(
            raised("ModuleNotFoundError", "PackageNotFoundError", "NoQuantiser"),
            raised("ImportError", phases=("start", "load")),
        ),
    ),
)
