"""Reports of models on a board that runs: in several discussions, dismissed, decided, and after Redis was lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.flags import decisions
from bot.flags.flag_commands import FlagSource
from bot.flags.reports import FlagReport, find_report, reports, sync_evidence
from bot.probe import Probe
from bot.threads.maintainers_list import waiting_threads
from leaderboard.flags import FlagRecord
from leaderboard.roles import Person
from localhub.testing import LocalHub
from steward.valkey import Valkey
from tests.support.board.flags import FLAGS, SPACE, AppealThread, FlagBoardDriver, flags_world, no_flags


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub for all tests; each leaves no flag behind."""
    with LocalHub(tmp_path_factory.mktemp("reports"), flags_world()) as started:
        yield started


@pytest.fixture
def stand(hub: LocalHub, valkey: Valkey, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board without flags, and an empty Redis."""
    with no_flags(hub, valkey, probe) as driver:
        yield driver


def test_a_board_without_a_repo_of_flags_says_so(stand: FlagBoardDriver) -> None:
    """Without a flags repo the bot still gathers evidence for a report, and refuses a maintainer's `/flag`."""
    stand.context.flags_repo = stand.context.flag_book.repo = None
    case = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.")
    report = find_report(stand.context, "ada/copy")
    assert report is not None
    assert report.findings[0].code == "same-weights-unnamed"
    case.say("/flag copy it is bob/original", stand.form)
    assert "has no place for flags yet" in case.replies()[-1]


def test_a_report_comes_back_after_redis_was_lost(stand: FlagBoardDriver) -> None:
    """After Redis was lost, the sync of a thread restores its report, unless the report was dismissed."""
    case = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.")
    stand.context.redis.flushall()
    case.look()
    assert [report.model for report in reports(stand.context)] == ["ada/copy"]
    case.say("/dismiss it is known", stand.form)
    stand.context.redis.flushall()
    stand.form.change_discussion_status(SPACE, case.number, "open", repo_type="space")
    case.look()
    assert reports(stand.context) == []


def test_what_is_flagged_already_is_not_reported_but_the_rest_of_a_model_is(stand: FlagBoardDriver) -> None:
    """The bot takes no report of a flagged model and links the flag's discussion, unless one precision is flagged."""
    case = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.")
    case.say("/flag copy it is bob/original", stand.form)
    AppealThread(stand, "Strange", "Hm.").say("/flag copy ada/plain precision=float16 it is bob/original", stand.form)
    stand.sync_flags()
    talk = AppealThread(stand, "Something else", "Hello.")
    talk.say("/flag copy ada/copy it is bob/original", stand.bob)
    url = f"{stand.hub.url}/spaces/{SPACE}/discussions/{case.number}"
    assert f"`ada/copy` is flagged already, and [its discussion]({url}) says why." in talk.replies()[-1]
    talk.say("@steward-bot ada/copy was wrongly flagged", stand.bob)
    assert f"[the discussion of its flag]({url})" in talk.replies()[-1]
    assert "/unflag" not in talk.replies()[-1]
    assert reports(stand.context) == []
    talk.say("/flag copy ada/copy ada/plain it is bob/original", stand.bob)
    assert "**ada/plain** is reported" in talk.replies()[-1]
    stand.sync_flags()
    assert [report.model for report in reports(stand.context)] == ["ada/plain"]
    stand.context.redis.flushall()
    talk.look()
    assert [report.model for report in reports(stand.context)] == ["ada/plain"]


def same_time(stand: FlagBoardDriver) -> None:
    """Set the clock of the Hub to that of the bot, which reads the times of posts."""
    clock = stand.hub.state.clock
    clock.advance(stand.time - clock.seconds())


@pytest.mark.parametrize("scope", ["", "precision=float16"])
def test_a_flag_of_a_part_decides_no_later_report(stand: FlagBoardDriver, scope: str) -> None:
    """A report of a model of which a part is flagged waits, also after Redis was lost, until a maintainer flags again:
    the whole model, or that part for another reason."""
    same_time(stand)
    talk = AppealThread(stand, "Strange", "Hm.")
    AppealThread(stand, "A part", "Hm.").say("/flag copy ada/plain precision=float16 it is bob/original", stand.form)
    stand.sync_flags()
    same_time(stand)
    titled = AppealThread(stand, "[FLAG] ada/plain", "It is bob/original, at each precision.")
    talk.say("/flag copy ada/plain it is bob/original", stand.bob)
    for is_lost in (False, True):
        if is_lost:
            stand.context.redis.flushall()
            talk.look()
        stand.sync_flags()
        assert [report.model for report in reports(stand.context)] == ["ada/plain"]
        titled.look()
        assert titled.status == "open"
        assert not any("which was reported here" in reply for reply in (*talk.replies(), *titled.replies()))
    third = AppealThread(stand, "Something else", "Hello.")
    third.say(f"/flag other ada/plain {scope} it is trained on the tests", stand.form)
    stand.sync_flags()
    for case in (talk, titled):
        case.look()
        assert sum("ada/plain**, which was reported here, is now flagged" in reply for reply in case.replies()) == 1
    assert (talk.status, titled.status, reports(stand.context)) == ("open", "closed", [])


def test_reporters_in_other_threads_are_told_of_the_decision(stand: FlagBoardDriver) -> None:
    """The bot posts a decision once in each thread in which the model was reported, also after Redis was lost.

    It closes only the thread that is about nothing else.
    """
    first = AppealThread(stand, "Strange", "Hm.")
    first.say("/flag copy ada/copy it is bob/original", stand.bob)
    second = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.", stand.ada)
    stand.context.redis.flushall()
    for talk in (first, second):
        talk.look()
    (report,) = reports(stand.context)
    assert {key.rpartition(":")[2] for key in report.threads} == {str(first.number), str(second.number)}
    third = AppealThread(stand, "Something else", "Hello.")
    third.say("/flag copy ada/copy it is bob/original", stand.form)
    for talk in (first, second):
        for _ in range(2):
            talk.look()
        assert sum("which was reported here, is now flagged" in reply for reply in talk.replies()) == 1
    assert (first.status, second.status) == ("open", "closed"), "only the thread about nothing else is closed"
    assert reports(stand.context) == []


def test_reports_of_one_model_in_several_discussions_are_one(stand: FlagBoardDriver) -> None:
    """Later reports of a model get a link to the first thread, and evidence is gathered once. The decision is posted in
    all threads; it closes those that are about nothing else, and no thread brings the report back."""
    first = AppealThread(stand, "[FLAG] ada/copy", "It is too good.")
    gathered = [report.gathered for report in reports(stand.context)]
    again = AppealThread(stand, "[FLAG] ada/copy once more", "It is too good.", stand.ada)
    assert [report.gathered for report in reports(stand.context)] == gathered
    wider = AppealThread(stand, "[FLAG] ada/copy ada/plain", "Both are.", stand.ada)
    other = AppealThread(stand, "The page is white", "Hello?")
    other.say("/flag other ada/copy it is too good", stand.bob)
    there = f"[in another discussion]({stand.hub.url}/spaces/{SPACE}/discussions/{first.number})"
    for talk in (again, wider, other):
        assert there in talk.replies()[0]
    assert "in another discussion" not in first.replies()[0]
    listed = {thread.title for thread in waiting_threads(stand.context)}
    assert listed == {"[FLAG] ada/copy", "[FLAG] ada/copy ada/plain", "The page is white"}
    again.say("/dismiss it is as good as that", stand.form)
    for talk in (first, again, wider, other):
        for _ in range(2):
            talk.look()
        assert sum("not flagged: it is as good as that" in reply for reply in talk.replies()) == 1
    assert [talk.status for talk in (first, again, wider, other)] == ["closed", "closed", "open", "open"]
    assert [report.model for report in reports(stand.context)] == ["ada/plain"]
    assert first.number not in {int(thread.url.rpartition("/")[2]) for thread in waiting_threads(stand.context)}


def test_a_report_that_was_decided_stays_so_when_the_flag_is_lifted(stand: FlagBoardDriver) -> None:
    """When a flag is lifted, a decided report of another thread does not come back."""
    other = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.")
    case = AppealThread(stand, "Something else", "Hello.")
    case.say("/flag copy ada/copy it is bob/original", stand.form)
    other.look()
    case.say("/unflag ada/copy its card names the original now", stand.form)
    other.look()
    assert (stand.table(), reports(stand.context)) == ({}, [])


def test_what_was_dismissed_while_evidence_was_gathered_stays_dismissed(
    stand: FlagBoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A maintainer's dismissal while the bot gathers evidence ends the report."""
    case = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.")

    def meanwhile(*_: object) -> FlagReport:
        reply = decisions.dismiss(stand.context, "it is known", flag_source(stand, case))
        assert reply.models == ("ada/copy",)
        return FlagReport(model="ada/copy", gathered=1.0)

    monkeypatch.setattr("bot.flags.reports.gather_report", meanwhile)
    sync_evidence(stand.context, "ada/copy")
    assert reports(stand.context) == []


def flag_source(stand: FlagBoardDriver, case: AppealThread, *, is_on_page: bool = False) -> FlagSource:
    """A maintainer's comment in a discussion, or their button on a page, as the source of a decision."""
    thread = stand.context.hub.thread(stand.context.community, case.number)
    return FlagSource(stand.context.community, thread, Person("1", "form"), "c:0", is_on_page=is_on_page)


@pytest.mark.parametrize("is_on_page", [False, True])
def test_a_repeated_dismissal_has_the_same_outcome(stand: FlagBoardDriver, is_on_page: bool) -> None:
    """If the bot dies after a dismissal and before its reply, the repeated dismissal has the same outcome. The comment
    about a dismissal by a button is posted once."""
    case = AppealThread(stand, "Strange", "Hm.")
    case.say("/flag copy ada/copy it is bob/original", stand.bob)
    first, second = (
        decisions.dismiss(stand.context, "it is known", flag_source(stand, case, is_on_page=is_on_page))
        for _ in range(2)
    )
    assert first == second
    assert (first.how, first.models) == ("dismissed", ("ada/copy",))
    assert sum("A maintainer dismissed the report" in reply for reply in case.replies()) == is_on_page


@pytest.mark.parametrize("title", ["[FLAG] ada/copy", "Strange"])
def test_a_closed_discussion_without_a_line_about_its_dismissal_stays_closed(
    stand: FlagBoardDriver, title: str
) -> None:
    """A report that a button dismissed under an earlier version, which posted no comment, does not come back."""
    case = AppealThread(stand, title, "It is bob/original.")
    case.say("/flag copy ada/copy it is bob/original", stand.bob)
    decisions.dismiss(stand.context, "it is known", flag_source(stand, case))
    for is_lost in (False, True):
        if is_lost:
            stand.context.redis.flushall()
        case.look()
        assert (case.status, reports(stand.context)) == ("closed", [])
    case.say("/flag copy ada/copy its card changed", stand.bob)
    assert (case.status, [report.model for report in reports(stand.context)]) == ("open", ["ada/copy"])


def test_a_dismissal_that_cannot_be_posted_changes_nothing(
    stand: FlagBoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where comments are off or in shadow, a button dismisses no report, because its thread would report it again."""
    case = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.")
    source = flag_source(stand, case, is_on_page=True)
    monkeypatch.setattr(stand.context.effects, "comment", lambda *_, **__: None)
    assert decisions.dismiss(stand.context, "it is known", source).how == "off"
    assert (case.status, [report.model for report in reports(stand.context)]) == ("open", ["ada/copy"])


def test_evidence_is_not_public_before_the_decision(stand: FlagBoardDriver) -> None:
    """Evidence is in no comment and in no repo before the decision."""
    case = AppealThread(stand, "[FLAG] ada/copy", "It is bob/original.")
    report = find_report(stand.context, "ada/copy")
    assert report is not None
    assert report.findings
    posts = "".join(text for _, text in case.comments())
    assert not any(finding.message in posts for finding in report.findings)
    assert stand.form.list_repo_files(FLAGS, repo_type="dataset") in ([], [".gitattributes"])
    assert all(isinstance(record, FlagRecord) for record in stand.context.flag_book.records())
