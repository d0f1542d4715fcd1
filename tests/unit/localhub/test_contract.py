"""The safeguards of a contract test run on a Hub: allowed writes, budget, confirmation, and an escaped report."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from localhub.contract.__main__ import confirm
from localhub.contract.catalogue import FACTS, selected
from localhub.contract.checks import Differs, NotTried, check_date, part
from localhub.contract.client import CallBudget
from localhub.contract.guard import WriteGuard, WriteRefused
from localhub.contract.listener import WebhookListener
from localhub.contract.options import UsageError, read_options
from localhub.contract.registry import Fact
from localhub.contract.report import ContractReport
from localhub.contract.runner import FactResult
from localhub.contract.scratch import ScratchRepo, fresh_prefix, is_scratch_name

OWN = ScratchRepo("dataset", "ada/steward-contract-0123abcd-contents")
HOOKS = "/api/settings/webhooks"
DELETE = "/api/repos/delete"


@pytest.fixture
def guard() -> WriteGuard:
    """A guard that knows one repo, one webhook and one upload."""
    guard = WriteGuard("ada")
    guard.admit_repo(OWN)
    guard.webhooks["0123"] = None
    guard.admit_upload("https://storage.invalid/one?signature=x")
    return guard


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/datasets/bob/anything", None),
        ("HEAD", "/bob/anything/resolve/main/a", None),
        ("POST", f"{OWN.api}/commit/main", None),
        ("POST", f"{OWN.api}/discussions/1/comment", {"comment": "a"}),
        ("PUT", f"{OWN.api}/settings", {}),
        ("POST", f"{OWN.web}.git/info/lfs/objects/batch", {}),
        ("PUT", "https://storage.invalid/one?signature=x", None),
        ("POST", "/api/repos/create", {"organization": "ada", "name": OWN.name}),
        ("DELETE", DELETE, {"organization": "ada", "name": OWN.name}),
        ("POST", HOOKS, {"watched": [{"type": "dataset", "name": OWN.id}]}),
        ("POST", f"{HOOKS}/0123/enable", {}),
        ("DELETE", f"{HOOKS}/0123", None),
        ("POST", "/api/validate-yaml", {}),
    ],
)
def test_reads_and_writes_to_own_repos_are_allowed(guard: WriteGuard, method: str, path: str, body: object) -> None:
    """The guard allows reads, and writes to what the run created."""
    guard.check(method, path, body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/datasets/ada/requests/commit/main", None),
        ("POST", f"/api/datasets/bob/{OWN.name}/commit/main", None),
        ("POST", f"{OWN.api}-2/commit/main", None),
        ("POST", f"{OWN.api}/../requests/commit/main", None),
        ("POST", f"{OWN.web}x.git/info/lfs/objects/batch", {}),
        ("PUT", "https://storage.invalid/two", None),
        ("POST", "https://hub.invalid/api/datasets/ada/requests/commit/main", None),
        ("POST", "/api/repos/create", {"organization": "ada", "name": "requests"}),
        ("POST", "/api/repos/create", {"name": OWN.name}),
        ("DELETE", DELETE, {"organization": "bob", "name": OWN.name}),
        ("DELETE", DELETE, None),
        ("POST", "/api/repos/move", {"fromRepo": OWN.id, "toRepo": "ada/requests"}),
        ("POST", "/api/repos/move", {"fromRepo": "ada/requests", "toRepo": OWN.id}),
        ("POST", HOOKS, {"watched": [{"type": "org", "name": "ada"}]}),
        ("POST", HOOKS, {"watched": [{"type": "dataset", "name": OWN.id}, {"type": "user", "name": "ada"}]}),
        ("POST", HOOKS, {"watched": []}),
        ("POST", f"{HOOKS}/4567/disable", {}),
        ("DELETE", f"{HOOKS}/4567", None),
        ("POST", "/api/collections", {}),
        ("POST", "/api/organizations/ada/members", {}),
    ],
)
def test_other_writes_are_refused(guard: WriteGuard, method: str, path: str, body: object) -> None:
    """The guard refuses every other write, for any account."""
    with pytest.raises(WriteRefused):
        guard.check(method, path, body)


@pytest.mark.parametrize(
    "repo_id", ["ada/requests", "bob/steward-contract-0123abcd-contents", "ada/steward-contract-0123abcd-a/b", "ada"]
)
def test_only_scratch_names_of_the_namespace_are_admitted(repo_id: str) -> None:
    """A repo with another name, or in another namespace, can never be written to."""
    with pytest.raises(WriteRefused):
        WriteGuard("ada").admit_repo(ScratchRepo("dataset", repo_id))


def test_each_run_has_names_of_its_own() -> None:
    """Two runs have different prefixes, and both are recognised."""
    first, second = fresh_prefix(), fresh_prefix()
    assert first != second and is_scratch_name(f"{first}contents") and not is_scratch_name(first)


def test_the_budget_ends_a_run() -> None:
    """After the budget's last call, the next call raises an error."""
    budget = CallBudget(2)
    budget.take()
    budget.take()
    with pytest.raises(NotTried, match="all 2 calls"):
        budget.take()


