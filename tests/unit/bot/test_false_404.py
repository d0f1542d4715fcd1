"""One 404 may come from a server that lags: what would be lost by it is asked for once more."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.changes import rename_facts
from bot.changes.renames import _move_details
from bot.core import people
from bot.core.commit_origins import is_front_end
from bot.core.earlier_names import called_now
from bot.evaluations import published_files, samples
from bot.evaluations.cross_check_reports import CrossCheckClaim, _restricted_commit
from bot.evaluations.samples import SamplesNotShown
from bot.flags import evidence
from bot.flags.model_names import find_model
from bot.ledger.edits import PresentFile, PutFile
from bot.model_pages.own_pulls import scores_file_at
from bot.setup import adopting
from bot.threads.decision_log import _sync_month
from hub.errors import EntryNotFound, Garbled, NotFound, RepoNotFound, RevisionNotFound
from hub.reads import Reads
from hub.records import Account, File, FileEntry, Repo
from leaderboard.admission.facts import ModelCard
from leaderboard.roles import Person
from leaderboard.sample_checks import UnreadableSamples
from tests.support.hub.answers import failing, in_turn

MONTH = "2026/11"
COMPILED = f"decisions/{MONTH}/all.jsonl"
LOGS = Repo("dataset", "board/logs")


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
    hub = {"list_files": failing(EntryNotFound("no folder", status=404))}
    with pytest.raises(Garbled):
        _decisions({**hub, "paths_info": lambda *_: {COMPILED: entry}}, monkeypatch)
    assert [edit.path for edit in _decisions({**hub, "paths_info": lambda *_: {}}, monkeypatch)] == [COMPILED]
    assert len(_decisions({**hub, "paths_info": failing(NotFound("no repo", status=404))}, monkeypatch)) == 1


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
    hub = SimpleNamespace(move_repo=failing(NotFound("no repo", status=404)), repo_exists=lambda _: True)
    context = cast(Any, SimpleNamespace(hub=hub))
    (note,) = _move_details(context, lambda model: f"details/{model}", "old", "new")
    assert not note.moved
    hub.repo_exists = lambda _: False
    assert _move_details(context, lambda model: f"details/{model}", "old", "new") == ()


def test_a_front_end_that_one_404_hides_stays_one() -> None:
    """The form's account counted as the submitter of what people submitted with it."""
    answers: list[object] = [NotFound("no account", status=404), SimpleNamespace(id="form")]
    hub = SimpleNamespace(user=in_turn(answers))
    context = cast(Any, SimpleNamespace(hub=hub, board=SimpleNamespace(front_ends=("form",))))
    assert is_front_end(context, "form")
    answers[:] = [NotFound("no account", status=404)] * 2
    assert not is_front_end(context, "gone")
    assert answers == []


@pytest.mark.parametrize(("wrong", "is_known"), [(0, True), (1, True), (2, False)])
def test_one_404_takes_no_role_from_a_person(wrong: int, is_known: bool) -> None:
    """The wrong answer was cached, so a maintainer or an author had no rights for minutes."""
    answers: dict[str, list[object]] = {
        "user": [Account("1", "mia", 0.0)],
        "member": ["write"],
        "members": [{"1": "write"}],
    }
    for each in answers.values():
        each[:0] = [NotFound("nothing of this name", status=404)] * wrong
    stored = dict[str, str]()
    context = SimpleNamespace(
        hub=SimpleNamespace(**{name: in_turn(each) for name, each in answers.items()}),
        redis=SimpleNamespace(get=stored.get, set=lambda key, value, **_: stored.update({key: value})),
        keys=SimpleNamespace(person=str),
        board=SimpleNamespace(maintainers=(), maintainer_organisations=(SimpleNamespace(name="board", role="write"),)),
    )
    person, cast_context = Person("1", "mia"), cast(Any, context)
    for _ in range(2):  # the second answers come from the cache
        assert people.role_in(cast_context, "board", person, fresh=False) == ("write" if is_known else None)
        assert people.user_id(cast_context, "mia", fresh=False) == ("1" if is_known else None)
        assert people.maintainers(cast_context) == ({"1"} if is_known else set())


