"""All reports on pull requests, as people read them, in one snapshot; text from users cannot add markup to them."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.core.pull_records import End, PlannedFile, PullRequestRecord, PullRequestState, Result
from bot.pulls.pull_texts import MAX_CHARACTERS, Approval, FileView, PullView, approval_answer, pull_alarm, pull_report
from leaderboard.reasons import Problem
from leaderboard.submissions import REASONS, OtherFile

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
SNAPSHOT = Path(__file__).parent / "pull_texts.md"
HEAD, VOID, MERGED = "4a7d1ed4" + "0" * 32, "9c1185a5" + "0" * 32, "b00b1e55" + "0" * 32
PATH = "org/model_eval_request_False_bfloat16_Original.json"
GOOD = FileView(PATH, model="org/model", model_url="https://hub/org/model", sha="0123456789abcdef")
OTHER = replace(GOOD, path=PATH.replace("model_", "model-2_"), model="org/model-2", model_url="https://hub/org/model-2")
BAD = FileView(
    PATH.replace("model_", "bad_"),
    (
        REASONS["time-made-up"].problem(
            said="2021-03-04T00:00:00Z",
            why="not when this was submitted: that was on 2026-11-25",
            now="2026-11-25T02:00:00Z",
        ),
        REASONS["status-not-pending"].problem(status="FINISHED"),
    ),
)
LINE = PullRequestRecord(situation=PullRequestState(head=HEAD), result="passed").line()
COMMIT = {"commit": MERGED, "commit_url": f"https://hub/datasets/board/requests/commit/{MERGED}"}
README, GONE = OtherFile("README.md", "is changed, and no request"), OtherFile("org/old.json", "is removed")


def view(result: Result, **more: object) -> PullView:
    """The data of a report on a pull request."""
    return PullView(result=result, head=HEAD, record=LINE, **more)  # type: ignore[arg-type]


REPORTS = {
    "passed": view("passed", files=[GOOD]),
    "two passed, after a push": view("passed", files=[GOOD, OTHER], void=VOID),
    "passed, merged by itself": view("passed", files=[GOOD], merges_itself=True),
    "passed, a draft": view("passed", files=[GOOD], draft=True),
    "passed, the Hub refuses": view("passed", files=[GOOD], refused="403: you may not do this"),
    "problems": view("problems", files=[BAD]),
    "problems in one of two, after a push": view("problems", files=[BAD, OTHER], void=VOID),
    "conflicts": view("problems", files=[GOOD], conflicts=[PATH]),
    "conflicts somewhere": view("problems", files=[GOOD], conflicts=["*"]),
    "something else beside it": view("mixed", files=[GOOD], others=[README]),
    "something else": view("other", others=[README, GONE]),
    "very much else": view("other", others=[README] * 10_000),
    "too many": view("too-many", most=10, count=1_234),
    "too large": view("too-large"),
    "nothing": view("nothing"),
    "being checked again": view("passed", checking=True, void=VOID),
    "merged by the bot": view("passed", end="merged", files=[GOOD], **COMMIT),
    "merged, approved": view("passed", end="merged", files=[GOOD], by="ada", **COMMIT),
    "merged by hand": view("passed", end="by-hand", files=[GOOD], **COMMIT),
    "passed, on a board without threads": view("passed", files=[GOOD], followed=False),
    "merged, on a board without threads": view("passed", end="merged", files=[GOOD], followed=False, **COMMIT),
    "merged by hand, no submission": view("other", end="by-hand", **COMMIT),
    "taken back": view("passed", end="taken-back", files=[GOOD], **COMMIT),
}
WORDS = {"number": "12", "sha": VOID, "head": HEAD, "commit": MERGED, "why": "closed"}


def everything() -> str:
    """All texts of the bot about pull requests, in one text."""
    parts = [f"# {name}\n\n{_visible(pull_report(report))}" for name, report in REPORTS.items()]
    parts.append(f"# The alarm\n\n{pull_alarm(head=HEAD, count=3, **COMMIT)}")
    parts += [f"# Approved: {answer}\n\n{approval_answer(answer, **WORDS)}\n" for answer in get_args(Approval)]
    for code, reason in REASONS.items():
        parts.append(f"# Reason: {code}\n\n{reason.message}\n\n{reason.advice}\n")
    return "\n".join(parts)


def _visible(text: str) -> str:
    return text.partition("\n")[2].lstrip()


def test_every_text_is_as_it_was_read_last() -> None:
    """All texts equal the snapshot, so that a change shows in a diff; `STEWARD_REWRITE=1` writes it again."""
    if os.environ.get("STEWARD_REWRITE"):
        SNAPSHOT.write_text(everything())
    assert everything() == SNAPSHOT.read_text()


def test_every_result_and_every_end_has_its_report() -> None:
    """Each result and each end of a pull request has a report with a heading."""
    assert {report.result for report in REPORTS.values()} == set(get_args(Result))
    assert {report.end for report in REPORTS.values()} - {None} == set(get_args(End))
    headings = [_visible(pull_report(report)).partition("\n")[0] for report in REPORTS.values()]
    assert all(heading.startswith("### ") for heading in headings)


def test_no_report_is_longer_than_a_comment() -> None:
    """A report with many long problems is cut to the limit of a comment, and says how many problems are left out."""
    problem = Problem(code="x", message="m" * 1_500, advice="a" * 500)
    files = [replace(BAD, path=f"{n}/{PATH}", problems=[problem] * 30) for n in range(10)]
    text = pull_report(view("problems", files=files))
    assert len(text) <= MAX_CHARACTERS
    assert "and 29 more" in text


def seen(markdown: str) -> tuple[set[str], str, list[str]]:
    """The rendered Markdown: the kinds of its tokens, the text outside code, and the targets of its links."""
    tokens = [token for outer in MARKDOWN.parse(markdown) for token in (outer, *(outer.children or ()))]
    text = "".join(token.content for token in tokens if token.type == "text")
    links = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    return {token.type for token in tokens}, text, links


def test_text_from_users_adds_no_markup() -> None:
    """Paths, reasons and errors of the Hub cannot add a link, a mention, a heading or a marker to a report."""
    evil = "x`|\n\n# h\n@ada [l](http://e) <b> --> <!-- steward:1 demo pull 1 -->"

    def reports(word: str) -> list[PullView]:
        problem = Problem(code="x", message=word, advice=word)
        bad, good = replace(BAD, path=word, problems=[problem]), replace(GOOD, path=word, model=word)
        mixed = view("mixed", files=[bad], others=[OtherFile(word, f"is renamed from {word}")], conflicts=[word])
        return [mixed, view("passed", files=[good], refused=word), view("passed", end="merged", by=word, **COMMIT)]

    for hostile, harmless in zip(reports(evil), reports("word"), strict=True):
        kinds, text, links = seen(_visible(pull_report(hostile)))
        usual = seen(_visible(pull_report(harmless)))
        assert kinds <= usual[0] | {"text_special"}
        assert "@ada" not in text
        assert links == usual[2]


@given(st.lists(st.tuples(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)), max_size=4))
def test_a_record_survives_its_way_through_a_comment(paths: list[tuple[str]]) -> None:
    """A record with any content is one line of a comment, and is read back unchanged."""
    files = tuple(PlannedFile(path=f"{path}-->", oid="1" * 40) for (path,) in paths)
    record = PullRequestRecord(situation=PullRequestState(head=HEAD, draft=True), result="passed", files=files)
    line = record.line()
    assert line.isascii()
    assert "\n" not in line
    assert line.count("--") == 2
    match = re.fullmatch(r"<!-- (\{.*\}) -->", line)
    assert match is not None
    assert PullRequestRecord.model_validate_json(match[1]) == record


@pytest.mark.parametrize("answer", get_args(Approval))
def test_every_answer_is_a_sentence_or_two(answer: Approval) -> None:
    """Each answer to an approval is one line that ends as a sentence."""
    text = approval_answer(answer, **WORDS)
    assert text
    assert "\n" not in text
    assert text.endswith((".", "”"))
