"""The contract check finds each difference planted in the answers of a Hub, by the facts that it concerns."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localhub.contract.catalogue import FACTS
from localhub.contract.workspace import WHILE_MAKING
from localhub.webhooks.deliveries import DeliveryPolicy, Sender
from localhub.webhooks.delivery_log import OutgoingDelivery
from localhub.webhooks.store import Webhook
from tests.support.localhub.altered_hub import AlteredHub, without
from tests.support.localhub.contract_runs import contract_world, endings, run_contract
from tests.support.localhub.planted_differences import DIFFERENCES, Difference
from tests.support.long import long_except

ALONE = {"accounts.whoami", "reading.tree-pages", "threads.opened", "access.outsider-pull", "spaces.secret-removed"}
"""The facts that `make test` tests alone."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlteredHub]:
    """A Hub for this file."""
    running = AlteredHub(tmp_path_factory.mktemp("hub"), contract_world())
    running.state.webhooks.deliveries.policy = DeliveryPolicy(first_wait=0.05)
    yield running
    running.close()


def differing(hub: AlteredHub, folder: Path, ids: tuple[str, ...]) -> set[str]:
    """The facts that differ, among those with these ids.

    A fact that differs because what it needs could not be made does not count.
    """
    status, report = run_contract(
        hub, folder, "--patience", "1", *(word for id in sorted(ids) for word in ("--only", id))
    )
    facts = endings(report, "differs")
    assert status == (1 if facts else 0) and report["left"] == []
    return {fact_id for fact_id, fact in facts.items() if WHILE_MAKING not in fact["got"]}


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda it: it.name.replace(" ", "-"))
def test_a_difference_is_found(hub: AlteredHub, tmp_path: Path, difference: Difference) -> None:
    """A planted difference is reported by the facts that it concerns."""
    hub.alteration = difference.planted
    try:
        assert set(difference.found_by) <= differing(hub, tmp_path, difference.found_by)
    finally:
        hub.alteration = None


Change = Callable[[Webhook, OutgoingDelivery], tuple[Webhook, OutgoingDelivery]]


def payload_changed(change: Callable[[Any], Any]) -> Change:
    """Return a change of the payload of deliveries."""
    return lambda webhook, sent: (webhook, replace(sent, payload=json.dumps(change(json.loads(sent.payload)))))


def text_shown(payload: Any) -> Any:
    """Return the payload, with the text of its comment if that is hidden."""
    comment = payload.get("comment") or {}
    return payload | ({"comment": comment | {"content": "To be hidden"}} if comment.get("hidden") else {})


DELIVERIES: dict[str, tuple[Change, str]] = {
    "another secret": (lambda webhook, sent: (replace(webhook, secret="another"), sent), "deliveries.delivery-headers"),
    "each try has its own id": (
        lambda webhook, sent: (webhook, replace(sent, delivery_id=uuid.uuid4().hex)),
        "deliveries.retried",
    ),
    "refs are not named": (payload_changed(without("updatedRefs")), "deliveries.commit-on-main"),
    "hidden text is shown": (payload_changed(text_shown), "deliveries.hidden-comment"),
    "authors have no id": (payload_changed(without("author")), "deliveries.new-comment"),
    "a rename has the new name": (
        payload_changed(
            lambda it: it | {"repo": it["repo"] | {"name": it["movedTo"]["name"]}} if "movedTo" in it else it
        ),
        "deliveries.move",
    ),
}
"""What is different in deliveries → its change, and the fact that finds it."""


@pytest.mark.parametrize("name", DELIVERIES, ids=lambda name: name.replace(" ", "-"))
def test_a_difference_of_deliveries_is_found(
    hub: AlteredHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A difference planted in webhook deliveries is reported by the fact about that part of a delivery."""
    change, found_by = DELIVERIES[name]
    post = Sender.post

    def altered(sender: Sender, webhook: Webhook, delivery: OutgoingDelivery, timeout: float) -> tuple[int, str | None]:
        return post(sender, *change(webhook, delivery), timeout)

    monkeypatch.setattr(Sender, "post", altered)
    assert found_by in differing(hub, tmp_path, (found_by,))


@pytest.mark.parametrize(
    "fact_id", long_except(ALONE, [fact.id for fact in FACTS], "a run of the contract for each fact")
)
def test_a_fact_can_be_tested_alone(hub: AlteredHub, tmp_path: Path, fact_id: str) -> None:
    """No fact needs what another one made."""
    status, report = run_contract(hub, tmp_path, "--only", fact_id, "--exhaustive")
    assert status == 0 and list(endings(report, "confirmed")) == [fact_id]


def test_each_group_has_a_planted_difference() -> None:
    """Each group of facts has a planted difference, and there are more than twenty differences."""
    ids = {fact_id for difference in DIFFERENCES for fact_id in difference.found_by} | {
        planted[1] for planted in DELIVERIES.values()
    }
    assert {fact_id.partition(".")[0] for fact_id in ids} == {fact.group for fact in FACTS}
    assert len(DIFFERENCES) + len(DELIVERIES) > 20
