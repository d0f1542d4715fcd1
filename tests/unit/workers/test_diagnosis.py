"""Evidence: how it is collected, which words are quoted, and what may leave the machine."""

from __future__ import annotations

import errno

from leaderboard.evidence import MAX_TAIL, MAX_TEXT, FailureEvidence
from workers.common.diagnosis import MAX_CHAIN, diagnose, evidence_of, scrubbed_evidence
from workers.errors import ModelGone


def test_the_decisive_words_are_quoted_without_this_machines_folders() -> None:
    """The quoted detail names the file without the machine's folders."""
    text = "No such file or directory: /srv/m/model-00002-of-00002.safetensors"
    failure = diagnose(FailureEvidence("load", "FileNotFoundError", text))
    assert failure.cause == "shard-missing"
    assert "…/model-00002-of-00002.safetensors" in failure.message
    assert "/srv" not in failure.message


def test_our_own_words_stand_for_themselves_and_others_are_named() -> None:
    """Other libraries' errors get their type in front; Steward's own sentences do not."""
    others = diagnose(FailureEvidence("load", "KeyError", "'added_tokens'", log_tail="tokenization_auto.py"))
    assert "KeyError: 'added_tokens'" in others.message
    ours = diagnose(FailureEvidence("download", "ModelGone", "org/model cannot be read"))
    assert "ModelGone" not in ours.message


def test_how_a_process_ended_is_said_where_it_said_nothing_itself() -> None:
    """For a killed child, which leaves no exception, the detail names the signal."""
    message = diagnose(FailureEvidence("evaluate", signal=9, peak_bytes=3 << 30)).message
    assert "SIGKILL; it had held 3072 MiB" in message


def test_what_led_to_an_exception_is_evidence_too() -> None:
    """The evidence includes the exceptions that a library wrapped."""
    error = RuntimeError("something went wrong")
    error.__cause__ = ModelGone("it is gone")
    evidence = evidence_of(error, "download")
    assert evidence.chain == ("ModelGone",)
    assert diagnose(evidence).cause == "model-gone"


def test_an_error_with_a_name_that_is_no_text_is_diagnosed() -> None:
    """A file name that is not UTF-8, or half a character in a response of the Hub, does not end the diagnosis."""
    failure = diagnose(evidence_of(ValueError("attachments/caf\udce9: no plain file"), "publish"))
    assert "attachments/caf?: no plain file" in failure.message


def test_the_errno_of_what_led_to_an_exception_is_evidence() -> None:
    """A full disk is known by its errno, also where a library wraps it; the number of a stranger's type is not kept."""
    error = RuntimeError("could not write")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert diagnose(evidence_of(error, "evaluate")).cause == "disk-full"
    assert diagnose(evidence_of(OSError("[Errno 28] No space left on device"), "load")).cause != "disk-full"
    assert [evidence_of(OSError(number, "x"), "load").errno for number in ("words", -3, 10**9)] == [None, None, None]


def test_a_chain_of_exceptions_without_end_is_cut() -> None:
    """A circular chain of exceptions is cut."""
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__context__, second.__context__ = second, first
    assert len(evidence_of(first, "load").chain) == MAX_CHAIN


def test_what_is_kept_of_the_evidence_is_scrubbed_and_bounded() -> None:
    """Evidence for the logs repo has no tokens and folders, is bounded, and can be encoded."""
    text = "hf_secretsecret in /srv/models/x/config.json \udcff" + "x" * 2 * MAX_TEXT
    scrubbed = scrubbed_evidence(
        FailureEvidence("load", "OSError", text, log_tail="y" * 2 * MAX_TAIL), ("hf_secretsecret",)
    )
    assert len(scrubbed.text) == MAX_TEXT
    assert len(scrubbed.log_tail) == MAX_TAIL
    assert "secret" not in scrubbed.text
    assert "/srv" not in scrubbed.text
    scrubbed.text.encode()
