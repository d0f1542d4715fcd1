"""One 404 may come from a server that lags: what would be lost by it is asked for once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from bot.changes import rename_facts
from bot.changes.rename_sources import paths_in_folder
from bot.changes.renames import _move_details
from bot.core import own_threads, people
from bot.core.commit_origins import is_front_end
from bot.evaluations import published_files, samples
from bot.evaluations.published_files import OutcomeMismatch
from bot.flags.model_names import find_model
from bot.ledger.edits import PresentFile, PutFile
from bot.threads.decision_log import _sync_month
from hub.comments import Marker
from hub.errors import EntryNotFound, Garbled, NotFound, RepoNotFound, ThreadNotFound
from hub.records import Account, FileEntry, Repo
from leaderboard.attempts import Details
from leaderboard.details import table_path
from leaderboard.roles import Person
from tests.support.units.details_samples import STARTER

MONTH = "2026/11"
COMPILED = f"decisions/{MONTH}/all.jsonl"
LOGS = Repo("dataset", "board/logs")


def _fail(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


def _decisions(hub: Mapping[str, object], monkeypatch: pytest.MonkeyPatch) -> list[PutFile]:
    """What is staged for the file of a month in which Redis knows one decision."""
    decision = SimpleNamespace(id="new", at="2026-11-02", model_dump_json=lambda: '{"new": true}')
    staged = list[PutFile]()
    decisions = SimpleNamespace(put=lambda *_: None, known=lambda _: [], between=lambda *_: [decision])
    context = SimpleNamespace(
        hub=SimpleNamespace(**hub),
        decisions=decisions,
        effects=SimpleNamespace(stage=lambda _, edit: staged.append(edit)),
    )
    monkeypatch.setattr("bot.threads.decision_log.decision_repo", lambda *_: LOGS)
    monkeypatch.setattr("bot.threads.decision_log._note_former_names", lambda *_: None)
    _sync_month(cast(Any, context), LOGS, MONTH)
    return staged


def test_the_file_of_a_month_is_not_written_anew_after_a_wrong_404(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would lose the decisions that Redis no longer has."""
    entry = FileEntry(COMPILED, "0" * 40, 10)
    hub = {"list_files": _fail(EntryNotFound("no folder", status=404))}
    with pytest.raises(Garbled):
        _decisions({**hub, "paths_info": lambda *_: {COMPILED: entry}}, monkeypatch)
    assert [edit.path for edit in _decisions({**hub, "paths_info": lambda *_: {}}, monkeypatch)] == [COMPILED]
    assert len(_decisions({**hub, "paths_info": _fail(NotFound("no repo", status=404))}, monkeypatch)) == 1


def test_the_file_of_a_month_gets_the_decisions_of_later_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """The edit replaces the file: with `unless_exists` a month's file kept what its first day had."""
    hub = {
        "list_files": lambda *_, **__: [FileEntry(COMPILED, "0" * 40, 10)],
        "read_file": lambda *_, **__: SimpleNamespace(data=b"{}\n"),
    }
    (edit,) = _decisions(hub, monkeypatch)
    assert edit.applied_to(PresentFile("0" * 40, b"{}\n")) == b'{"new": true}\n'


def test_details_that_one_404_hides_are_named_in_the_requests() -> None:
    """The note says that they were not moved, and the requests name their repo; only a lost repo has no note."""
    hub = SimpleNamespace(move_repo=_fail(NotFound("no repo", status=404)), repo_exists=lambda _: True)
    context = cast(Any, SimpleNamespace(hub=hub))
    (note,) = _move_details(context, lambda model: f"details/{model}", "old", "new")
    assert not note.moved
    hub.repo_exists = lambda _: False
    assert _move_details(context, lambda model: f"details/{model}", "old", "new") == ()


def test_a_front_end_that_one_404_hides_stays_one() -> None:
    """The form's account counted as the submitter of what people submitted with it."""
    answers = [NotFound("no account", status=404), SimpleNamespace(id="form")]

    def user(_: str) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    context = cast(Any, SimpleNamespace(hub=SimpleNamespace(user=user), board=SimpleNamespace(front_ends=("form",))))
    assert is_front_end(context, "form")
    answers[:] = [NotFound("no account", status=404)] * 2
    assert not is_front_end(context, "gone")
    assert answers == []


