"""What an attempt died of, told from the evidence that the worker holds.

Rules are tried in order and the first that fits decides; a rule looks at exception type names, at texts that the
libraries print, at exit status and signal. No rule guesses: what none of them knows is `unknown`, with the last line.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

from leaderboard.attempts import Failure
from leaderboard.failures import cause
from workers import errors
from workers.scrub import scrub


@dataclass(frozen=True)
class Evidence:
    """What is known of a death.

    `phase` is where it happened: claim, download, load, prepare, evaluate, score, publish. `exception` is the dotted
    or bare name of the exception's type and `chain` those of its causes. `stopped` is set where the worker itself ended
    the attempt: `time-limit`, `stalled`, `cancelled`, `memory-limit`, `handed-back`.
    """

    phase: str
    exception: str = ""
    text: str = ""
    chain: tuple[str, ...] = ()
    exit_status: int | None = None
    signal: int | None = None
    stopped: str = ""
    log_tail: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Bare names of the exception and of its causes."""
        return tuple(name.rpartition(".")[2] for name in (self.exception, *self.chain) if name)


Rule = Callable[[Evidence], bool]


def raised(*names: str, phases: tuple[str, ...] = ()) -> Rule:
    """The exception, or one of its causes, is called one of `names` (and it happened in one of `phases`)."""
    return lambda e: bool(set(names) & set(e.names)) and (not phases or e.phase in phases)


def said(pattern: str, phases: tuple[str, ...] = ()) -> Rule:
    """The exception's text matches `pattern` (and it happened in one of `phases`)."""
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda e: bool(compiled.search(e.text)) and (not phases or e.phase in phases)


def logged(pattern: str, phases: tuple[str, ...]) -> Rule:
    """The end of the log matches `pattern`, and it happened in one of `phases`."""
    compiled = re.compile(pattern)
    return lambda e: e.phase in phases and bool(compiled.search(e.log_tail))


def stopped(*reasons: str) -> Rule:
    """The worker ended the attempt itself, for one of `reasons`."""
    return lambda e: e.stopped in reasons


def killed(*signals: signal.Signals) -> Rule:
    """A signal from outside ended the child; 128+n is how a shell, or the kernel's helper, says the same."""
    return lambda e: e.signal in signals or (e.exit_status or 0) - 128 in signals


