"""Observes each board on the Hub: every status of every request file, scores, and commits, with their times."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from localhub.repos.events import HubEvent
from localhub.repos.records import Repo
from simulations.peers.environment import Environment

MAIN = "refs/heads/main"
HOUR = 3600.0
ENDS = ("FINISHED", "FAILED")


@dataclass
class BoardObservations:
    """The observations of one board."""

    statuses: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    """The statuses of each request file with their times, by path."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The last contents of each request file, by path."""
    scores: dict[str, float] = field(default_factory=dict)
    """The time of the first scores in the results repo that name the request, by path."""
    commits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def status(self, path: str) -> str:
        """Return the last status of a request; empty if it was never submitted."""
        return self.statuses[path][-1][1] if path in self.statuses else ""

    def ended(self, path: str) -> float | None:
        """Return the time since which a request file has its final status; None if that is no end."""
        history = self.statuses.get(path, [])
        if not history or history[-1][1] not in ENDS:
            return None
        return next(
            at for number, (at, _) in enumerate(history) if {s for _, s in history[number:]} == {history[-1][1]}
        )

    @property
    def busiest_hour(self) -> int:
        """Return the most commits that any repo had within an hour."""
        return max(
            (sum(at - HOUR < t <= at for t in times) for times in self.commits.values() for at in times), default=0
        )


class HubObserver:
    """Observes every commit to the boards without calls to the Hub."""

    def __init__(self, environment: Environment, boards: list[str]) -> None:
        self.environment = environment
        self.observed = {board: BoardObservations() for board in boards}
        environment.hub.state.subscribe(self._look)

    def _look(self, event: HubEvent) -> None:
        org, _, name = event.repo.full_name.partition("/")
        observed = self.observed.get(org.removesuffix("-details"))
        if observed is None or event.kind != "repo.content":
            return
        for change in event.updated_refs:
            if change.ref == MAIN and change.new is not None:
                observed.commits[event.repo.full_name].append(self.environment.now)
                for path in self._changed(event.repo, change.old, change.new):
                    self._note(observed, name, path, event.repo.git.file(change.new, path))

    def _changed(self, repo: Repo, old: str | None, new: str) -> list[str]:
        return [change.path for change in repo.git.changed_paths(old, new) if change.path.endswith(".json")]

    def _note(self, observed: BoardObservations, name: str, path: str, data: bytes | None) -> None:
        if data is None:
            return
        fields, history = json.loads(data), observed.statuses
        if name == "requests" and path in self.environment.by_path:
            observed.files[path] = fields
            if not history[path] or history[path][-1][1] != fields["status"]:
                history[path].append((self.environment.now, fields["status"]))
        elif name == "results" and (request := fields.get("steward", {}).get("request")):
            observed.scores.setdefault(request, self.environment.now)
