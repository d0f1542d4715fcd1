"""Cross-checks: which questions are drawn, who computes them again, and what follows from the reports."""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import Collection

import pytest

from leaderboard.boards import BadBoard, parse_board
from leaderboard.cross_check_decisions import CrossCheckDecision, CrossCheckVote, decide
from leaderboard.cross_checks import (
    AnswerVerdict,
    AvailableWorker,
    CheckedQuestion,
    CrossCheckReport,
    QuestionVerdict,
    WorkerPolicy,
    choose_worker,
    cross_check_id,
    draw_questions,
)
from leaderboard.tiers import TIERS
from steward.testing.board import BOARD

SIZES = {"sums": 300, "words": 700, "logic": 1_000}
ATTEMPT = "0123456789ab-01234567-1"
TRIES = 200
FIRST, SECOND, THIRD = (CheckedQuestion("sums", number) for number in (1, 2, 3))


def nonce(number: int) -> str:
    """Return the nonce with this number."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def vote(
    account: str,
    questions: Collection[CheckedQuestion],
    differing: Collection[CheckedQuestion] = (),
    *,
    unseen: Collection[CheckedQuestion] = (),
    problem: str = "",
) -> CrossCheckVote:
    """Return the report of a worker of `account`: `differing` are wrong answers, `unseen` were not compared."""

    def verdict(question: CheckedQuestion) -> AnswerVerdict:
        return "differs" if question in differing else "not-compared" if question in unseen else "agrees"

    answers = tuple(
        QuestionVerdict(task=question.task, number=question.number, verdict=verdict(question)) for question in questions
    )
    report = CrossCheckReport(
        check=ATTEMPT, attempt=ATTEMPT, commit="0" * 40, nonce=nonce(0), answers=answers, problem=problem
    )
    return CrossCheckVote(account, report)


# --- which questions


def test_the_same_nonce_draws_the_same_questions_and_another_one_others() -> None:
    """The draw depends only on nonce, attempt and numbers of questions, so that a reader of a result can repeat it."""
    drawn = draw_questions(nonce(1), ATTEMPT, SIZES, 8)
    assert drawn == draw_questions(nonce(1), ATTEMPT, dict(reversed(SIZES.items())), 8)
    assert len(set(drawn)) == 8
    assert drawn != draw_questions(nonce(2), ATTEMPT, SIZES, 8)
    assert drawn != draw_questions(nonce(1), ATTEMPT[:-1] + "2", SIZES, 8)


def test_each_question_is_drawn_as_often_as_any_other() -> None:
    """Over many draws, each task is drawn in proportion to its number of questions."""
    counts = Counter(
        question.task for number in range(500) for question in draw_questions(nonce(number), ATTEMPT, SIZES, 8)
    )
    for task, size in SIZES.items():
        expected = 4_000 * size / 2_000
        assert abs(counts[task] - expected) < 4 * math.sqrt(expected)


def test_of_few_questions_all_are_drawn_once() -> None:
    """If an evaluation has too few questions, each is drawn once; tasks without questions are skipped."""
    drawn = draw_questions(nonce(1), ATTEMPT, {"sums": 3, "none": 0}, 8)
    assert drawn == (CheckedQuestion("sums", 0), CheckedQuestion("sums", 1), CheckedQuestion("sums", 2))
    assert draw_questions(nonce(1), ATTEMPT, {}, 8) == ()


# --- a worker that forges


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("count", [8, 32])
def test_a_forger_is_found_as_the_odds_say(share: float, count: int) -> None:
    """With a share s of forged answers and k drawn questions, about 1 - (1 - s)^k of the evaluations are refused."""
    everything = [CheckedQuestion(task, number) for task, size in SIZES.items() for number in range(size)]
    generator = random.Random(f"{share} {count}")
    detected = 0
    for run in range(TRIES):
        forged = set(generator.sample(everything, round(share * len(everything))))
        questions = draw_questions(nonce(run), f"{ATTEMPT[:-1]}{run}", SIZES, count)
        differing = forged.intersection(questions)
        votes = [vote("second", questions, differing), vote("third", questions, differing)]
        asked = 1 if decide(votes[:1]).outcome != "open" else 2
        detected += decide(votes[:asked]).outcome == "differs"
    expected = 1 - (1 - share) ** count
    assert abs(detected - TRIES * expected) <= 3.3 * math.sqrt(TRIES * expected * (1 - expected)) + 1, (
        detected,
        expected,
    )


def test_an_honest_worker_is_never_refused() -> None:
    """A worker with right answers is never refused, even if the second worker reports wrong differences each time."""
    for run in range(TRIES):
        questions = draw_questions(nonce(run), ATTEMPT, SIZES, 8)
        assert decide([vote("second", questions)]).outcome == "agrees"
        lying = decide([vote("second", questions, questions[: 1 + run % 8]), vote("third", questions)])
        assert (lying.outcome, lying.alone, lying.by) == ("agrees", "second", ("third",))


# --- what follows from the reports

ASKED = (FIRST, SECOND, THIRD)
REPORTS = [
    pytest.param([], CrossCheckDecision("open"), id="none yet"),
    pytest.param([vote("b", ASKED)], CrossCheckDecision("agrees", ("b",), compared=3), id="one agrees"),
    pytest.param(
        [vote("b", ASKED, [FIRST])],
        CrossCheckDecision("open", ("b",), compared=3, questions=(FIRST,)),
        id="one disagrees: a third worker computes",
    ),
    pytest.param(
        [vote("b", ASKED, [FIRST, SECOND]), vote("c", ASKED, [SECOND])],
        CrossCheckDecision("differs", ("b", "c"), compared=3, questions=(SECOND,)),
        id="two find the same answer wrong: the claim stands alone",
    ),
    pytest.param(
        [vote("b", ASKED, [FIRST]), vote("c", ASKED)],
        CrossCheckDecision("agrees", ("c",), "b", 3),
        id="the third agrees with the claim: the second stands alone",
    ),
    pytest.param(
        [vote("b", ASKED, [FIRST]), vote("c", ASKED, [THIRD])],
        CrossCheckDecision("undecided", ("b", "c"), compared=3, questions=(FIRST, THIRD)),
        id="each finds another answer wrong",
    ),
    pytest.param(
        [vote("b", ASKED, [FIRST]), vote("c", ASKED, unseen=[FIRST])],
        CrossCheckDecision("undecided", ("b", "c"), compared=2, questions=(FIRST,)),
        id="the third could not compare the answer in question",
    ),
    pytest.param(
        [vote("b", (), problem="it is too large"), vote("c", ASKED)],
        CrossCheckDecision("agrees", ("c",), compared=3),
        id="a worker that could compute nothing does not count",
    ),
    pytest.param(
        [vote("b", ASKED, unseen=ASKED)], CrossCheckDecision("nothing", ("b",)), id="no answer can be compared"
    ),
]


@pytest.mark.parametrize(("votes", "decision"), REPORTS)
def test_reports_decide_the_outcome_of_a_check(votes: list[CrossCheckVote], decision: CrossCheckDecision) -> None:
    """A report that agrees with the answers settles a cross-check; one that disagrees needs a second report."""
    assert decide(votes) == decision


def test_a_report_has_to_be_about_the_questions_that_were_drawn() -> None:
    """A report is valid if it is about each drawn question once and no other, or about none and gives a reason."""
    assert vote("b", ASKED).report.answers_to(ASKED)
    assert vote("b", (), problem="no memory").report.answers_to(ASKED)
    for others in ((), ASKED[:2], (*ASKED, FIRST), (FIRST, SECOND, CheckedQuestion("words", 3))):
        assert not vote("b", others).report.answers_to(ASKED)


# --- who computes

POLICY = WorkerPolicy(owned=("Operator",))
WORKERS = [
    AvailableWorker("w1", "claimer", TIERS, idle=True),
    AvailableWorker("w2", "other", TIERS, idle=False),
    AvailableWorker("w3", "third", TIERS, idle=True),
    AvailableWorker("w4", "operator", TIERS, idle=False),
    AvailableWorker("w5", "", TIERS, idle=True),
]


@pytest.mark.parametrize(
    ("excluded", "tried", "name"),
    [
        (["claimer"], [], "w4"),
        (["CLAIMER"], ["w4"], "w3"),
        (["claimer", "operator", "third"], [], "w2"),
        (["claimer", "operator", "third", "other"], [], None),
    ],
)
def test_another_account_computes(excluded: list[str], tried: list[str], name: str | None) -> None:
    """The bot chooses the operator's own worker first, then an idle one, and none of an excluded or unknown account."""
    chosen = choose_worker(WORKERS, POLICY, excluded=excluded, tried=tried, tier=TIERS[0])
    assert (chosen.name if chosen is not None else None) == name


