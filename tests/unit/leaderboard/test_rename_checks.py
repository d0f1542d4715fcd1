"""The checks of a rename: the result of each check, from facts about models, files and flags."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from leaderboard.reasons import Problem
from leaderboard.rename_checks import WORDS, RenameFacts, RenameVerdict, judge
from leaderboard.rename_comparison import RenameComparison
from leaderboard.renames import plan

OLD, NEW = "ada/lion", "ada/lioness"
PATHS = [f"{OLD}_eval_request_False_{precision}_Original.json" for precision in ("float16", "4bit")]
PLAN = plan("requests", OLD, NEW, {path: json.dumps({"model": OLD, "status": "FINISHED"}).encode() for path in PATHS})
REDIRECTED = RenameFacts(PLAN, leads=NEW, new_exists=True)
COPIED = RenameFacts(PLAN, leads=OLD, new_exists=True, same_weights=True, requester="ada", may_write=True)
EXACT = RenameComparison("exact")
PARTIAL = RenameComparison("partial", left=PLAN.files[1:])


def codes(verdict: RenameVerdict) -> list[str]:
    """The code of each check, after a minus where it failed."""
    return [("" if line.ok else "-") + line.problem.code for line in verdict.lines]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (REDIRECTED, "redirects"),
        (replace(REDIRECTED, leads="eve/lion"), "-elsewhere"),
        (COPIED, "same-weights"),
        (replace(COPIED, leads=OLD.upper()), "same-weights"),
        (replace(COPIED, new_exists=False), "-no-new"),
        (replace(COPIED, leads=""), "-no-old"),
        (replace(COPIED, same_weights=False), "-other-weights"),
        (replace(COPIED, may_write=False), "-not-theirs"),
    ],
)
def test_both_names_must_belong_to_one_model(facts: RenameFacts, code: str) -> None:
    """A rename needs a redirect of the old name, or the same weights and a requester who may write to both models."""
    verdict = judge(facts)
    assert codes(verdict) == [code, "free", "no-flag", "at-rest"]
    assert verdict.passed == (not code.startswith("-"))
    assert not verdict.partial


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(COPIED, new_files=[f"{NEW}.json"]), ["same-weights", "-not-free", "no-flag", "at-rest"]),
        (replace(REDIRECTED, new_files=[f"{NEW}.json"]), ["redirects", "free", "no-flag", "at-rest"]),
        (replace(REDIRECTED, flagged=[OLD]), ["redirects", "free", "-flag", "at-rest"]),
        (replace(REDIRECTED, running=PATHS[:1]), ["redirects", "free", "no-flag", "-running"]),
    ],
)
def test_a_rename_loses_no_file_no_flag_and_no_evaluation(facts: RenameFacts, expected: list[str]) -> None:
    """Files at the new name, a flag that would stay behind and a running evaluation each fail one check."""
    assert codes(judge(facts)) == expected


def test_a_flag_that_moves_along_is_not_lost() -> None:
    """A rename that moves the flag passes."""
    assert judge(replace(REDIRECTED, flagged=[OLD]), escapes=False).passed


@pytest.mark.parametrize(
    ("facts", "comparison", "expected", "is_partial"),
    [
        (REDIRECTED, EXACT, ["exact"], False),
        (REDIRECTED, PARTIAL, ["partial"], True),
        (COPIED, EXACT, ["exact"], False),
        (COPIED, PARTIAL, ["partial", "-at-once"], True),
        (REDIRECTED, RenameComparison("wrong"), ["-does-nothing"], False),
        (REDIRECTED, RenameComparison("wrong", (Problem(code="x", message="X."),)), ["-x"], False),
    ],
)
def test_the_files_of_a_pull_request_are_checked(
    facts: RenameFacts, comparison: RenameComparison, expected: list[str], is_partial: bool
) -> None:
    """Exact changes pass; a part of them passes where the Hub redirects the old name; wrong ones fail with problems."""
    verdict = judge(facts, comparison)
    assert codes(verdict)[4:] == expected
    assert verdict.partial == is_partial


def test_the_report_counts_files() -> None:
    """The report says how many files a pull request changes and how many are still to do."""
    line = judge(REDIRECTED, PARTIAL).lines[-1]
    assert line.problem.message == "Its changes are right: 1 file. Still to do: 1 file."
    assert judge(REDIRECTED, EXACT).lines[-1].problem.message.endswith("2 files.")


def test_problems_that_are_added_fail_once() -> None:
    """A problem that a verdict has already is not added again."""
    problem = WORDS["conflicts"].problem()
    verdict = judge(REDIRECTED, EXACT).with_problems([problem]).with_problems([problem])
    assert codes(verdict)[5:] == ["-conflicts"]
    assert not verdict.passed
