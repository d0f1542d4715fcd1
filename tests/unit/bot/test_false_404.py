"""A single 404 may come from a server of the Hub that lags: before the bot acts on it, it asks a second time."""

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
    """The edits that are staged for a month's file of decisions, when Redis holds one decision of that month."""
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
    """If the Hub answers 404 for the month's file but still lists it, the bot does not overwrite its decisions."""
    entry = FileEntry(COMPILED, "0" * 40, 10)
    hub = {"list_files": failing(EntryNotFound("no folder", status=404))}
    with pytest.raises(Garbled):
        _decisions({**hub, "paths_info": lambda *_: {COMPILED: entry}}, monkeypatch)
    assert [edit.path for edit in _decisions({**hub, "paths_info": lambda *_: {}}, monkeypatch)] == [COMPILED]
    assert len(_decisions({**hub, "paths_info": failing(NotFound("no repo", status=404))}, monkeypatch)) == 1


def test_the_file_of_a_month_gets_the_decisions_of_later_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """The staged edit replaces an existing file, which would otherwise keep the decisions of its first day only."""
    hub = {
        "list_files": lambda *_, **__: [FileEntry(COMPILED, "0" * 40, 10)],
        "read_file": lambda *_, **__: SimpleNamespace(data=b"{}\n"),
    }
    (edit,) = _decisions(hub, monkeypatch)
    assert edit.applied_to(PresentFile("0" * 40, b"{}\n")) == b'{"new": true}\n'


def test_details_that_one_404_hides_are_named_in_the_requests() -> None:
    """If moving an existing details repo fails with a 404, a note says that it was not moved; a lost repo gets none."""
    hub = SimpleNamespace(move_repo=failing(NotFound("no repo", status=404)), repo_exists=lambda _: True)
    context = cast(Any, SimpleNamespace(hub=hub))
    (note,) = _move_details(context, lambda model: f"details/{model}", "old", "new")
    assert not note.moved
    hub.repo_exists = lambda _: False
    assert _move_details(context, lambda model: f"details/{model}", "old", "new") == ()


def test_a_front_end_is_recognised_after_one_404() -> None:
    """The form's account stays a front end after one 404; else it would count as the submitter of people's models."""
    answers: list[object] = [NotFound("no account", status=404), SimpleNamespace(id="form")]
    hub = SimpleNamespace(user=in_turn(answers))
    context = cast(Any, SimpleNamespace(hub=hub, board=SimpleNamespace(front_ends=("form",))))
    assert is_front_end(context, "form")
    answers[:] = [NotFound("no account", status=404)] * 2
    assert not is_front_end(context, "gone")
    assert answers == []


@pytest.mark.parametrize(("wrong", "is_known"), [(0, True), (1, True), (2, False)])
def test_one_404_takes_no_role_from_a_person(wrong: int, is_known: bool) -> None:
    """After one 404, a person's role, account and maintainership are still found; two 404s are believed."""
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
    for _ in range(2):  # the second time, the answers come from the cache
        assert people.role_in(cast_context, "board", person, fresh=False) == ("write" if is_known else None)
        assert people.user_id(cast_context, "mia", fresh=False) == ("1" if is_known else None)
        assert people.maintainers(cast_context) == ({"1"} if is_known else set())


def test_answers_of_a_restricted_benchmark_that_one_404_hides_are_compared() -> None:
    """The bot finds the gated details repo of a restricted benchmark after one 404; after two, it is unreadable."""
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


def test_a_table_that_one_listing_lacks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot asks again for a table that the Hub does not list, because a missing one counts against the worker."""
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
    """Published results and their outcome are found after one 404; otherwise the request would be evaluated again."""
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


def test_the_subject_of_a_flag_is_found_after_one_404(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model and card that a flag's evidence is about are found after one 404; the cause is not taken for gone."""
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
    """Adoption of an existing board records its repos and threads after one 404, so that old threads get no answers."""
    gone = NotFound("no repo", status=404)
    answers: list[object] = [gone, "0" * 40, gone, ([SimpleNamespace(num=7)], False), *[gone] * 4]
    hub = SimpleNamespace(head=in_turn(answers), threads_page=in_turn(answers))
    context = cast(Any, SimpleNamespace(hub=hub))
    assert adopting._heads(context, LOGS) == {LOGS.id: "0" * 40}
    assert adopting._highest_thread(context, LOGS) == 7
    assert adopting._heads(context, LOGS) == {}
    assert adopting._highest_thread(context, LOGS) == 0


def test_a_present_name_that_one_404_hides_is_found() -> None:
    """The present name of a renamed repo is found after one 404."""
    gone = NotFound("no repo", status=404)
    answers: list[object] = [gone, "board/new", gone, gone]
    context = cast(Any, SimpleNamespace(hub=SimpleNamespace(present_id=in_turn(answers))))
    assert called_now(context, LOGS).id == "board/new"
    assert called_now(context, LOGS) == LOGS


def test_a_cross_check_knows_contents_that_one_404_hides() -> None:
    """A cross-check reads the contents and the commit of the gated repo after one 404, and has neither after two."""
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
    """If the scores file has a 404 but is listed, an error is raised, so that no second pull request is opened."""
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


def test_a_rename_to_a_model_with_one_404_is_tried_again() -> None:
    """If the new model has a 404 but exists, its rename is tried again instead of ending as "no such model"."""
    hub = SimpleNamespace(model_facts=failing(RepoNotFound("no repo", status=404)), repo_exists=lambda _: True)
    context = cast(Any, SimpleNamespace(hub=hub))
    with pytest.raises(Garbled):
        rename_facts._facts(context, "ada/new")
    hub.repo_exists = lambda _: False
    assert rename_facts._facts(context, "ada/new") is None


def test_a_flag_on_a_model_that_one_404_hides_is_tried_again() -> None:
    """If the model has a 404 but exists, the flag is tried again instead of being refused as unknown."""
    hub = SimpleNamespace(model_facts=failing(RepoNotFound("no repo", status=404)), repo_exists=lambda _: True)
    index = SimpleNamespace(of_model=lambda _: [])
    context = cast(Any, SimpleNamespace(hub=hub, index=index))
    with pytest.raises(Garbled):
        find_model(context, "ada/new")
    hub.repo_exists = lambda _: False
    assert not find_model(context, "ada/new").is_known
