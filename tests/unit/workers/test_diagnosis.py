"""The evidence of a failure: how the worker collects it, what it quotes, and what may leave the machine."""

from __future__ import annotations

import errno

from leaderboard.evidence import MAX_TAIL, MAX_TEXT, FailureEvidence
from workers.common.diagnosis import MAX_CHAIN, diagnose, evidence_of, scrubbed_evidence
from workers.errors import ModelGone


def test_the_quoted_error_has_no_folders_of_this_machine() -> None:
    """The message quotes the error with the file's name, but without the machine's folders."""
    text = "No such file or directory: /srv/m/model-00002-of-00002.safetensors"
    failure = diagnose(FailureEvidence("load", "FileNotFoundError", text))
    assert failure.cause == "shard-missing"
    assert "…/model-00002-of-00002.safetensors" in failure.message
    assert "/srv" not in failure.message


def test_only_errors_of_other_libraries_are_quoted_with_their_type() -> None:
    """The message has the type in front of other libraries' errors, but not in front of Steward's own."""
    others = diagnose(FailureEvidence("load", "KeyError", "'added_tokens'", log_tail="tokenization_auto.py"))
    assert "KeyError: 'added_tokens'" in others.message
    ours = diagnose(FailureEvidence("download", "ModelGone", "org/model cannot be read"))
    assert "ModelGone" not in ours.message


def test_the_message_names_the_signal_that_killed_a_child() -> None:
    """For a killed child, which leaves no exception, the message names the signal and the peak of its memory."""
    message = diagnose(FailureEvidence("evaluate", signal=9, peak_bytes=3 << 30)).message
    assert "SIGKILL; it had held 3072 MiB" in message


def test_what_led_to_an_exception_is_evidence_too() -> None:
    """The evidence includes the cause of an exception, and the diagnosis uses it."""
    error = RuntimeError("something went wrong")
    error.__cause__ = ModelGone("it is gone")
    evidence = evidence_of(error, "download")
    assert evidence.chain == ("ModelGone",)
    assert diagnose(evidence).cause == "model-gone"


def test_an_error_with_a_name_that_is_no_text_is_diagnosed() -> None:
    """The diagnosis replaces characters that cannot be encoded, such as those of a file name that is not UTF-8."""
    failure = diagnose(evidence_of(ValueError("attachments/caf\udce9: no plain file"), "publish"))
    assert "attachments/caf?: no plain file" in failure.message


def test_the_errno_of_what_led_to_an_exception_is_evidence() -> None:
    """The worker knows a full disk by its errno, also in a wrapped exception, and ignores an invalid errno."""
    error = RuntimeError("could not write")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert diagnose(evidence_of(error, "evaluate")).cause == "disk-full"
    assert diagnose(evidence_of(OSError("[Errno 28] No space left on device"), "load")).cause != "disk-full"
    assert [evidence_of(OSError(number, "x"), "load").errno for number in ("words", -3, 10**9)] == [None, None, None]


def test_a_chain_of_exceptions_without_end_is_cut() -> None:
    """The evidence has a bounded part of a circular chain of exceptions."""
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__context__, second.__context__ = second, first
    assert len(evidence_of(first, "load").chain) == MAX_CHAIN


def test_what_is_kept_of_the_evidence_is_scrubbed_and_bounded() -> None:
    """Scrubbed evidence has no tokens or folders, is bounded, and can be encoded."""
    text = "hf_secretsecret in /srv/models/x/config.json \udcff" + "x" * 2 * MAX_TEXT
    scrubbed = scrubbed_evidence(
        FailureEvidence("load", "OSError", text, log_tail="y" * 2 * MAX_TAIL), ("hf_secretsecret",)
    )
    assert len(scrubbed.text) == MAX_TEXT
    assert len(scrubbed.log_tail) == MAX_TAIL
    assert "secret" not in scrubbed.text
    assert "/srv" not in scrubbed.text
    scrubbed.text.encode()
