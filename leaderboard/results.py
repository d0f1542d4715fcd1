"""Results files: parsed within bounds, and checked against the scores that follow from the raw ones.

A results file is the harness's own file plus a block `steward` (`leaderboard.steward_block`), which names the attempt
and its settings. Results files are untrusted: every score is computed again from the raw scores
(`leaderboard.scores`), and a block that contradicts them is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from leaderboard.jsontext import JsonObject
from leaderboard.reasons import describe_errors
from leaderboard.result_digests import rules_digest
from leaderboard.scores import BadResults, Scores, score
from leaderboard.steward_block import BLOCK, StewardBlock, check_errors, repeats_scores
from leaderboard.suites import Suite
from leaderboard.times import read_time

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40
"""Levels of nesting in a results file."""


@dataclass(frozen=True)
class ResultsFile:
    """A parsed and checked results file. `scores` are recomputed; `data` is the whole file."""

    block: StewardBlock
    scores: Scores
    data: Mapping[str, Any]


def dump(data: Mapping[str, Any]) -> bytes:
    """Return the file's bytes. Raises BadResults if a number is NaN or infinite, or the file is too large."""
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise BadResults(f"the results hold a value that JSON cannot: {error}") from error
    encoded = text.encode("utf-8", "replace") + b"\n"
    if len(encoded) > MAX_BYTES:
        raise BadResults(f"the results take {len(encoded)} bytes, more than {MAX_BYTES}")
    return encoded


def parse_harness(data: bytes) -> JsonObject:
    """Parse the JSON object in `data`, which has an object `results`, within bounds. Raises BadResults."""
    if len(data) > MAX_BYTES:
        raise BadResults(f"the results take {len(data)} bytes, more than {MAX_BYTES}")
    try:
        parsed = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadResults(f"the results are not JSON: {str(error)[:200] or type(error).__name__}") from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("results"), dict):
        raise BadResults("the results are not an object with an object `results` in it")
    if _deeper_than(parsed, MAX_DEPTH):
        raise BadResults(f"the results are nested more than {MAX_DEPTH} deep")
    return parsed


def read_results(data: bytes, suite: Suite) -> ResultsFile:
    """Parse and check the results of `suite` in a file's bytes. Raises BadResults."""
    parsed = parse_harness(data)
    try:
        block = StewardBlock.model_validate(parsed.get(BLOCK))
    except ValidationError as error:
        raise BadResults(f"the steward block is invalid: {describe_errors(error, limit=5)}") from error
    if (block.suite, block.suite_digest) != (suite.name, suite.digest):
        raise BadResults(f"the results are of the suite {block.suite} {block.suite_digest[:12]}, not of this one")
    scores = score(parsed["results"], suite)
    if not repeats_scores(block, scores):
        raise BadResults("the scores in the steward block are not those that follow from the raw ones")
    check_errors(block)
    if block.digests is not None and not (block.digests.is_consistent() and block.digests.rules == rules_digest(suite)):
        raise BadResults("the digests in the steward block are not those that follow from their parts")
    return ResultsFile(block, scores, parsed)


def read_block(data: bytes) -> StewardBlock | None:
    """Return the `steward` block of results of any suite; None if the file has none or is unreadable."""
    try:
        return StewardBlock.model_validate(parse_harness(data).get(BLOCK))
    except (BadResults, ValidationError):
        return None


def suite_digest(data: bytes) -> str | None:
    """Return the suite digest that a results file names; None if the file is unreadable."""
    block = read_block(data)
    return block.suite_digest if block is not None else None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _deeper_than(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth == 0 or any(_deeper_than(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth == 0 or any(_deeper_than(item, depth - 1) for item in value)
    return False


# --- its name


def results_time(path: str) -> float | None:
    """Return the time in the name of the results file at `path`, in seconds since the epoch; None if it has none."""
    return read_time(path.rpartition("/")[2].removeprefix("results_").removesuffix(".json"))


def file_time(seconds: float) -> str:
    """Format a time in UTC as in the names of results and details files: `2026-11-24T12-00-00.123456`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
