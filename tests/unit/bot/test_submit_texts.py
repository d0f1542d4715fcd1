"""The texts about a submission, for a discussion thread and for the API."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from bot.read_models.submit_models import Code
from bot.requests.submitting import SubmitResult
from bot.requests.verb_submit import result_sentences, result_text
from leaderboard.reasons import Problem

PATH = "ada/tiny_1_eval_request_False_float16_Original.json"
SHA = "5f6b6d1a3a1f0a3f6f8e5b8b5c9d9a4f1c2e3d4b"
CONTEXT: Any = SimpleNamespace(requests="board/requests", address=lambda repo, path: f"https://hub/{repo}/{path}")
RESULTS = [
    *(SubmitResult(how, "ada/tiny_1", PATH, status="RUNNING") for how in get_args(Code)),
    SubmitResult("exists", "ada/tiny_1", PATH, status="FAILED", sha=SHA),
    SubmitResult("exists", "ada/tiny_1", PATH, status="FINISHED", stays=("base model",)),
    SubmitResult("resubmitted", "ada/tiny_1", PATH, sha=SHA),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: f"{result.how}-{result.status}")
def test_a_program_reads_the_sentences_of_a_thread_as_plain_text(result: SubmitResult) -> None:
    """For every code, the API's message and advice are the text of the thread without Markdown."""
    message, advice = result_sentences(CONTEXT, result)
    words = re.sub(r"\[([^]]+)]\([^)]+\)", r"\1", str(result_text(CONTEXT, result, by_program=True)))
    assert f"{message} {advice}" == " ".join(re.sub(r"\*\*|`|\\", "", words).split())
    assert message.endswith(".")
    assert advice.endswith(".")


def test_the_reasons_stand_between_message_and_advice() -> None:
    """A thread shows the reasons between message and advice; the API's sentences leave them out."""
    problem = Problem(code="x", message="It is gated.", advice="Open it.")
    result = SubmitResult("refused", "ada/tiny_1", PATH, reasons=(problem,))
    text = str(result_text(CONTEXT, result))
    assert text.splitlines()[::2] == [
        "**ada/tiny\\_1** was not submitted, because it would be refused.",
        "- It is gated. *Open it.*",
        "Once this is fixed, write the command again in a new comment.",
    ]
    assert result_sentences(CONTEXT, result) == (
        "ada/tiny_1 was not submitted, because it would be refused.",
        "Once this is fixed, submit it again.",
    )