def test_no_second_thread_is_opened_for_one_that_a_404_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that the list still shows stays known; one that the list lacks as well was deleted."""
    forgotten, listed = list[bytes](), [SimpleNamespace(num=9), SimpleNamespace(num=7), SimpleNamespace(num=3)]
    member = b"Title\x007"
    hub = SimpleNamespace(thread=_fail(ThreadNotFound("no thread", status=404)), threads=lambda *_, **__: iter(listed))
    context = SimpleNamespace(
        hub=hub,
        me=lambda: SimpleNamespace(name="bot"),
        keys=SimpleNamespace(own_threads=lambda _: "own"),
        requests=SimpleNamespace(id="board/requests"),
        index=SimpleNamespace(of_thread=lambda _: None),
        redis=SimpleNamespace(zrangebylex=lambda *_: [member], zrem=lambda _, name: forgotten.append(name)),
    )
    monkeypatch.setattr(own_threads, "_read_on", lambda _: None)
    marker = Marker("board", "digest", "maintainers")
    with pytest.raises(Garbled):
        own_threads.find_own(cast(Any, context), "Title", marker, "")
    assert forgotten == []
    del listed[1]
    assert own_threads.find_own(cast(Any, context), "Title", marker, "") is None
    assert forgotten == [member]


def _after(error: Exception, answer: object) -> Callable[..., object]:
    """A call that fails once, and then gives this answer."""
    errors = [error]

    def call(*_: object, **__: object) -> object:
        if errors:
            raise errors.pop()
        return answer

    return call


def test_results_that_one_404_hides_move_with_their_requests() -> None:
    """The requests would be renamed or removed alone, and their results stay where they are."""
    entry, missing = FileEntry("ada/one/results_1.json", "0" * 40, 10), EntryNotFound("no folder", status=404)
    context = cast(Any, SimpleNamespace(hub=SimpleNamespace(list_files=_after(missing, [entry]))))
    assert paths_in_folder(context, Repo("dataset", "board/results"), "ada/one", "0" * 40) == [entry.path]
    context.hub.list_files = _fail(missing)
    assert paths_in_folder(context, Repo("dataset", "board/results"), "ada/one", "0" * 40) == []


def test_a_model_that_one_404_hides_does_not_undo_its_rename() -> None:
    """An approved rename would end with the sentence that there is no such model."""
    hub = SimpleNamespace(model_facts=_fail(RepoNotFound("no repo", status=404)), repo_exists=lambda _: True)
    context = cast(Any, SimpleNamespace(hub=hub))
    with pytest.raises(Garbled):
        rename_facts._facts(context, "ada/new")
    hub.repo_exists = lambda _: False
    assert rename_facts._facts(context, "ada/new") is None


def test_a_flag_on_a_model_that_one_404_hides_is_tried_again() -> None:
    """It would be refused as unknown, or hold for an earlier name of the model alone."""
    hub = SimpleNamespace(model_facts=_fail(RepoNotFound("no repo", status=404)), repo_exists=lambda _: True)
    index = SimpleNamespace(of_model=lambda _: [])
    context = cast(Any, SimpleNamespace(hub=hub, index=index))
    with pytest.raises(Garbled):
        find_model(context, "ada/new")
    hub.repo_exists = lambda _: False
    assert not find_model(context, "ada/new").is_known


@pytest.mark.parametrize("gone", [False, True])
def test_a_person_that_one_404_hides_keeps_their_roles(gone: bool) -> None:
    """An owner's command would be refused for good, a maintainer's removal undone, and both cached for minutes."""
    stored, missing = dict[str, str](), NotFound("not here", status=404)
    account = Account("id", "ada", created=1.0)

    def answer(value: object) -> Callable[..., object]:
        return _fail(missing) if gone else _after(missing, value)

    hub = SimpleNamespace(user=answer(account), members=answer({"id": "write"}), member=answer("write"))
    redis = SimpleNamespace(get=stored.get, set=lambda name, value, **_: stored.update({name: value}))
    organisation = SimpleNamespace(name="keepers", role="write")
    board = SimpleNamespace(maintainers=(), maintainer_organisations=(organisation,))
    context = cast(Any, SimpleNamespace(hub=hub, redis=redis, board=board, keys=SimpleNamespace(person=str)))
    assert people.user_id(context, "ada", fresh=True) == (None if gone else "id")
    assert people.maintainers(context) == (frozenset() if gone else {"id"})
    assert people.role_in(context, "keepers", Person("id", "ada"), fresh=True) == (None if gone else "write")


class RequestedPath(str):
    """The path of a request for the model `o/m`."""

    __slots__ = ()
    model = "o/m"


PUBLISHED = Details(repo="details/m", commit="a" * 40, results_path="results_2026-01-01T00-00-00.000000.json")


def test_results_that_one_404_hides_are_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """While another worker computes answers again, the bot looks for the results each minute, for hours."""
    monkeypatch.setattr(published_files, "read_results", lambda *_: results)
    monkeypatch.setattr(published_files, "shared_results_path", lambda *_: "o/m/results.json")
    outcome = SimpleNamespace(details=PUBLISHED, ended=0.0, attempt="attempt", revision="r")
    results = SimpleNamespace(
        block=SimpleNamespace(attempt="attempt", request="o/m.json", model="o/m", revision="r"), data={}
    )
    missing = RepoNotFound("no repo", status=404)
    hub = SimpleNamespace(find_file=_after(missing, SimpleNamespace(data=b"", oid="0")), head=lambda _: "a" * 40)
    repos = SimpleNamespace(details=lambda _: PUBLISHED.repo)
    context = cast(Any, SimpleNamespace(hub=hub, now=lambda: 1e6, board=SimpleNamespace(repos=repos), suite=None))
    request = cast(Any, SimpleNamespace(path=RequestedPath("o/m.json")))
    assert published_files.check_results(context, request, cast(Any, outcome))[1] is results
    hub.find_file = _fail(missing)
    with pytest.raises(OutcomeMismatch):
        published_files.check_results(context, request, cast(Any, outcome))


@pytest.mark.parametrize("gone", [False, True])
def test_a_worker_is_not_set_aside_for_one_list_that_lacks_a_table(gone: bool) -> None:
    """The list of its samples may be cut; another one shows the table."""
    path = table_path(next(iter(STARTER.tasks)), "2026-01-01T00-00-00.000000")
    answers = [{}, {}] if gone else [{}, {path: FileEntry(path, "0" * 40, 10)}]
    context = SimpleNamespace(hub=SimpleNamespace(paths_info=lambda *_: answers.pop(0)), suite=STARTER)
    places = samples.table_places(cast(Any, context), "o/m", Repo("dataset", PUBLISHED.repo), PUBLISHED)
    if gone:
        with pytest.raises(samples.SamplesNotShown):
            next(places)
    else:
        assert cast(samples.TablePlace, next(places)[2]).path == path


def test_what_was_published_is_found_although_one_404_hides_its_repo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker counts as lost otherwise, and another one evaluates for hours what is there."""
    outcome = SimpleNamespace(attempt="attempt", suite_digest="digest")
    document = SimpleNamespace(outcome=lambda *_: outcome)
    monkeypatch.setattr(published_files, "PublishedOutcome", SimpleNamespace(model_validate_json=lambda _: document))
    missing = RepoNotFound("no repo", status=404)
    hub = SimpleNamespace(find_file=_after(missing, SimpleNamespace(data=b"", commit="c")))
    board = SimpleNamespace(repos=SimpleNamespace(details=lambda _: PUBLISHED.repo))
    context = cast(Any, SimpleNamespace(hub=hub, board=board, suite=SimpleNamespace(digest="digest")))
    request = cast(Any, SimpleNamespace(path=RequestedPath("o/m.json")))
    assert published_files.find_outcome(context, request, "attempt") is outcome
    hub.find_file = _fail(missing)
    assert published_files.find_outcome(context, request, "attempt") is None
