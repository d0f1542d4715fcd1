"""A leaderboard backend that polls: the algorithm of the usual template, reimplemented with a real client.

One pass downloads both repos completely; every RUNNING request with results becomes FINISHED, every other one FAILED;
the oldest PENDING request becomes RUNNING, is evaluated, and its results are uploaded. Each of these is a commit, and
only the next pass sets FINISHED.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download


@dataclass(frozen=True)
class Polling:
    """A backend for the datasets `requests` and `results`, with local copies in `folder`."""

    endpoint: str
    token: str
    requests: str
    results: str
    folder: Path
    failing: frozenset[str]
    """Paths of requests whose evaluation has no results."""

    def run(self) -> int:
        """Run passes until no request waits or runs, and return their number."""
        passes = 0
        while self._pass():
            passes += 1
        return passes

    def _pass(self) -> bool:
        """Run one pass and return whether there was work."""
        for repo in (self.requests, self.results):
            snapshot_download(
                repo,
                repo_type="dataset",
                revision="main",
                local_dir=self.folder / repo,
                endpoint=self.endpoint,
                token=self.token,
                max_workers=4,
            )
        fields_by_path = {
            path: json.loads(path.read_text()) for path in self._files(self.requests, "*_eval_request_*.json")
        }
        for path, fields in fields_by_path.items():
            if fields["status"] == "RUNNING":
                self._set(path, fields, "FINISHED" if self._has_results(path) else "FAILED")
        waiting = sorted(
            (fields["submitted_time"], str(path)) for path, fields in fields_by_path.items() if _waits(fields)
        )
        if waiting:
            self._evaluate(Path(waiting[0][1]), fields_by_path[Path(waiting[0][1])])
        return bool(waiting) or any(fields["status"] == "RUNNING" for fields in fields_by_path.values())

    def _evaluate(self, path: Path, fields: dict[str, Any]) -> None:
        self._set(path, fields, "RUNNING")
        name = str(path.relative_to(self.folder / self.requests))
        if name in self.failing:
            return
        where = f"{name.removesuffix('.json')}/results_1.json"
        HfApi(self.endpoint, token=self.token).upload_file(
            path_or_fileobj=b"{}", path_in_repo=where, repo_id=self.results, repo_type="dataset"
        )

    def _set(self, path: Path, fields: dict[str, Any], status: str) -> None:
        path.write_text(json.dumps({**fields, "status": status}))
        name = str(path.relative_to(self.folder / self.requests))
        HfApi(self.endpoint, token=self.token).upload_file(
            path_or_fileobj=path, path_in_repo=name, repo_id=self.requests, repo_type="dataset"
        )

    def _has_results(self, path: Path) -> bool:
        name = str(path.relative_to(self.folder / self.requests)).removesuffix(".json")
        return any((self.folder / self.results / name).glob("results*.json"))

    def _files(self, repo: str, pattern: str) -> list[Path]:
        return [path for path in (self.folder / repo).rglob(pattern) if ".cache" not in path.parts]


def _waits(fields: dict[str, Any]) -> bool:
    return bool(fields["status"] == "PENDING")