def test_a_missing_part_is_a_difference() -> None:
    """A missing field is reported with the fields that exist, without values; an invalid date is reported as well."""
    with pytest.raises(Differs, match=r"a field repo\.id, got no repo\.id in an object of name, owner$"):
        part({"repo": {"name": "a", "owner": "b"}}, "repo", "id")
    with pytest.raises(Differs, match=r"no repo\.id in a text of 6 characters$"):
        part({"repo": "secret"}, "repo", "id")
    for value in (None, 5, "yesterday"):
        with pytest.raises(Differs, match="createdAt"):
            check_date("createdAt", value)


def test_facts_are_selected_by_id_group_and_pattern() -> None:
    """`--only` takes ids, groups and patterns."""
    assert [fact.id for fact in selected(["accounts.user"])] == ["accounts.user"]
    assert {fact.group for fact in selected(["pulls", "git.*"])} == {"pulls", "git"}
    assert selected([]) == list(FACTS)


def test_an_answer_cannot_form_the_markdown_of_a_report() -> None:
    """The report escapes the Hub's answers, so that they form no column, tag or mention, and hides the token."""
    fact = Fact("a.b", "a", "A statement.", 1, lambda _: None)
    result = FactResult(fact, "differs", expected="1", got="a | b <img src=x> @ada hf_ada\\")
    report = ContractReport("https://hub.invalid", [result], 1, 0.1, "now", secrets=("hf_ada",))
    row = report.as_markdown().splitlines()[-1]
    assert row.endswith("| a \\| b &lt;img src=x> @\u200bada [token]\\\\ |")


@pytest.mark.parametrize(
    ("endpoint", "options_given", "answer", "is_asked"),
    [
        ("http://127.0.0.1:7870", [], "", False),
        ("http://localhost:7870", [], "", False),
        ("https://hub.invalid", ["--yes"], "", False),
        ("https://hub.invalid", [], "yes", True),
        ("https://hub.invalid", [], "y", True),
        ("http://localhost.hub.invalid", [], "no", True),
    ],
)
def test_a_run_on_another_machine_is_asked_for(
    endpoint: str, options_given: list[str], answer: str, is_asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run on a Hub of another machine starts only after the answer "yes", or with `--yes`."""
    questions: list[str] = []
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or answer)
    options = read_options(["--endpoint", endpoint, "--namespace", "ada", *options_given], {"HF_TOKEN": "hf_ada"})
    if is_asked and answer != "yes":
        with pytest.raises(UsageError, match="Nothing was called"):
            confirm(options)
    else:
        confirm(options)
    assert bool(questions) == is_asked and "hf_ada" not in f"{questions}{options}"


def test_a_wait_is_short_after_silence() -> None:
    """If nothing arrived in one wait, the next wait is short, because the Hub probably cannot reach this machine."""
    listener = WebhookListener()
    try:
        assert listener.wait("/a", bool, 0.05) == []
        began = time.monotonic()
        assert listener.wait("/a", bool, 60) == [] and time.monotonic() - began < 30
    finally:
        listener.close()


def test_the_document_answers_each_open_question_by_a_fact(project: Path) -> None:
    """The table "Where the Hub says nothing" has the id of the fact for each choice of localhub, and no other."""
    text = (project / "docs" / "localhub.md").read_text("utf-8")
    table = text.partition("### Where the Hub says nothing")[2].partition("\n## ")[0]
    groups = {fact.id.partition(".")[0] for fact in FACTS}
    linked = {word for word in re.findall(r"`([a-z]+\.[a-z-]+)`", table) if word.partition(".")[0] in groups}
    assert linked == {fact.id for fact in FACTS if fact.is_choice}
