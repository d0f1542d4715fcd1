"""The texts that submitters read when a submission is refused, compared with a reviewed snapshot of all of them.

STEWARD_REWRITE=1 python -m pytest tests/unit/leaderboard/test_admission_texts.py   writes the file anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaderboard.admission.docs import submitting
from leaderboard.admission.rules import REASONS, judge
from leaderboard.reasons import Problem
from leaderboard.requests import REASONS as OF_READING
from leaderboard.requests import parse_request
from tests.support.units.admission_cases import CASES

SNAPSHOT = Path(__file__).with_name("refusals.md")
PATH = "ada/tiger_eval_request_False_bfloat16_Original.json"
HEAD = """# What people read when a submission is refused

Every reason once, as the first submission of the table in `admission_cases.py` that is refused for it gets to hear it.
Written by `STEWARD_REWRITE=1 python -m pytest tests/unit/leaderboard/test_admission_texts.py`.
"""
UNREADABLE = (
    ("ada/models/tiger.json_eval_request_.json", b"{}"),
    ("a..b/tiger_eval_request_False_bfloat16_Original.json", b'{"model": "a..b/tiger", "status": "PENDING"}'),
    (PATH, b'{"model": "ada/tiger",'),
    (PATH, b"\xff\xfe"),
    (PATH, b"[" * 100_000),
    (PATH, b"[]"),
    (PATH, b'{"status": "PENDING"}'),
    (PATH, b'{"model": 7, "status": "PENDING", "private": "no", "steward": {"attempt": "many"}}'),
    (PATH, b'{"model": "ada/tiger", "status": "PENDING", "precision": "float16"}'),
)


def told() -> Iterator[tuple[str, Problem]]:
    """Yield a description with each problem: first those of unreadable files, then those of the admission cases."""
    for path, data in UNREADABLE:
        problems = parse_request(path, data)
        assert isinstance(problems, list)
        yield from (
            (f"{path.rpartition('/')[2]}: {data[:40].decode(errors='replace')}", problem) for problem in problems
        )
    yield "a file of 2 MB", OF_READING["too-large"].problem(limit="100,000")
    for case in CASES:
        yield from ((case.name, reason) for reason in judge(case.submission()).reasons)


def snapshot() -> str:
    """Return the text of the snapshot, with one section for each reason."""
    sections, included = [HEAD], set()
    for who, reason in told():
        distinct = (reason.code, reason.message) if reason.code in OF_READING else reason.code
        if distinct not in included:
            included.add(distinct)
            link = f"\n\n{reason.link}" if reason.link else ""
            sections.append(f"## {reason.code}\n\n*{who}*\n\n{reason.message}\n\n→ {reason.advice}{link}\n")
    return "\n".join(sections)


def test_every_text_of_every_refusal_is_as_it_was_last_read() -> None:
    """The texts of all reasons equal the snapshot, which a person reviews and rewrites after each change."""
    text = snapshot()
    if os.environ.get("STEWARD_REWRITE"):
        SNAPSHOT.write_text(text, "utf-8")
    assert text == SNAPSHOT.read_text("utf-8"), "read the sentences, then run again with STEWARD_REWRITE=1"
    assert set(re.findall(r"^## (\S+)$", text, re.MULTILINE)) >= set(REASONS)


@pytest.mark.parametrize("reason", list(REASONS.values()), ids=lambda reason: reason.code)
def test_a_reason_is_short_and_says_what_to_do(reason: object) -> None:
    """Each reason has a message and advice of limited length, without words that blame the submitter."""
    for text in (getattr(reason, "message", ""), getattr(reason, "advice", "")):
        assert text.endswith((".", "…}"))
        assert 15 < len(text) <= 260
        assert not re.search(r"\b(illegal|invalid|fatal|forbidden|must)\b", text)
    assert re.fullmatch(r"[a-z0-9-]{3,50}", getattr(reason, "code", ""))


def test_the_page_for_submitters_is_what_the_rules_say(project: Path) -> None:
    """`docs/submitting.md` lists the rules of the code; `python -m leaderboard.admission.docs` updates it."""
    page = project / "docs" / "submitting.md"
    text = page.read_text("utf-8")
    assert submitting(text) == text, "run: python -m leaderboard.admission.docs docs/submitting.md"
