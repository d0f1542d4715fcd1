"""The contract check tests facts about a Hub: localhub confirms all of them, and a run removes what it made."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi

from localhub.contract.__main__ import main
from localhub.contract.catalogue import FACTS
from localhub.contract.plan import MOST_WEBHOOKS
from localhub.contract.registry import Fact
from localhub.contract.scratch import MISSING, SCRATCH_REPOS
from localhub.webhooks.deliveries import DeliveryPolicy
from tests.support.localhub.altered_hub import Alteration, AlteredHub
from tests.support.localhub.contract_runs import arguments, contract_world, endings, run_contract

BY_ID = {fact.id: fact for fact in FACTS}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlteredHub]:
    """A Hub for this file."""
    running = AlteredHub(tmp_path_factory.mktemp("hub"), contract_world())
    running.state.webhooks.deliveries.policy = DeliveryPolicy(first_wait=0.05)
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _nothing_stays(hub: AlteredHub) -> Iterator[None]:
    """Check that each run removes its repos and webhooks, however it ends."""
    before = repos_of(hub)
    yield
    hub.alteration = None
    assert repos_of(hub) == before
    assert hub.state.webhooks.all(hub.state.accounts.by_name("ada")) == []


def repos_of(hub: AlteredHub) -> list[str]:
    """The names of all repos."""
    return sorted(repo.full_name for repo in hub.state.repos.all())


def calls_of(hub: AlteredHub) -> list[dict[str, Any]]:
    """The calls since the last reset."""
    return list(httpx.get(f"{hub.url}/_admin/stats").json()["calls"])


def test_localhub_keeps_the_contract(hub: AlteredHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """localhub confirms every fact, and no fact makes more calls than it declares."""
    httpx.post(f"{hub.url}/_admin/stats/reset")
    status, report = run_contract(hub, tmp_path, "--exhaustive", "--namespace", "lab")
    printed = capsys.readouterr()
    assert {**endings(report, "differs"), **endings(report, "not tried")} == {}
    assert status == 0 and report["counts"] == {"confirmed": len(FACTS)} and report["left"] == []
    assert [fact["id"] for fact in report["facts"]] == list(BY_ID)
    over = {fact["id"]: fact["calls"] for fact in report["facts"] if fact["calls"] > BY_ID[fact["id"]].calls}
    assert over == {}
    created = [call for call in calls_of(hub) if call["method"] == "POST" and call["status"] == 200]
    counts = {call["route"]: call["count"] for call in created}
    assert counts["/api/repos/create"] + len({MISSING, "new", "hooksnew"}) == len(SCRATCH_REPOS)
    assert counts["/api/settings/webhooks"] == MOST_WEBHOOKS
    assert f"{len(FACTS)} confirmed · 0 differs · 0 not tried" in printed.out
    assert "hf_ada" not in printed.out + printed.err + (tmp_path / "report.json").read_text("utf-8")


def test_ids_are_unique_and_statements_are_sentences() -> None:
    """Each fact has an id of its own, and a statement that begins and ends like a sentence."""
    assert len(BY_ID) == len(FACTS) > 100
    assert [fact.id for fact in FACTS if not fact.statement.endswith(".") or fact.calls < 0] == []


def test_a_dry_run_calls_nothing(hub: AlteredHub, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run lists every fact, the greatest number of calls and what it would create, and calls nothing."""
    httpx.post(f"{hub.url}/_admin/stats/reset")
    assert main(arguments(hub, "--dry-run")) == 0
    printed = capsys.readouterr().out
    assert [fact.id for fact in FACTS if fact.id not in printed] == []
    assert "creates:" in printed and "with at most" in printed and "nothing was called" in printed
    assert {call["account"] for call in calls_of(hub)} <= {None, ""}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--namespace", "bob"], "neither the token's account nor an organisation"),
        (["--token", "hf_cleo", "--namespace", "lab"], "neither the token's account nor an organisation"),
        (["--token", "hf_nobody"], "does not say whose token this is"),
        (["--token", "hf_ada_read"], "may only read"),
        (["--other-token", "hf_ada"], "of the same account"),
        (["--other-token", "hf_cleo", "--namespace", "lab"], "a member of lab"),
        (["--other-token", "hf_nobody"], "does not accept the other token"),
        (["--endpoint", "https://hub.invalid"], "not on this machine"),
        (["--endpoint", "hub.invalid"], "no address of a Hub"),
        (["--only", "nothing.*"], "No fact has an id like nothing.*"),
        (["--listen", "8787"], "HOST:PORT"),
    ],
)
def test_refused_before_anything_is_written(
    hub: AlteredHub, words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run with wrong options ends with status 2 and a reason, before any call that writes."""
    httpx.post(f"{hub.url}/_admin/stats/reset")
    assert main(arguments(hub, *words)) == 2
    assert reason in capsys.readouterr().err
    assert {call["method"] for call in calls_of(hub)} <= {"GET", "POST"}
    assert [call for call in calls_of(hub) if call["method"] == "POST" and "_admin" not in call["route"]] == []


def test_an_interrupted_run_removes_what_it_made(
    hub: AlteredHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After Ctrl-C a run tries no further facts, prints its report and removes its repos."""

    def interrupt(answer: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return answer

    hub.alteration = Alteration("POST /api/datasets/*/comment", body=interrupt)
    status, report = run_contract(hub, tmp_path, "--only", "threads")
    assert status == 130
    assert endings(report, "confirmed") and "the run was interrupted" in str(endings(report, "not tried"))
    assert "Interrupted" in capsys.readouterr().err


def test_a_failing_run_removes_what_it_made(hub: AlteredHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in a fact ends the run with its error, after the repos were removed."""

    def broken(workspace: Any) -> None:
        workspace.contents()
        raise RuntimeError("a mistake")

    fact = Fact("broken.fact", "broken", "It is broken.", 1, broken)
    monkeypatch.setattr("localhub.contract.options.selected", lambda _: [fact])
    httpx.post(f"{hub.url}/_admin/stats/reset")
    with pytest.raises(RuntimeError, match="a mistake"):
        run_contract(hub, tmp_path)
    assert "POST /api/repos/create" in [f"{call['method']} {call['route']}" for call in calls_of(hub)]


def test_what_cannot_be_removed_is_named(hub: AlteredHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the Hub refuses a removal, the report names the repo, and `--cleanup` removes it later."""
    hub.alteration = Alteration("DELETE /api/repos/delete", status=503)
    hub.state.faults.fail("DELETE /api/repos/delete", times=2, status=503)
    status, report = run_contract(hub, tmp_path, "--only", "reading.tree")
    hub.alteration = None
    assert status == 1 and "could not be removed: 503" in report["left"][0]
    assert "--cleanup" in capsys.readouterr().err
    assert main(arguments(hub, "--cleanup")) == 0


def test_cleanup_removes_what_contract_runs_left_and_nothing_else(
    hub: AlteredHub, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--cleanup` removes repos with the full name pattern of a run, and webhooks that watch nothing else."""
    ada = HfApi(endpoint=hub.url, token="hf_ada")
    abandoned, other = "ada/steward-contract-0123abcd-contents", "ada/steward-contract-notes"
    for name in (abandoned, other):
        ada.create_repo(name, repo_type="dataset")
    ada.create_repo("ada/steward-contract-0123abcd-model", private=True)
    watched = [{"type": "dataset", "name": abandoned}]
    ours = ada.create_webhook(url="http://127.0.0.1:9/x", watched=watched, domains=["repo"])  # type: ignore[arg-type]
    watched.append({"type": "dataset", "name": other})
    mixed = ada.create_webhook(url="http://127.0.0.1:9/y", watched=watched, domains=["repo"])  # type: ignore[arg-type]
    assert main(arguments(hub, "--cleanup", "--dry-run")) == 0
    named = capsys.readouterr().out
    assert abandoned in named and "0123abcd-model" in named and ours.id in named
    assert other not in named and mixed.id not in named and abandoned in repos_of(hub)
    assert main(arguments(hub, "--cleanup")) == 0
    assert [name for name in repos_of(hub) if name.startswith("ada/")] == [other]
    assert [hook.id for hook in ada.list_webhooks()] == [mixed.id]
    ada.delete_webhook(mixed.id)
    ada.delete_repo(other, repo_type="dataset")


def test_a_rate_limit_is_waited_for(hub: AlteredHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After a 429 the run waits as long as the Hub asks, and sends the call again."""
    limited = Alteration("GET /api/users/*", status=429, headers={"Retry-After": "0"}, body=lambda _: _free(hub))
    hub.alteration = limited
    status, report = run_contract(hub, tmp_path, "--only", "accounts.user")
    assert status == 0 and list(endings(report, "confirmed")) == ["accounts.user"]
    assert "answers 429 to GET /api/users/ada/overview: waiting 0 s" in capsys.readouterr().err


def test_no_call_is_sent_while_none_is_left(
    hub: AlteredHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer that says `r=0` makes the next call wait for the end of the window, before the Hub refuses one."""
    hub.alteration = Alteration("GET /api/users/ada/*", headers={"RateLimit": '"api";r=0;t=0'})
    began = time.monotonic()
    status, _ = run_contract(hub, tmp_path, "--only", "accounts.user*")
    assert status == 0 and time.monotonic() - began >= 1
    assert "allows no more calls for now: waiting 1 s" in capsys.readouterr().err


def _free(hub: AlteredHub) -> dict[str, str]:
    hub.alteration = None
    return {"error": "Too many requests"}


def test_a_used_up_limit_of_commits_ends_a_fact(hub: AlteredHub, tmp_path: Path) -> None:
    """A fact that reaches a repo's hourly limit of commits is reported as not tried, without waiting."""
    text = "You have exceeded the rate limit for repository commits (128 per hour)."
    hub.alteration = Alteration("POST */commit/main", status=429, body=lambda _: {"error": text})
    status, report = run_contract(hub, tmp_path, "--only", "commits.answer")
    assert status == 0 and "refuses more commits" in endings(report, "not tried")["commits.answer"]["reason"]


def test_tokens_are_in_no_report(hub: AlteredHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the Hub repeats a token in an answer, the report shows `[token]` in its place."""
    hub.alteration = Alteration("GET /api/users/*", status=500, body=lambda _: {"error": "for hf_ada and hf_bob"})
    for form in ([], ["--markdown"]):
        status, report = run_contract(hub, tmp_path, "--only", "accounts.user", *form)
        printed = capsys.readouterr()
        assert status == 1 and "for [token] and [token]" in endings(report, "differs")["accounts.user"]["got"]
        assert "hf_ada" not in printed.out + printed.err and "hf_bob" not in printed.out + printed.err


@pytest.mark.parametrize(
    ("planted", "fact"),
    [
        (Alteration("GET /api/whoami-v2", body=lambda it: {**it, "type": "person"}), "accounts.whoami"),
        (Alteration("GET /api/users/*", body=lambda _: {"email": "ada@lab.invalid"}), "accounts.user"),
        (
            Alteration("GET /api/settings/webhooks", body=lambda _: [{"url": "http://ada@lab.invalid/"}]),
            "webhooks.listed",
        ),
        (
            Alteration("GET /api/settings/webhooks", body=lambda _: {"url": "http://ada@lab.invalid/"}),
            "webhooks.listed",
        ),
    ],
)
def test_a_report_says_nothing_about_the_account(
    hub: AlteredHub, tmp_path: Path, planted: Alteration, fact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A difference in an answer about the account names fields and not their values: reports go into issues."""
    hub.alteration = planted
    status, report = run_contract(hub, tmp_path, "--only", fact)
    assert status == 1 and list(endings(report, "differs")) == [fact]
    assert "ada@lab.invalid" not in capsys.readouterr().out + (tmp_path / "report.json").read_text("utf-8")


def test_without_a_second_account_its_facts_are_not_tried(hub: AlteredHub, tmp_path: Path) -> None:
    """Without `--other-token` a fact that needs a second account is not tried, and the report names the option."""
    _, report = run_contract(hub, tmp_path, "--only", "access.outsider-commit", "--other-token", "")
    assert "--other-token" in endings(report, "not tried")["access.outsider-commit"]["reason"]
