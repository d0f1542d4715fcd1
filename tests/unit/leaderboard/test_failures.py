"""Diagnosis: every row of the table of causes, by recorded failures or by known messages of libraries."""

from __future__ import annotations

import errno
import json
import signal
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.diagnosis_page import page
from leaderboard.evidence import FailureEvidence
from leaderboard.failures import CAUSES, FAMILIES, SEEN, UNKNOWN, Cause, cause, diagnose, fails_always, may_retry, table

DEATHS = [json.loads(line) for line in (Path(__file__).parent / "deaths.jsonl").read_text("utf-8").splitlines()]
"""Recorded with STEWARD_RECORD_DEATHS by the tests that let real workers, and real libraries, fail."""

LIKELY: dict[str, FailureEvidence] = {
    "gpu-out-of-memory": FailureEvidence(
        "evaluate", "OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of"
    ),
    "nccl": FailureEvidence(
        "evaluate", "DistBackendError", "NCCL error in: ProcessGroupNCCL.cpp, unhandled system error"
    ),
    "too-many-files": FailureEvidence("download", "TooManyFiles", "25,000, and 2,000 are fetched at most"),
    "gpu-fault": FailureEvidence(
        "evaluate", "AcceleratorError", "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might"
    ),
    "gpu-lost": FailureEvidence("load", "RuntimeError", "No CUDA GPUs are available"),
    "gpu-driver": FailureEvidence(
        "load", "RuntimeError", "The NVIDIA driver on your system is too old (found version 11040)."
    ),
    "precision-unusable": FailureEvidence("evaluate", "RuntimeError", '"addmm_impl_cpu_" not implemented for \'Half\''),
    "too-many-processes": FailureEvidence("evaluate", "RuntimeError", "can't start new thread"),
    "file-limit": FailureEvidence("score", signal=signal.SIGXFSZ),
    "child-ended": FailureEvidence("evaluate", signal=signal.SIGTERM),
    "evaluator-missing": FailureEvidence("evaluate", "EvaluatorMissing", "python3: No such file or directory"),
    "evaluator-refused-model": FailureEvidence("evaluate", "ModelRefused", "the weights are cut off"),
    "evaluator-gave-up": FailureEvidence("evaluate", "EvaluatorGaveUp", "there is no licence for the tests"),
    "evaluator-ended": FailureEvidence("evaluate", "EvaluatorEnded", "it ended with status 3"),
    "evaluator-left-nothing": FailureEvidence("publish", "EvaluatorLeftNothing", "there is no file results.json"),
    "evaluator-files-invalid": FailureEvidence("publish", "EvaluatorFilesInvalid", "line 1 of samples/a.jsonl: id"),
    "evaluator-contradiction": FailureEvidence("publish", "EvaluatorContradiction", "results.json says 80 questions"),
    "evaluator-other-run": FailureEvidence("publish", "EvaluatorOtherRun", "results.json names a/b as the model"),
    "evaluator-errors": FailureEvidence("publish", "EvaluatorErrors", "3 questions ended with an error, and 0 may"),
    "harness-error": FailureEvidence("score", "ZeroDivisionError", "division by zero"),
    "no-results": FailureEvidence("publish", "EvaluationFailed", "the evaluation left no results.json"),
    "walls-missing": FailureEvidence("start", exit_status=70),
    "zygote-broken": FailureEvidence("start", "ZygoteBroken", "the zygote does not bury its child"),
    "call-refused": FailureEvidence("evaluate", "CallRefused", "the bot refuses end with status 413: b'too large'"),
    "canary-failed": FailureEvidence("start", "CanaryFailed", "KeyError: 'solution'"),
    "tasks-changed": FailureEvidence("evaluate", "TasksChanged", "the tasks ask or score otherwise than the board's"),
    "task-missing": FailureEvidence("prepare", "ValueError", "Tasks not found: leaderboard_musr2"),
    "library-missing": FailureEvidence("load", "ModuleNotFoundError", "No module named 'mamba_ssm'"),
    "weights-corrupted": FailureEvidence("load", "SafetensorError", "device not ready"),
    "base-model-missing": FailureEvidence("download", "BaseModelGone", "org/base cannot be read"),
    "adapter-unusable": FailureEvidence(
        "load", "ValueError", "Target modules {'q_proj'} not found in the base model. Please check the target modules"
    ),
    "delta-unusable": FailureEvidence("load", "RuntimeError", "Failed to add delta weights to layer model.embed"),
    "hub-rate-limit": FailureEvidence("download", "HfHubHTTPError", "429 Client Error: Too Many Requests for url"),
    "hub-access": FailureEvidence("download", "HfHubHTTPError", "401 Client Error: Unauthorized for url"),
    "hub-error": FailureEvidence("download", "HfHubHTTPError", "502 Server Error: Bad Gateway for url"),
    "publication-refused": FailureEvidence("publish", "PublicationFailed", "403 Forbidden: you may not write here"),
    "publication-failed": FailureEvidence("publish", "PublicationFailed", "the repo moved on each time"),
    "download-damaged": FailureEvidence("download", "BlobDiffers", "checksum mismatch: config.json arrived with"),
    "dataset-gated": FailureEvidence("download", "DatasetUnavailable", "Dataset 'a/b' is a gated dataset on the Hub."),
    "dataset-broken": FailureEvidence("download", "DatasetUnavailable", "DatasetGenerationError: An error occurred"),
    "disk-full": FailureEvidence("download", "OSError", "[Errno 28] No space left on device", errno=errno.ENOSPC),
    "worker-lost": FailureEvidence("evaluate", stopped="handed-back"),
    "network": FailureEvidence("download", "ConnectError", "[Errno 111] Connection refused"),
    "dataset-changed": FailureEvidence(
        "download", "DatasetUnavailable", "a/b at 123 does not hold the questions that the suite pins"
    ),
    "dataset-unavailable": FailureEvidence("download", "DatasetUnavailable", "a/b: RepositoryNotFoundError"),
}  # fmt: skip
"""Messages of the libraries' own sources, for causes without a recorded failure."""

