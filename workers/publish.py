"""Publication: everything of one attempt, in one commit to the model's details repo, at most once.

The commit names its parent, so that nothing is written over what somebody else committed meanwhile; before it, the
repo is searched for the outcome file of the same attempt, so that a commit whose answer was lost is recognised.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from leaderboard.attempts import Details
from leaderboard.suites import Suite
from workers.access import HubAccess
from workers.plans import RunPlan


@dataclass(frozen=True)
class Publication:
    """What is published of one attempt, beside the files in the spool of `plan`.

    `repo` is the details dataset (`board.repos.details(model)`), `request` the path of the request file, `precision`
    the request's word. `revisions` is what `fetch_datasets` found: dataset repo → commit. `log` is the child's log:
    scrubbed and bounded here. Times are seconds since the epoch.
    """

    repo: str
    plan: RunPlan
    suite: Suite
    request: str
    precision: str
    started: float
    ended: float
    revisions: dict[str, str]
    log: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    hardware: str = ""
    secrets: tuple[str, ...] = ()


def publish(publication: Publication, hub: HubAccess) -> Details:
    """Commit it and say where. Raises EvaluationFailed where the child left nothing that can be published, and
    PublicationFailed where the Hub would not take it."""
    raise NotImplementedError
