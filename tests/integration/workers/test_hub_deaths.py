"""Failures of downloads and publications, raised by the real client against a real server, and their diagnoses."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi

from leaderboard.evaluators import Evaluator
from leaderboard.failures import diagnose
from leaderboard.suites import Suite
from localhub.testing import LocalHub
from tests.support.hub.lies import LIES
from tests.support.long import long_except
from tests.support.workers.evaluation_inputs import (
    MODEL,
    QUESTIONS,
    STARTER,
    WORLD,
    access,
    publication,
    upload,
    write_spool,
)
from tests.support.workers.recorded_failures import record
from workers.common.diagnosis import evidence_of
from workers.common.hub_access import HubAccess
from workers.models.downloads import fetch_datasets, fetch_model
from workers.models.fetch_questions import failure_of_hub
from workers.publication.publish import publish
from workers.starter import dataset_files

WHOLE_QUESTIONS = "ada/questions"
EVALUATOR = Evaluator(name="another", version="1", command=("another",))
FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000, "tokenizer.json": b"{}"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """One Hub for all tests."""
    with LocalHub(tmp_path_factory.mktemp("deaths") / "hub", WORLD) as running:
        upload(running, MODEL, FILES)
        upload(running, QUESTIONS, {"README.md": b"# questions"}, "dataset")
        upload(running, WHOLE_QUESTIONS, dataset_files(), "dataset")
        yield running


@pytest.fixture(autouse=True)
def no_fault_stays(hub: LocalHub) -> Iterator[None]:
    """Removes a test's faults after it."""
    yield
    hub.state.faults.clear()


@pytest.fixture
def fetch(hub: LocalHub, tmp_path: Path) -> Callable[[], object]:
    """Downloads the model that exists."""
    revision = HfApi(hub.url, "hf_ada").model_info(MODEL).sha or ""
    return lambda: fetch_model(MODEL, revision, access(hub), tmp_path / "models")


def died(how: str, cause: str, call: Callable[[], object], phase: str = "download") -> None:
    """Call `call`, and check the diagnosed cause of its error."""
    with pytest.raises(Exception) as raised:  # any error: its diagnosis is what is tested
        call()
    evidence = evidence_of(raised.value, phase)
    record(how, cause, evidence)
    assert diagnose(evidence).code == cause, evidence


INFO = "GET /api/models/*"
LIST = "GET /api/datasets/*"


@pytest.mark.parametrize(("status", "cause"), [(500, "hub-error"), (503, "hub-error"), (429, "hub-rate-limit")])
def test_an_error_of_the_hub_is_the_hubs(hub: LocalHub, fetch: Callable[[], object], status: int, cause: str) -> None:
    """A server error or a rate limit is diagnosed as the Hub's fault."""
    hub.state.faults.fail(INFO, status=status, times=None)
    died(f"a Hub that answers {status}", cause, fetch)


@pytest.mark.parametrize("route", [INFO, "*/resolve/*/config.json"])
@pytest.mark.parametrize("lie", ["page", "missing", "circle"])
def test_a_wrong_answer_in_place_of_a_model_is_a_network_failure(
    hub: LocalHub, fetch: Callable[[], object], route: str, lie: str
) -> None:
    """An HTML page, a false 404 or circular redirects instead of a model are a network failure; a later try works."""
    hub.state.faults.add(route, **LIES[lie], times=None)
    died(f"a Hub that answers {route} with: {lie}", "network", fetch)
    hub.state.faults.clear()
    fetch()


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_file_of_other_bytes_than_the_hub_lists_is_the_hubs(
    hub: LocalHub, fetch: Callable[[], object], content: str
) -> None:
    """A file with other bytes than the Hub lists is diagnosed as a damaged download; a later try works."""
    api = HfApi(hub.url, "hf_ada")
    info = api.model_info(MODEL, files_metadata=True)
    (blob,) = [file.blob_id for file in info.siblings or () if file.rfilename == "config.json"]
    headers = {"X-Repo-Commit": info.sha or "", "ETag": f'"{blob}"', "Content-Type": "application/json"}
    hub.state.faults.fail("*/resolve/*/config.json", status=200, error=content, headers=headers, times=None)
    died(f"a config.json that came as {content!r}", "download-damaged", fetch)
    hub.state.faults.clear()
    fetch()


def test_a_token_that_is_not_accepted_is_ours(hub: LocalHub, tmp_path: Path) -> None:
    """A revoked worker token is the operator's fault, not the model's."""
    revision = HfApi(hub.url, "hf_ada").model_info(MODEL).sha or ""
    wrong = HubAccess(hub.url, "hf_revoked_long_ago")
    died("a worker with a revoked token", "hub-access", lambda: fetch_model(MODEL, revision, wrong, tmp_path))


