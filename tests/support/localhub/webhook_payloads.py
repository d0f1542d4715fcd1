"""A repo with a webhook to the listener, and payloads as the table of events describes them."""

from dataclasses import dataclass, field
from typing import Any

import httpx
from huggingface_hub import HfApi

from tests.support.localhub.hub_accounts import Listener, Received, drain


@dataclass
class Watched:
    """A repo of Ada's with a webhook to the listener."""

    repo_id: str
    path: str
    http: httpx.Client
    listener: Listener
    raw: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.raw = self.http.get(f"/api/datasets/{self.repo_id}").json()

    def deliveries(self) -> list[Received]:
        """All deliveries since the last call, once none is pending."""
        drain(self.http)
        everything = self.listener.at(self.path)
        self._seen, before = len(everything), getattr(self, "_seen", 0)
        return everything[before:]

    def payloads(self) -> dict[tuple[str, str], Any]:
        """The payloads since the last call by (scope, action); two of a kind are an error."""
        payloads = [item.payload for item in self.deliveries()]
        by_event = {(p["event"]["scope"], p["event"]["action"]): p for p in payloads}
        assert len(by_event) == len(payloads), [p["event"] for p in payloads]
        return by_event

    def only(self, scope: str, action: str) -> Any:
        """The one payload since the last call."""
        payloads = self.payloads()
        assert list(payloads) == [(scope, action)]
        return payloads[scope, action]

    def repo(self, **more: Any) -> dict[str, Any]:
        """The `repo` object as the table describes it, without headSha."""
        base = str(self.http.base_url).rstrip("/")
        return {
            "type": "dataset",
            "name": self.repo_id,
            "id": self.raw["_id"],
            "private": False,
            "url": {
                "web": f"{base}/datasets/{self.repo_id}",
                "api": f"{base}/api/datasets/{self.repo_id}",
            },
            "owner": {"id": self.http.get("/api/whoami-v2").json()["id"]},
            **more,
        }

    def thread(self, num: int) -> dict[str, Any]:
        """The raw detail of a thread."""
        return dict(self.http.get(f"/api/datasets/{self.repo_id}/discussions/{num}").json())

    def discussion(self, num: int, status: str, author: str, **more: Any) -> dict[str, Any]:
        """The `discussion` object as the table describes it, without `changes` and `pinned`."""
        base = str(self.http.base_url).rstrip("/")
        thread = self.thread(num)
        return {
            "id": thread["_id"],
            "num": num,
            "title": thread["title"],
            "url": {
                "web": f"{base}/datasets/{self.repo_id}/discussions/{num}",
                "api": f"{base}/api/datasets/{self.repo_id}/discussions/{num}",
            },
            "status": status,
            "author": {"id": author},
            "isPullRequest": thread["isPullRequest"],
            **more,
        }

    def comment(self, num: int, index: int, author: str) -> dict[str, Any]:
        """The `comment` object for the comment that is event number `index` of a thread."""
        event = self.thread(num)["events"][index]
        base = str(self.http.base_url).rstrip("/")
        return {
            "id": event["id"],
            "author": {"id": author},
            "content": event["data"]["latest"]["raw"],
            "hidden": False,
            "url": {"web": f"{base}/datasets/{self.repo_id}/discussions/{num}#{event['id']}"},
        }


def without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    """A dict without some optional keys."""
    return {key: value for key, value in item.items() if key not in names}


def check_webhook(payload: dict[str, Any], ada: HfApi) -> None:
    """Check that `webhook` has the id of one of the owner's webhooks, and version 3."""
    assert payload["webhook"]["version"] == 3 and set(payload["webhook"]) == {"id", "version"}
    assert payload["webhook"]["id"] in [w.id for w in ada.list_webhooks()]


def check_discussion(got: dict[str, Any], expected: dict[str, Any]) -> None:
    """Check that `got` equals `expected`, apart from the optional `pinned`."""
    assert without(got, "pinned") == expected