def test_answers_of_a_restricted_benchmark_that_one_404_hides_are_compared() -> None:
    """The record of the comparison named a repo that the bot may read as one that it may not."""
    answers: list[object] = [NotFound("no repo", status=404), "0" * 40]
    hub = SimpleNamespace(
        head=in_turn(answers), paths_info=lambda _, paths, __: {path: FileEntry(path, "0", 1) for path in paths}
    )
    board = SimpleNamespace(repos=SimpleNamespace(restricted_details=lambda model: f"{model}-restricted"))
    context = cast(Any, SimpleNamespace(hub=hub, board=board))
    tables = samples._in_gated_repo(context, "ada/good", ["a"])
    assert isinstance(tables, dict)
    assert list(tables) == ["a"]
    answers[:] = [NotFound("no repo", status=404)] * 2
    assert isinstance(samples._in_gated_repo(context, "ada/good", ["a"]), UnreadableSamples)


def test_one_list_without_a_table_sets_no_worker_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples that the Hub does not show count as withheld by the worker."""
    path = "samples_t_2026.parquet"
    benchmark = SimpleNamespace(tasks=[SimpleNamespace(name="t")], restricted=False)
    suite = SimpleNamespace(tasks=["t"], restricted=False, benchmarks=[benchmark])
    lists: list[object] = [{}, {path: FileEntry(path, "0", 1)}]
    context = cast(Any, SimpleNamespace(hub=SimpleNamespace(paths_info=in_turn(lists)), suite=suite))
    details = cast(Any, SimpleNamespace(results_path="results_2026.json", commit="0" * 40))
    monkeypatch.setattr(samples, "table_path", lambda *_: path)
    ((_, task, place),) = samples.table_places(context, "ada/good", LOGS, details)
    assert isinstance(place, samples.TablePlace)
    assert (task, place.path) == ("t", path)
    lists[:] = [{}, {}]
    with pytest.raises(SamplesNotShown):
        list(samples.table_places(context, "ada/good", LOGS, details))


@pytest.mark.parametrize("wrong", [RepoNotFound, RevisionNotFound])
def test_results_that_one_404_hides_are_published(wrong: type[NotFound], monkeypatch: pytest.MonkeyPatch) -> None:
    """The request was evaluated again, for hours, although its results were there."""
    file = File("results.json", b"{}", "1", "0" * 40)
    details = cast(Any, SimpleNamespace(results_path="results.json", commit="0" * 40))
    answers: list[object] = [wrong("no", status=404), file, wrong("no", status=404), details.commit]
    hub = SimpleNamespace(find_file=in_turn(answers), head=in_turn(answers))
    context = cast(Any, SimpleNamespace(hub=hub))
    assert published_files._published_file(context, LOGS, details) == file
    answers[:] = [wrong("no", status=404)] * 2
    with pytest.raises(published_files.OutcomeMismatch):
        published_files._published_file(context, LOGS, details)
    outcome = SimpleNamespace(attempt="a", suite_digest="d")
    monkeypatch.setattr(published_files, "details_repo", lambda *_: LOGS)
    monkeypatch.setattr(
        published_files,
        "PublishedOutcome",
        SimpleNamespace(model_validate_json=lambda _: SimpleNamespace(outcome=lambda *_: outcome)),
    )
    context.suite = SimpleNamespace(digest="d")
    answers[:] = [wrong("no", status=404), file]
    assert published_files.find_outcome(context, cast(Any, None), "a") == outcome


def test_evidence_that_one_404_hides_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the model, or the card, that the evidence is about, the bot said that the cause of a flag was gone."""
    monkeypatch.setattr(evidence, "ModelRepo", lambda *_: SimpleNamespace())
    monkeypatch.setattr(evidence, "weight_files", lambda _: [])
    monkeypatch.setattr(evidence, "_traces", lambda _: {})
    gone = NotFound("no model", status=404)
    facts = SimpleNamespace(private=False, id="ada/good", sha="0" * 40, files=(), created_at=None)
    card = ModelCard(exists=True)
    cards: list[object] = [gone, card]
    monkeypatch.setattr(evidence, "gather_card", in_turn(cards))
    answers: list[object] = [gone, facts]
    hub = SimpleNamespace(model_facts=in_turn(answers))
    context = cast(Any, SimpleNamespace(hub=hub, address=lambda repo: repo.id))
    examined = evidence.gather_subject(context, "ada/good")
    assert examined is not None
    assert (examined.model, examined.card) == ("ada/good", card)
    answers[:] = [gone, gone]
    assert evidence.gather_subject(context, "ada/good") is None