def test_a_hub_that_is_not_there_is_the_network(tmp_path: Path) -> None:
    """An address without a server is a network failure."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        unreachable = HubAccess(f"http://127.0.0.1:{unused.getsockname()[1]}", "hf_worker")
        died("a Hub without a server", "network", lambda: fetch_model(MODEL, "0" * 40, unreachable, tmp_path))


def test_a_connection_that_breaks_is_the_network(hub: LocalHub, fetch: Callable[[], object]) -> None:
    """A connection that breaks in the middle of an answer is a network failure."""
    hub.state.faults.add(INFO, "cut", times=None)
    died("a connection that breaks off", "network", fetch)


@pytest.mark.parametrize(
    ("evaluator", "route", "status", "cause"),
    long_except(
        {"harness */resolve/*/README.md", "evaluator GET /api/datasets/*/tree/*"},
        [
            (None, "*/resolve/*/README.md", 503, "network"),
            (None, "*/resolve/*/data/*", 429, "hub-rate-limit"),
            (None, "GET /api/datasets/*/revision/*", 429, "hub-rate-limit"),
            (None, "GET /api/datasets/*/tree/*", 429, "hub-rate-limit"),
            (EVALUATOR, "*/resolve/*/data/*", 503, "network"),
            (EVALUATOR, "GET /api/datasets/*/tree/*", 429, "hub-rate-limit"),
        ],
        "another call of the same download, six seconds each",
        name=lambda case: f"{'evaluator' if case[0] else 'harness'} {case[1]}",
    ),
)
def test_a_hub_that_fails_while_it_sends_questions_is_the_hubs(
    hub: LocalHub, tmp_path: Path, evaluator: Evaluator | None, route: str, status: int, cause: str
) -> None:
    """If the Hub fails while questions are downloaded, the cause is the Hub or the network, not missing questions."""
    suite = with_whole_questions(hub, evaluator)
    hub.state.faults.fail(route, status=status, headers={"Retry-After": "0"}, times=None)
    reader = "an evaluator's" if evaluator else "the harness's"
    died(
        f"{reader} questions, for which {route} is answered with {status}",
        cause,
        partial(fetch_datasets, suite, access(hub), tmp_path),
    )


def test_a_broken_connection_behind_a_missing_file_is_the_network() -> None:
    """If a library reports a missing file because a connection failed, the worker reports the failed connection."""
    error = FileNotFoundError("Couldn't find any data file")
    assert failure_of_hub(error, ()) is None
    error.__cause__ = httpx2.ConnectError("Connection refused")
    assert failure_of_hub(error, ()) == "ConnectError: Connection refused"
    answers = [httpx2.Response(404, request=httpx2.Request("HEAD", "https://huggingface.co/datasets/a/b/resolve/c/d"))]
    assert failure_of_hub(FileNotFoundError("d"), answers) is None


def with_whole_questions(hub: LocalHub, evaluator: Evaluator | None) -> Suite:
    """The starter suite with this evaluator, and with one config of questions at a commit of WHOLE_QUESTIONS."""
    revision = HfApi(hub.url, "hf_ada").dataset_info(WHOLE_QUESTIONS).sha
    changes = {"repo": WHOLE_QUESTIONS, "revision": revision, "content": None, "configs": ("navigation",)}
    source = STARTER.datasets[0].model_copy(update=changes)
    return STARTER.model_copy(update={"datasets": (source,), "evaluator": evaluator})


def test_questions_that_are_gone_are_ours(hub: LocalHub, tmp_path: Path) -> None:
    """A missing dataset is the board's fault."""
    source = STARTER.datasets[0].model_copy(update={"repo": "ada/no-questions"})
    suite = STARTER.model_copy(update={"datasets": (source,)})
    died("a suite whose dataset is gone", "dataset-unavailable", lambda: fetch_datasets(suite, access(hub), tmp_path))


def test_questions_that_were_changed_are_ours(hub: LocalHub, tmp_path: Path) -> None:
    """A dataset that differs from the suite's digest is the board's fault."""
    died("a suite whose dataset was changed", "dataset-changed", lambda: fetch_datasets(STARTER, access(hub), tmp_path))


def test_details_that_may_not_be_written_are_ours(hub: LocalHub, tmp_path: Path) -> None:
    """A token without write access to the details namespace is the operator's fault."""
    write_spool(tmp_path)
    elsewhere = publication(tmp_path, repo="elsewhere/details")
    died("a worker that may not publish", "publication-refused", lambda: publish(elsewhere, access(hub)), "publish")


def test_an_evaluation_that_left_nothing_is_said_to_have(hub: LocalHub, tmp_path: Path) -> None:
    """A child that ends without results is diagnosed with the cause `no-results`."""
    died("a spool without results", "no-results", lambda: publish(publication(tmp_path), access(hub)), "publish")
