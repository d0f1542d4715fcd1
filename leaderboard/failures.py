"""Why attempts fail: for each cause whose fault it is, one plain sentence, what to do, and whether to try again.

The table is all there is to know about a cause. What an attempt died of is recognised elsewhere, from evidence; the
sentences that people read come from here. `{detail}` in a message is a stranger's word: escape it where it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leaderboard.attempts import Failure, Fault

MAX_DETAIL = 300


@dataclass(frozen=True)
class Retry:
    """How often an attempt that died of this may be tried again without anybody asking, and after how many seconds."""

    times: int = 0
    wait: float = 0.0


NEVER = Retry()
AT_ONCE = Retry(times=2, wait=0.0)
SHORTLY = Retry(times=3, wait=60.0)
LATER = Retry(times=3, wait=900.0)
ONCE = Retry(times=1, wait=300.0)


@dataclass(frozen=True)
class Cause:
    """One row: `code` is stable, as request files and statistics hold it."""

    code: str
    fault: Fault
    message: str
    advice: str
    retry: Retry = NEVER

    def failure(self, detail: str = "") -> Failure:
        """What is written down: the sentence, with the bounded `detail` where the sentence has room for one."""
        bounded = " ".join(detail.split())[:MAX_DETAIL]
        message = self.message.replace("{detail}", bounded or "no further detail")
        return Failure(cause=self.code, fault=self.fault, message=message, advice=self.advice)


def table(rows: Iterable[Cause]) -> dict[str, Cause]:
    """The rows by code; a code may stand there once."""
    by_code: dict[str, Cause] = {}
    for row in rows:
        if row.code in by_code:
            raise ValueError(f"two causes are called {row.code}")
        by_code[row.code] = row
    return by_code


CAUSES = table(
    (
        # --- the submission
        Cause(
            "remote-code-needed",
            "submission",
            "The model can only be loaded by running Python code from its own repo, which we never do.",
            "Have the architecture added to a release of transformers, or convert the model to one that is there, "
            "and submit the new commit.",
        ),
        Cause(
            "unknown-architecture",
            "submission",
            "The installed release of transformers does not know the model's architecture: {detail}",
            "Check `model_type` and `architectures` in config.json. If the architecture is new, submit again once "
            "it is in a stable release of transformers.",
        ),
        Cause(
            "weights-corrupted",
            "submission",
            "The model's weights cannot be read: {detail}",
            "Upload the safetensors files again, check that `from_pretrained` loads them, and submit the new commit.",
        ),
        Cause(
            "weights-missing",
            "submission",
            "The repo holds no weights that we can load: {detail}",
            "We load safetensors only. Save the model with `save_pretrained`, upload every shard and the index, "
            "and submit the new commit.",
        ),
        Cause(
            "config-unreadable",
            "submission",
            "The model's config.json is missing or cannot be read: {detail}",
            "Check that `AutoConfig.from_pretrained` loads it without remote code, and submit the new commit.",
        ),
        Cause(
            "tokenizer-missing",
            "submission",
            "The tokenizer cannot be loaded: {detail}",
            "Add the tokenizer's files (tokenizer.json, tokenizer_config.json) to the repo, check that "
            "`AutoTokenizer.from_pretrained` loads them without remote code, and submit the new commit.",
        ),
        Cause(
            "tokenizer-mismatch",
            "submission",
            "The tokenizer has tokens that the model does not know: {detail}",
            "Check that the tokenizer belongs to the model: its largest token id must be below `vocab_size` in "
            "config.json.",
        ),
        Cause(
            "not-a-number",
            "submission",
            "The model computes NaN instead of probabilities: {detail}",
            "Weights that were trained in bfloat16 often overflow in float16: submit the precision that the model was "
            "trained in, and check that it generates text in it.",
        ),
        Cause(
            "chat-template-missing",
            "submission",
            "The request asks for a chat template, and the tokenizer has none that works: {detail}",
            "Add a chat template to the tokenizer, or submit without one.",
        ),
        Cause(
            "model-gone",
            "submission",
            "The model, or the commit that was submitted, is no longer on the Hub where we can read it.",
            "Make the repo public and submit a commit that exists.",
        ),
        Cause(
            "out-of-memory",
            "unknown",
            "The evaluation ran out of memory: {detail}",
            "Nothing to do for the moment: it is tried once more. If that fails too, ask the maintainers for a larger "
            "machine.",
            ONCE,
        ),
        Cause(
            "time-limit",
            "unknown",
            "The evaluation took longer than an evaluation may take here.",
            "Check that the model stops generating. If it is merely slow, ask the maintainers for more time.",
        ),
        Cause(
            "stalled",
            "unknown",
            "The evaluation made no progress for so long that it was stopped.",
            "Nothing to do for the moment: it is tried once more.",
            ONCE,
        ),
        Cause(
            "child-misbehaved",
            "unknown",
            "The evaluation was stopped because it sent its worker what no evaluation sends.",
            "The maintainers have the log and look into it; a model has no business there.",
        ),
        Cause(
            "cancelled",
            "submission",
            "The evaluation was cancelled.",
            "Submit the model again if you want it evaluated.",
        ),
        # --- us
        Cause(
            "dataset-unavailable",
            "us",
            "The questions of the suite could not be loaded: {detail}",
            "Nothing to do for you: the maintainers see it, and it is tried again.",
            LATER,
        ),
        Cause(
            "disk-full",
            "us",
            "The evaluation machine ran out of disk space.",
            "Nothing to do for you: it is tried again.",
            LATER,
        ),
        Cause(
            "worker-lost",
            "us",
            "The evaluation machine stopped before the evaluation was finished: {detail}",
            "Nothing to do for you: it is tried again.",
            AT_ONCE,
        ),
        Cause(
            "publication-failed",
            "us",
            "The evaluation is done, but its details could not be published: {detail}",
            "Nothing to do for you: it is tried again.",
            SHORTLY,
        ),
        Cause(
            "results-refused",
            "us",
            "The evaluation is done, but its results are not what they should be: {detail}",
            "Nothing to do for you: the maintainers look into it.",
            ONCE,
        ),
        Cause(
            "no-results",
            "unknown",
            "The evaluation ran to its end without results that can be published: {detail}",
            "Check that the model computes finite numbers in the precision that was asked for. The maintainers have "
            "the log.",
        ),
        Cause(
            "harness-error",
            "us",
            "The evaluation harness stopped with an error: {detail}",
            "The maintainers have the log. If you know what in the model may have caused it, tell them in the thread.",
        ),
        # --- the Hub
        Cause(
            "network",
            "hub",
            "The Hub could not be reached, or answered with an error: {detail}",
            "Nothing to do for you: it is tried again.",
            SHORTLY,
        ),
        Cause(
            "unknown",
            "unknown",
            "The evaluation failed, and we do not know why yet: {detail}",
            "The maintainers have the log and can start the evaluation again.",
        ),
    )
)


def cause(code: str) -> Cause:
    """The row of `code`; that of `unknown` for a code that is not in the table (of a newer worker, perhaps)."""
    return CAUSES.get(code, CAUSES["unknown"])


def may_retry(code: str, tried: int) -> float | None:
    """Seconds to wait before the next try of a request whose attempts died `tried` times of `code`; None: leave it."""
    policy = cause(code).retry
    return policy.wait if tried <= policy.times else None
