"""All routes, fuzzed from the server's own OpenAPI document: no answer is a server error."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import schemathesis
from huggingface_hub import HfApi
from schemathesis.generation import GenerationMode

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import TOKENS, accounts_world, put
from tests.support.openapi_calls import generate

ROUTES_THAT_WAIT = ("/_admin/webhooks/drain",)
MANY = pytest.mark.long("many calls of each operation")
NO_LIMITS = {"api": None, "resolvers": None, "pages": None, "commits_per_hour": None}


@dataclass
class Target:
    """A server with content, and the parts of addresses that generated calls may use."""

    hub: LocalHub
    known: dict[str, Any]
    operations: list[Any]
    statuses: Counter[int] = field(default_factory=Counter)
    calls: int = 0

    def aim(self, case: schemathesis.Case) -> None:
        """Aim three of four calls at existing objects, half of them with one random part of the address."""
        self.calls += 1
        case.headers["Authorization"] = f"Bearer {TOKENS['ada']}"
        names = [n for n in case.path_parameters if n in self.known]
        if case.method == "DELETE":
            names = [n for n in names if n != "num"]
        if self.calls % 4 == 0:
            return
        unchanged_name = names[self.calls % len(names)] if names and self.calls % 4 == 1 else None
        case.path_parameters.update({n: self.known[n] for n in names if n != unchanged_name})

    def settle(self) -> None:
        """Remove the faults and reset the limits that generated calls set over the admin API."""
        self.hub.state.faults.clear()
        self.hub.state.limits.set(**NO_LIMITS, simultaneous="wait")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server in which `ada/data` has content, a thread, a pull request and a webhook."""
    world = accounts_world().repo("dataset", "ada/data", {"a.txt": "a"}).repo("model", "ada/data", {"a.txt": "a"})
    with LocalHub(tmp_path_factory.mktemp("fuzz"), world) as hub:
        api = HfApi(endpoint=hub.url, token=TOKENS["ada"])
        put(api, "ada/data", {"b.txt": "b", "w.bin": b"\0" * 64}, create_pr=True)
        comment = api.get_discussion_details("ada/data", 1, repo_type="dataset").events[0].id
        watched = [{"type": "user", "name": "bob"}]
        webhook = api.create_webhook(url="http://127.0.0.1:9/x", watched=watched, domains=["repo"])
        parameters = {
            "kind": "datasets",
            "ns": "ada",
            "name": "data",
            "rev": "main",
            "num": 1,
            "path": "a.txt",
            "spec": "main..refs/pr/1",
            "comment_id": comment,
            "webhook_id": webhook.id,
            "status": "pending",
            "branch": "main",
            "tag": "v1",
        }
        document = schemathesis.openapi.from_dict(plain_paths(httpx.get(f"{hub.url}/openapi.json").json()))
        operations = [result.ok() for result in document.get_all_operations()]
        yield Target(hub, parameters, operations)


def plain_paths(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with fixed values for path parameters that contain a slash: `{prefix}`, `{rev}{path}`."""

    def choose(path: str) -> str:
        return path.replace("/{prefix}", "/datasets/").replace("{rev}{path}", "{rev}")

    def known(path: str, operation: dict[str, Any]) -> dict[str, Any]:
        parameters = [p for p in operation.get("parameters", []) if p["in"] != "path" or f"{{{p['name']}}}" in path]
        return {**operation, "parameters": parameters}

    paths = {
        choose(path): {method: known(choose(path), operation) for method, operation in methods.items()}
        for path, methods in document["paths"].items()
    }
    return {**document, "paths": paths}


def server_errors(operation: Any, target: Target, mode: GenerationMode, examples: int) -> list[str]:
    """Send some generated calls of one operation, and describe those that got a server error."""
    errors: list[str] = []

    def call(case: schemathesis.Case) -> None:
        target.aim(case)
        answer = case.call(base_url=target.hub.url, timeout=20)
        target.statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            errors.append(f"{case.method} {case.formatted_path} {case.body!r:.200}: {answer.text[:200]}")

    generate(operation, mode, examples, call)
    target.settle()
    return errors


@pytest.mark.parametrize(
    ("mode", "examples", "fewest"),
    [
        pytest.param(GenerationMode.NEGATIVE, 1, {400: 10}, id="negative"),
        pytest.param(GenerationMode.POSITIVE, 8, {200: 100}, id="positive", marks=MANY),
        pytest.param(GenerationMode.NEGATIVE, 4, {400: 40}, id="negative-many", marks=MANY),
    ],
)
def test_no_generated_call_is_a_server_error(
    target: Target, mode: GenerationMode, examples: int, fewest: dict[int, int]
) -> None:
    """No operation answers a generated call, valid or invalid, with a server error.

    `fewest` has the least number of answers with a status: fewer would mean that the calls miss the existing objects.
    """
    target.statuses.clear()
    assert len(target.operations) > 60
    tried = [op for op in target.operations if op.path not in ROUTES_THAT_WAIT]
    if mode is GenerationMode.NEGATIVE:  # invalid addresses take longest to generate, and only lead to 404
        tried = [op for op in tried if op.body]
    assert [e for op in tried for e in server_errors(op, target, mode, examples)] == []
    assert all(target.statuses[status] > count for status, count in fewest.items()), target.statuses