def test_jobs_of_a_check_have_ids_of_their_own() -> None:
    """The id of a cross-check's job depends on the number of its try and differs from the id of the checked attempt."""
    ids = {cross_check_id("b", ATTEMPT, "a" * 40, number) for number in (1, 2)}
    assert len(ids) == 2
    assert ATTEMPT not in ids


# --- the setting


def test_without_the_setting_there_is_no_worker_policy() -> None:
    """A board file without the setting `workers` gives no worker policy."""
    assert parse_board(BOARD).workers is None


def test_a_board_names_the_accounts_of_its_own_workers() -> None:
    """The board file lists the operator's accounts, whose names are compared without regard to case."""
    policy = parse_board(BOARD + "\nworkers: {owned: [Ada]}\n").workers
    assert policy is not None
    assert (policy.owns("ada"), policy.owns("eve"), policy.owns(""), policy.check.questions) == (True, False, False, 8)


@pytest.mark.parametrize("text", ["{owned: ['a b']}", "{check: {questions: 0}}", "{check: {questions: 65}}", "[ada]"])
def test_a_setting_that_means_nothing_is_an_error(text: str) -> None:
    """An invalid value of the setting `workers` raises an error that names the setting."""
    with pytest.raises(BadBoard, match="workers"):
        parse_board(f"{BOARD}\nworkers: {text}\n")