BY_THE_BOT = {"results-refused", "samples-differ", "answers-differ", "suite-changed"}
"""Causes that the bot finds when it reads published files, not by the evidence of a failure."""


def evidence(death: dict[str, Any]) -> FailureEvidence:
    """Return the evidence of a recorded failure."""
    recorded = death["evidence"]
    return FailureEvidence(**{**recorded, "chain": tuple(recorded.get("chain", ()))})


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death["how"])
def test_a_recorded_failure_gets_its_cause(death: dict[str, Any]) -> None:
    """The diagnosis of recorded evidence gives the recorded cause."""
    assert diagnose(evidence(death)).code == death["cause"]


@pytest.mark.parametrize(("code", "failure_evidence"), LIKELY.items(), ids=LIKELY)
def test_a_known_message_of_a_library_gets_its_cause(code: str, failure_evidence: FailureEvidence) -> None:
    """The diagnosis of a message that a library is known to raise gives its cause, without a recorded failure."""
    assert diagnose(failure_evidence).code == code


def test_every_cause_has_evidence_and_is_marked_where_it_is_real() -> None:
    """Every cause has evidence or is found by the bot, and `SEEN` has exactly the causes of recorded failures."""
    recorded = {death["cause"] for death in DEATHS}
    assert recorded == SEEN
    assert recorded | LIKELY.keys() | BY_THE_BOT | {UNKNOWN} == CAUSES.keys()
    assert len(CAUSES) >= 40


def test_nothing_recorded_tells_of_this_machine() -> None:
    """The recorded failures contain no folders of the machine on which they were recorded."""
    words = json.dumps(DEATHS)
    assert not [folder for folder in ("/home/", "/root/", "/srv/", "/tmp/", "/usr/", "/var/") if folder in words]


def test_what_no_sign_fits_is_unknown() -> None:
    """The diagnosis of evidence that matches no row of the table is the unknown cause."""
    assert diagnose(FailureEvidence("load", "RuntimeError", "the moon is full")).code == UNKNOWN
    assert diagnose(FailureEvidence("download")).code == UNKNOWN


PHRASES = (
    "[Errno 28] No space left on device", "disk quota exceeded", "not enough free disk space", "NCCL error",
    "CUDA error: an illegal memory access was encountered", "No CUDA GPUs are available", "GPU is lost",
    "CUDA out of memory. Tried to allocate 2.00 GiB", "DefaultCPUAllocator: can't allocate memory", "std::bad_alloc",
    "The NVIDIA driver on your system is too old", "Torch not compiled with CUDA enabled", "Xid 79",
    "Tasks not found: mmlu", "is not a registered task", "couldn't find cache for x", "the library x is not installed",
    "Couldn't reach 'a/b' on the Hub", "NonMatchingSplitsSizesError", "checksum mismatch", "Consistency check failed",
    "429 Too Many Requests", "500 Server Error", "401 Unauthorized", "does not hold the questions that the suite pins",
)  # fmt: skip
"""Messages of libraries about the worker's machine, the suite or the Hub."""
SHAPED = (
    "ValueError", "KeyError", "TypeError", "AttributeError", "OSError", "RuntimeError", "ChatTemplateBroken",
    "jinja2.exceptions.TemplateError", "huggingface_hub.errors.StrictDataclassFieldValidationError", "SafetensorError",
)  # fmt: skip
"""Exceptions whose text quotes a model's files."""