RULES: tuple[tuple[str, Rule], ...] = (
    ("cancelled", stopped("cancelled")),
    ("time-limit", stopped("time-limit")),
    ("stalled", stopped("stalled")),
    ("out-of-memory", stopped("memory-limit")),
    ("worker-lost", stopped("handed-back")),
    ("child-misbehaved", stopped("flood", "forged")),
    # --- the worker's own words
    ("model-gone", raised("ModelGone")),
    ("weights-missing", raised("WeightsMissing")),
    ("disk-full", raised("DiskFull")),
    ("dataset-unavailable", raised("DatasetUnavailable")),
    ("publication-failed", raised("PublicationFailed")),
    ("config-unreadable", raised("ConfigMissing")),
    ("not-a-number", raised("NotANumber")),
    ("no-results", raised("EvaluationFailed")),
    # --- memory and disk: whatever was being done
    ("out-of-memory", raised("OutOfMemoryError", "MemoryError")),
    ("out-of-memory", said(r"out of memory|cannot allocate memory|can't allocate memory|DefaultCPUAllocator")),
    ("disk-full", said(r"no space left on device|disk quota exceeded|not enough free disk space")),
    # --- loading: what is wrong with the model
    ("remote-code-needed", said(r"trust_remote_code|contains custom code|requires you to execute the .{0,40} file")),
    ("unknown-architecture", said(r"does not recognize this architecture|unrecognized configuration class")),
    ("unknown-architecture", said(r"unrecognized model in|should have a `?model_type`? key", ("load",))),
    ("weights-corrupted", raised("SafetensorError")),
    ("weights-corrupted", said(r"error while deserializing header|incomplete metadata|metadata ?incomplete ?buffer")),
    ("weights-corrupted", said(r"size mismatch for|mismatched sizes|ignore_mismatched_sizes", ("load",))),
    (
        "weights-missing",
        said(r"no file named .{0,200}(safetensors|\.bin)|does not appear to have files? named .{0,200}safetensors"),
    ),
    (
        "tokenizer-missing",
        said(r"can't load tokenizer|couldn't instantiate the backend tokenizer|tokenizer class", ("load",)),
    ),
    ("weights-missing", said(r"no such file or directory: .{0,400}\.safetensors", ("load",))),
    ("tokenizer-mismatch", said(r"index out of range in self|device-side assert", ("prepare", "evaluate"))),
    ("tokenizer-missing", said(r"tokenizer\.json|sentencepiece|tiktoken", ("load",))),
    (
        "config-unreadable",
        said(r"config\.json|not a valid json|can't load the configuration|JSONDecodeError", ("load",)),
    ),
    ("config-unreadable", raised("StrictDataclassFieldValidationError", "StrictDataclassClassValidationError")),
    ("chat-template-missing", said(r"chat[_ ]template", ("load", "prepare", "evaluate"))),
    ("chat-template-missing", raised("TemplateError", "TemplateSyntaxError", "UndefinedError")),
    # --- the suite's questions
    ("dataset-unavailable", raised("DatasetNotFoundError", "DatasetsError", "DatasetGenerationError")),
    ("dataset-unavailable", said(r"couldn't reach .{0,200} on the hub|couldn't find cache for", ("prepare", "load"))),
    # --- the Hub and the way there
    ("model-gone", raised("RepositoryNotFoundError", "RevisionNotFoundError", "GatedRepoError", phases=("download",))),
    ("network", raised("HfHubHTTPError", "OfflineModeIsEnabled", "LocalEntryNotFoundError", "HTTPStatusError")),
    (
        "network",
        raised("ConnectError", "ConnectTimeout", "ReadTimeout", "ReadError", "ConnectionError", "TimeoutException"),
    ),
    (
        "network",
        raised("RemoteProtocolError", "WriteError", "PoolTimeout", "TimeoutError", phases=("download", "publish")),
    ),
    # --- how the process ended
    ("worker-lost", killed(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)),
    ("out-of-memory", killed(signal.SIGKILL)),
    ("tokenizer-missing", logged(r"tokenization_(auto|utils)\w*\.py", ("load",))),
    ("harness-error", lambda e: e.phase in ("prepare", "evaluate", "score") and bool(e.exception)),
)


def diagnose(evidence: Evidence) -> Failure:
    """What the attempt died of."""
    code = next((code for code, fits in RULES if fits(evidence)), "unknown")
    return cause(code).failure(scrub(detail(evidence)))


def detail(evidence: Evidence) -> str:
    """The decisive words: the exception's first line, else how the process ended, else the log's last line.

    Our own errors are sentences already; before others' the type is named, for `'added_tokens'` alone says nothing.
    """
    lines = [line.strip() for line in evidence.text.splitlines() if line.strip()]
    if lines:
        ours = not evidence.names or hasattr(errors, evidence.names[0])
        return lines[0] if ours else f"{evidence.names[0]}: {lines[0]}"
    if evidence.names:
        return evidence.names[0]
    if evidence.signal:
        return f"the process was ended by {signal_name(evidence.signal)}"
    if evidence.exit_status:
        return f"the process ended with status {evidence.exit_status}"
    last = [line.strip() for line in evidence.log_tail.splitlines() if line.strip()]
    return last[-1] if last else ""


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; the number where there is no such name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def evidence_of(error: BaseException, phase: str, log_tail: str = "") -> Evidence:
    """The evidence in an exception that was caught, with the types of all that led to it."""
    chain: list[str] = []
    link = error.__cause__ or error.__context__
    while link is not None and len(chain) < 8:
        chain.append(type(link).__qualname__)
        link = link.__cause__ or link.__context__
    text = str(error)[:4_000]
    return Evidence(phase, type(error).__qualname__, text, tuple(chain), log_tail=log_tail)
