"""Eight cases of flags from the first report to their end, on one board; `docs/moderation-cases.md` shows them.

STEWARD_REWRITE=1 python -m pytest tests/integration/bot/test_flags_cases.py    generates that page again
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.flags.reports import find_report, reports
from bot.probe import Probe
from bot.setup.consistency import disagreements
from bot.threads.maintainers_list import waiting_threads
from hub.comments import marker_of
from steward.testing.hub import open_board
from steward.valkey import Valkey
from tests.support.board.flags import SPACE, AppealThread, FlagBoardDriver, card, flags_world

PAGE = Path(__file__).parents[3] / "docs" / "moderation-cases.md"
INTRODUCTION = """# Eight cases of flags

For maintainers: what people and the bot wrote in eight discussions about flags, word for word. A test plays them on a
localhub and writes this page (`tests/integration/bot/test_flags_cases.py`). `ada` owns the models, `bob` reports them,
`form` is a maintainer. How flags work: [moderation.md](moderation.md).
"""


@pytest.fixture
def stand(tmp_path: Path, valkey: Valkey, probe: Probe) -> Iterator[FlagBoardDriver]:
    """One board for all cases."""
    with redis.Redis.from_url(valkey.url) as connection:
        connection.flushall()
        with open_board(flags_world(), tmp_path, connection, probe, FlagBoardDriver) as driver:
            yield driver


def mend(stand: FlagBoardDriver, model: str, more: str) -> None:
    """Replace the model's card, as its author, by one with the metadata `more`."""
    text = card(model, more).encode()
    stand.ada.upload_file(path_or_fileobj=text, path_in_repo="README.md", repo_id=model)


def a_copy_with_renamed_shards_names_its_original(
    stand: FlagBoardDriver, conversations: dict[str, list[AppealThread]]
) -> None:
    """The evidence shows the copy; the model is flagged, its author corrects the card, and the flag is lifted."""
    case = AppealThread(stand, "[FLAG] ada/copy", "It is the same model as bob/original.")
    conversations["A copy with renamed files"] = [case]
    report = find_report(stand.context, "ada/copy")
    assert report is not None
    assert [finding.code for finding in report.findings] == ["same-weights-unnamed"]
    assert stand.table() is None
    assert not any("byte for byte" in reply for reply in case.replies()), "no evidence is posted before the decision"
    case.say("/flag copy its files are those of bob/original, byte for byte", stand.form)
    assert stand.table() == {"ada/copy": stand.record("ada/copy")["thread"]}
    case.say("I forgot to name it. I will fix the card.", stand.ada)
    assert [thread.title for thread in waiting_threads(stand.context)] == ["[FLAG] ada/copy"]
    mend(stand, "ada/copy", "base_model: bob/original\n")
    case.say("Done.", stand.ada)
    assert "seems to be fixed" in case.replies()[-1]
    case.say("/unflag its card names the original now", stand.form)
    assert stand.table() == {}
    assert (case.status, stand.record("ada/copy")["status"]) == ("closed", "lifted")
    assert waiting_threads(stand.context) == []


def a_merge_that_says_nothing_is_flagged_from_elsewhere(
    stand: FlagBoardDriver, conversations: dict[str, list[AppealThread]]
) -> None:
    """A flag from a thread about something else opens a discussion of its own. The daily check notices that the card
    now declares the merge."""
    question = AppealThread(stand, "Thank you", "This is a great leaderboard.")
    question.say("/flag merge ada/merged its card does not say that it is one", stand.form)
    assert "[in its own discussion]" in question.replies()[-1]
    opened = opened_by_us(stand, "[FLAG] ada/merged")
    conversations["An undeclared merge"] = [question, opened]
    assert {finding["code"] for finding in stand.record("ada/merged")["evidence"]} == {
        "merge-undeclared",
        "base-undeclared",
    }
    mend(stand, "ada/merged", "tags: [merge]\nbase_model: [bob/original, eve/lion]\n")
    stand.time += 86_400
    stand.tick()
    stand.work()
    opened.look()
    assert "seems to be fixed" in opened.replies()[-1]
    opened.say("/unflag it is declared now, thank you", stand.form)
    assert stand.table() == {}


