"""Admission: facts in, verdict out, every reason at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leaderboard.admission import Submission, judge, refusal
from leaderboard.admission.facts import Availability, ConfigFacts, ConfigState, ModelFacts, ModelFile, Surroundings
from leaderboard.boards import BadBoard, Board, parse_board
from leaderboard.requests import Request, parse_request

SHA = "a" * 40
AROUND = Surroundings(now=0.0)
BOARD = """
name: demo
title: Demo
suite: starter
repos: {requests: o/requests, results: o/results, logs: o/logs, community: o/space, details_namespace: o-details}
"""


@pytest.fixture
def board() -> Board:
    """A board with defaults."""
    return parse_board(BOARD)


def request(precision: str = "float32", weights: str = "Original", **changes: Any) -> Request:
    """A readable request."""
    path = f"o/m_eval_request_False_{precision}_{weights}.json"
    found = parse_request(path, json.dumps({"model": "o/m", "status": "PENDING", **changes}).encode())
    assert isinstance(found, Request)
    return found


def facts(
    availability: Availability = "found", config: ConfigState = "loaded", *files: str, error: str = ""
) -> ModelFacts:
    """Facts about a model that is as it should be, but for what is said."""
    there = availability == "found"
    return ModelFacts(
        availability,
        SHA if there else None,
        ConfigFacts(config, model_type="zork", error=error, transformers="5.0") if there else None,
        tuple(ModelFile(name) for name in files or ("config.json", "model.safetensors")),
    )


def test_a_good_model_is_accepted_at_its_commit(board: Board) -> None:
    """With nothing against it, the verdict names the commit that will be evaluated."""
    verdict = judge(Submission(request(), facts(), board, AROUND))
    assert verdict.accepted
    assert verdict.sha == SHA


@pytest.mark.parametrize(
    ("asked", "known", "codes"),
    [
        (request(), facts("no-model"), ["model-not-found"]),
        (request(), facts("no-revision"), ["revision-not-found"]),
        (request(), facts("gated"), ["model-gated"]),
        (request(), facts("disabled"), ["model-disabled"]),
        (request(), facts("private"), ["model-private"]),
        (request(), facts("found", "missing"), ["config-missing"]),
        (request(), facts("found", "unreadable", error="x"), ["config-unreadable"]),
        (request(), facts("found", "remote-code"), ["remote-code-needed"]),
        (request(), facts("found", "unknown-architecture"), ["unknown-architecture"]),
        (request(), facts("found", "too-costly"), ["config-absurd"]),
        (request(), facts("found", "loaded", "config.json"), ["weights-missing"]),
        (request(), facts("found", "loaded", "pytorch_model.bin"), ["weights-not-safetensors"]),
        (request("float7"), facts(), ["precision-unknown"]),
        (request(weights="Half"), facts(), ["weights-unknown"]),
        (request("float7", "Half"), facts("no-model"), ["precision-unknown", "weights-unknown", "model-not-found"]),
        (request(), facts("found", "remote-code", "a.bin"), ["remote-code-needed", "weights-not-safetensors"]),
    ],
)
def test_every_reason_is_told_at_once(board: Board, asked: Request, known: ModelFacts, codes: list[str]) -> None:
    """A refusal holds each reason, each with a sentence and, but for nobody's fault, something to do."""
    verdict = judge(Submission(asked, known, board, AROUND))
    assert not verdict.accepted
    assert [reason.code for reason in verdict.reasons] == codes
    assert all(reason.message.endswith((".", "x")) and reason.advice for reason in verdict.reasons)


def test_a_refusal_of_several_reasons_is_one_failure_that_holds_them_all(board: Board) -> None:
    """The request file gets one failure whose message has every reason, and whose fault is the submission's."""
    verdict = judge(Submission(request("float7", "Half"), facts(), board, AROUND))
    failure = refusal(verdict.reasons)
    assert failure.cause == "several-reasons"
    assert failure.fault == "submission"
    assert all(reason.message in failure.message for reason in verdict.reasons)


@pytest.mark.parametrize(
    "text", ["", "- a", "{", "name: X y", BOARD + "suites: [a]\n", BOARD.replace("o/logs", "o/../x")]
)
def test_a_bad_board_file_says_what_is_wrong(text: str) -> None:
    """A board file that is not one is refused with a sentence, never with a traceback of another kind."""
    with pytest.raises(BadBoard, match="board file"):
        parse_board(text)