@pytest.mark.parametrize("phase", ["start", "load", "prepare", "evaluate", "score"])
@pytest.mark.parametrize("phrase", PHRASES)
def test_a_model_does_not_write_its_own_diagnosis(phase: str, phrase: str) -> None:
    """An error phrase that a model's files or log contain never blames the service or the Hub, and causes no retry."""
    for name in SHAPED:
        quoted = FailureEvidence(phase, name, f"Unknown activation '{phrase}'", ("KeyError",), log_tail=phrase)
        cause = diagnose(quoted)
        assert cause.fault not in ("us", "hub") and cause.retry.times == 0, (name, cause.code)


def test_a_model_that_names_files_elsewhere_is_no_trouble_of_the_hub() -> None:
    """A model that refers to a repo which a library cannot load offline is not diagnosed as a fault of the Hub."""
    for name in ("OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectionError"):
        cause = diagnose(FailureEvidence("load", "OSError", "We couldn't connect to the Hub to load x", (name,)))
        assert cause.fault not in ("us", "hub") and cause.retry.times == 0


@given(
    st.builds(
        FailureEvidence,
        phase=st.sampled_from(["claim", "download", "load", "prepare", "evaluate", "publish", ""]),
        exception=st.text(max_size=30),
        text=st.text(max_size=200),
        chain=st.lists(st.text(max_size=10), max_size=3).map(tuple),
        exit_status=st.none() | st.integers(-1, 255),
        signal=st.none() | st.integers(-1, 70),
        log_tail=st.text(max_size=200),
    )
)
def test_any_evidence_leads_to_a_cause_of_the_table(seen: FailureEvidence) -> None:
    """Any evidence, with any untrusted text, gives a failure with a cause of the table."""
    assert diagnose(seen).failure(seen.text).cause in CAUSES


@pytest.mark.parametrize("row", CAUSES.values(), ids=lambda row: row.code)
def test_every_row_says_something_to_a_person(row: Cause) -> None:
    """Each cause gives a failure with a message and advice that are whole sentences, without open placeholders."""
    failure = row.failure("why *it* {broke}")
    assert failure.message[0] in string.ascii_uppercase or failure.message.startswith(("config.json", "generation_"))
    assert failure.message.endswith((".", "}"))
    assert failure.advice.endswith(".")
    assert "{detail}" not in failure.message
    assert failure.cause == row.code


def test_what_is_the_submitters_fault_is_never_tried_again_by_itself() -> None:
    """A failure that is the submission's fault is not retried, because the same commit would fail in the same way."""
    assert all(row.retry.times == 0 for row in CAUSES.values() if row.fault == "submission")


def test_only_out_of_memory_failures_are_retried_in_a_larger_tier() -> None:
    """Exactly the causes of lack of memory are retried on a worker of a larger tier."""
    assert {row.code for row in CAUSES.values() if row.retry.tier == "larger"} == {
        "gpu-out-of-memory", "out-of-memory", "killed-by-kernel",
    }  # fmt: skip


def test_retries_end() -> None:
    """An attempt is retried as often as the table says, and no more."""
    assert may_retry("network", 1) == 60
    assert may_retry("network", 3) == 60
    assert may_retry("network", 4) is None
    assert may_retry("weights-truncated", 1) is None


@pytest.mark.parametrize(
    ("code", "always"),
    [
        ("weights-not-finite", True),
        ("generation-endless", True),
        ("time-limit", False),  # a maintainer may relaunch it, with more time
        ("out-of-memory", False),
        ("harness-error", False),
        ("worker-lost", False),
        ("network", False),
        ("of-a-newer-worker", False),
    ],
)
def test_only_a_model_that_cannot_be_evaluated_fails_always(code: str, always: bool) -> None:
    """A failure is permanent only if the model cannot be evaluated; after others, a new attempt may reuse answers."""
    assert fails_always(code) == always


def test_a_detail_is_cut_and_put_on_one_line() -> None:
    """An untrusted detail stays short and in one paragraph."""
    failure = cause("weights-truncated").failure("a\nb" + "x" * 10_000)
    assert "\n" not in failure.message
    assert len(failure.message) < 500


def test_an_unknown_code_is_unknown() -> None:
    """A cause that the bot does not know, as from a newer worker, is read as the unknown cause."""
    assert cause("struck-by-lightning").code == UNKNOWN


def test_a_code_stands_for_one_cause() -> None:
    """Two rows with one code raise an error."""
    with pytest.raises(ValueError, match="two causes"):
        table([CAUSES["network"], CAUSES["network"]])


def test_the_documentation_is_made_from_the_table(project: Path) -> None:
    """docs/diagnosis.md is current: `python -m leaderboard.diagnosis_page > docs/diagnosis.md` makes it so."""
    assert (project / "docs" / "diagnosis.md").read_text("utf-8") == page(FAMILIES, SEEN)