def one_discussion_holds_several_models(stand: FlagBoardDriver, conversations: dict[str, list[AppealThread]]) -> None:
    """Of two flags in one discussion, one is lifted and one upheld; the owner's comment reopens the discussion."""
    case = AppealThread(stand, "[FLAG] ada/plain and ada/half", "Both know the answers by heart.")
    conversations["Contamination, and two models in one discussion"] = [case]
    assert {report.model for report in reports(stand.context)} == {"ada/plain", "ada/half"}
    case.say('/flag contamination "their answers are those of the test set" ada/plain, ada/half', stand.form)
    assert set(stand.table()) == {"ada/plain", "ada/half"}
    case.say("I trust ada, these are good models.", stand.bob)
    case.say("ada/half has the answers from its base model. I will check ada/plain.", stand.ada)
    assert "[bob](" in case.replies()[-1]
    assert "the model's owner" in case.replies()[-1]
    case.say("/unflag ada/half its data are public and clean", stand.form)
    assert (case.status, set(stand.table())) == ("open", {"ada/plain"})
    case.say("/dismiss the answers are still word for word those of the test set", stand.form)
    assert case.status == "closed"
    case.say("I have published the data of ada/plain too.", stand.ada)
    assert (case.status, "I reopened this discussion" in case.replies()[-1]) == ("open", True)
    case.say("/unflag ada/plain its data are public now", stand.form)
    assert (case.status, stand.table()) == ("closed", {})


def an_honest_fine_tune_is_cleared(stand: FlagBoardDriver, conversations: dict[str, list[AppealThread]]) -> None:
    """The bot finds no evidence against a fine-tune; a maintainer dismisses the report, and it does not come back."""
    case = AppealThread(stand, "[FLAG] ada/tuned", "Surely this is bob/original under another name.")
    conversations["A dismissed report"] = [case]
    report = find_report(stand.context, "ada/tuned")
    assert report is not None
    assert report.gathered
    assert report.findings == ()
    case.say("/dismiss its weights are its own, and its card names what it was made from", stand.form)
    for _ in range(3):
        case.look()
    assert (case.status, reports(stand.context), stand.table()) == ("closed", [], {})


def anybody_may_report_and_only_maintainers_decide(
    stand: FlagBoardDriver, conversations: dict[str, list[AppealThread]]
) -> None:
    """A user's `/flag` is a report and `/unflag` is refused; for an unknown model the bot suggests similar names."""
    stand.submit("ada/good")
    stand.settle()
    case = AppealThread(stand, "Something is strange", "Who looks at this?")
    conversations["A report by command, and an unknown model"] = [case]
    case.say("/flag other ada/god it is too good to be true", stand.bob)
    assert "`ada/good`" in case.replies()[-1]
    case.say("/flag other ada/good it is too good to be true", stand.bob)
    assert ("is reported" in case.replies()[-1], stand.table()) == (True, {})
    assert [report.model for report in reports(stand.context)] == ["ada/good"]
    case.say("/unflag ada/good because I say so", stand.bob)
    assert "Only a maintainer" in case.replies()[-1]
    case.say("/dismiss it is good, and true", stand.form)
    assert reports(stand.context) == []


def an_author_can_opt_out_of_evaluation(stand: FlagBoardDriver, conversations: dict[str, list[AppealThread]]) -> None:
    """An opt-out is not listed as a flag, and blocks a model's evaluation until its author changes their mind."""
    case = AppealThread(stand, "Remove ada/shy", "Please do not evaluate it.", stand.ada)
    conversations["An author who opts out"] = [case]
    case.say("/flag opt-out ada/shy its author asked for it", stand.form)
    assert (stand.table(), stand.table("do_not_submit.json")) == ({}, ["ada/shy"])
    opened = opened_by_us(stand, "Not evaluated here: ada/shy")
    conversations["An author who opts out"].append(opened)
    case.say("/check ada/shy precision=float32", stand.ada)
    assert "have asked that it not be evaluated" in case.replies()[-1]
    opened.say("I have changed my mind.", stand.ada)
    opened.say("/unflag its author changed their mind", stand.form)
    assert stand.table("do_not_submit.json") == []