def test_adoption_records_a_repo_that_one_404_hides() -> None:
    """The files and threads of a board's past would count as new ones, and get answers."""
    gone = NotFound("no repo", status=404)
    answers: list[object] = [gone, "0" * 40, gone, ([SimpleNamespace(num=7)], False), *[gone] * 4]
    hub = SimpleNamespace(head=in_turn(answers), threads_page=in_turn(answers))
    context = cast(Any, SimpleNamespace(hub=hub))
    assert adopting._heads(context, LOGS) == {LOGS.id: "0" * 40}
    assert adopting._highest_thread(context, LOGS) == 7
    assert adopting._heads(context, LOGS) == {}
    assert adopting._highest_thread(context, LOGS) == 0


def test_a_present_name_that_one_404_hides_is_found() -> None:
    """The answer is cached for a day, in which links by the earlier name led nowhere."""
    gone = NotFound("no repo", status=404)
    answers: list[object] = [gone, "board/new", gone, gone]
    context = cast(Any, SimpleNamespace(hub=SimpleNamespace(present_id=in_turn(answers))))
    assert called_now(context, LOGS).id == "board/new"
    assert called_now(context, LOGS) == LOGS


def test_a_cross_check_knows_contents_that_one_404_hides() -> None:
    """It is stored under a digest of them, with the commit of the gated repo, which the checking worker reads."""
    gone = NotFound("no commit", status=404)
    answers: list[object] = [gone, {"a": FileEntry("a", "1", 1)}, gone, "0" * 40, *[gone] * 4]
    hub = SimpleNamespace(paths_info=in_turn(answers), head=in_turn(answers))
    repos = SimpleNamespace(restricted_details=lambda model: f"{model}-restricted")
    suite, board = SimpleNamespace(tasks=(), restricted=True), SimpleNamespace(repos=repos)
    context = cast(Any, SimpleNamespace(hub=hub, suite=suite, board=board))
    request = SimpleNamespace(path=SimpleNamespace(model="ada/good"))
    details = SimpleNamespace(results_path="results_2026.json")
    claim = CrossCheckClaim(context, cast(Any, None), cast(Any, request), LOGS, cast(Any, details), cast(Any, None))
    assert claim.contents_at("1" * 40)
    assert _restricted_commit(claim) == "0" * 40
    assert (claim.contents_at("1" * 40), _restricted_commit(claim)) == ("", "")


def test_no_second_pull_request_is_opened_for_scores_that_one_404_hides() -> None:
    """The file of the merged pull request was missing on main, so another one with the same scores was opened."""
    hub = Reads.__new__(Reads)
    entry = FileEntry("scores.yaml", "1", 1)
    calls = {
        "read_file": failing(EntryNotFound("no file", status=404)),
        "paths_info": lambda _, paths, __: {paths[0]: entry},
    }
    vars(hub).update(calls)
    context = cast(Any, SimpleNamespace(board=SimpleNamespace(name="demo")))
    with pytest.raises(Garbled):
        scores_file_at(context, cast(Any, hub), "ada/good", "main")
    vars(hub)["paths_info"] = lambda *_: {}
    assert scores_file_at(context, cast(Any, hub), "ada/good", "main") is None


def test_a_model_that_one_404_hides_does_not_undo_its_rename() -> None:
    """An approved rename would end with the sentence that there is no such model."""
    hub = SimpleNamespace(model_facts=failing(RepoNotFound("no repo", status=404)), repo_exists=lambda _: True)
    context = cast(Any, SimpleNamespace(hub=hub))
    with pytest.raises(Garbled):
        rename_facts._facts(context, "ada/new")
    hub.repo_exists = lambda _: False
    assert rename_facts._facts(context, "ada/new") is None


def test_a_flag_on_a_model_that_one_404_hides_is_tried_again() -> None:
    """It would be refused as unknown, or hold for an earlier name of the model alone."""
    hub = SimpleNamespace(model_facts=failing(RepoNotFound("no repo", status=404)), repo_exists=lambda _: True)
    index = SimpleNamespace(of_model=lambda _: [])
    context = cast(Any, SimpleNamespace(hub=hub, index=index))
    with pytest.raises(Garbled):
        find_model(context, "ada/new")
    hub.repo_exists = lambda _: False
    assert not find_model(context, "ada/new").is_known