def a_closed_discussion_is_opened_again_within_limits(
    stand: FlagBoardDriver, conversations: dict[str, list[AppealThread]]
) -> None:
    """The owner's comments reopen a closed discussion three times at most; other users' comments never do."""
    case = AppealThread(stand, "[FLAG] ada/quiet", "Look at its answers.")
    conversations["An author who appeals again and again"] = [case]
    case.say("/flag contamination its answers are those of the test set", stand.form)
    case.say("/dismiss this is settled", stand.form)
    case.say("Open it again!", stand.bob)
    assert case.status == "closed"
    for number in range(1, 4):
        case.say(f"Please check it again (appeal {number}).", stand.ada)
        assert case.status == "open"
        case.say("/dismiss nothing has changed", stand.form)
    for number in range(4, 6):
        case.say(f"Please check it again (appeal {number}).", stand.ada)
        assert case.status == "closed"
    assert sum("reopened this discussion 3 times" in reply for reply in case.replies()) == 1


def a_flag_is_not_escaped_by_another_name(stand: FlagBoardDriver, conversations: dict[str, list[AppealThread]]) -> None:
    """A flag also applies to the same weights under another name, and to the renamed model."""
    case = AppealThread(stand, "[FLAG] ada/loud", "It was trained on the test set.")
    conversations["The same model under another name"] = [case]
    case.say("/flag contamination its author said so", stand.form)
    case.say("/check ada/again precision=float32", stand.ada)
    assert "is the flagged model 'ada/loud' under another name" in case.replies()[-1].replace("\\", "")
    stand.ada.move_repo("ada/loud", "ada/hushed")
    case.say("/flag contamination Ada/Loud it has a new name", stand.form)
    assert set(stand.table()) == {"ada/loud", "ada/hushed", "ada/quiet"}
    case.say("/unflag ada/hushed a new one was trained", stand.form)
    assert set(stand.table()) == {"ada/quiet"}


@pytest.mark.long("twelve seconds for the words of one page; test_conversations.py holds those of the commands")
def test_the_page_of_cases_is_what_was_said(stand: FlagBoardDriver) -> None:
    """The eight cases end as they should, and docs/moderation-cases.md holds them, word for word."""
    conversations = dict[str, list[AppealThread]]()
    for play in (
        a_copy_with_renamed_shards_names_its_original,
        a_merge_that_says_nothing_is_flagged_from_elsewhere,
        one_discussion_holds_several_models,
        an_honest_fine_tune_is_cleared,
        anybody_may_report_and_only_maintainers_decide,
        an_author_can_opt_out_of_evaluation,
        a_closed_discussion_is_opened_again_within_limits,
        a_flag_is_not_escaped_by_another_name,
    ):
        play(stand, conversations)
        assert disagreements(stand.context) == [], play.__name__
    page = INTRODUCTION + "".join(
        f"\n## {n}. {title}\n{_shown(conversations[title])}" for n, title in enumerate(conversations, 1)
    )
    if os.environ.get("STEWARD_REWRITE"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page


def opened_by_us(stand: FlagBoardDriver, title: str) -> AppealThread:
    """The discussion of this title that the bot opened."""
    listed = stand.form.get_repo_discussions(SPACE, repo_type="space")
    return AppealThread(stand, number=next(thread.num for thread in listed if thread.title == title))


def _shown(hearings: list[AppealThread]) -> str:
    return "".join(_thread(thread) for thread in hearings)


def _thread(hearing: AppealThread) -> str:
    details = hearing.stand.form.get_discussion_details(SPACE, hearing.number, repo_type="space")
    lines = [f"\n### “{details.title}”\n"]
    for event in details.events:
        if event.type == "status-change":
            lines.append(f"*{event.author} {'closed' if event.new_status == 'closed' else 'opened'} the discussion.*\n")
        elif event.type == "comment":
            lines.append(f"**{event.author}**\n\n{_quoted(hearing, hearing.first[event.id])}\n")
            if not event.content.startswith("<!--") or _said(event.content) == _said(hearing.first[event.id]):
                continue
            lines.append(f"The last version of this comment:\n\n{_quoted(hearing, event.content)}\n")
    return "\n".join(lines)


def _said(text: str) -> str:
    visible = [line for line in text.strip().splitlines() if marker_of(line) is None]
    return "\n".join(visible).strip()


def _quoted(hearing: AppealThread, text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in _same(hearing, _said(text)).splitlines())


def _same(hearing: AppealThread, text: str) -> str:
    """`text` without what differs from one run to the next."""
    text = text.replace(hearing.stand.hub.url, "https://hub")
    text = re.sub(r"\b[0-9a-f]{24}\b", "…", text)
    text = re.sub(r"`[0-9a-f]{8}`", "`4a7d1ed4`", text)
    return re.sub(r"\b20\d\d-\d\d-\d\d\b", "2026-11-25", text)
