"""The page `/metrics` of a running board, and the alerts and the dashboard that read it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import ResponseError
from starlette.testclient import TestClient

from bot.web.metrics import metric_routes
from leaderboard.attempts import Failure
from redis_state.keys import Keys
from redis_state.meters import Meters
from steward.testing.board import BoardDriver


def figures(stand: BoardDriver) -> dict[tuple[str, ...], float]:
    """The values on the page as Prometheus reads them, by name and label values."""
    app = FastAPI()
    app.include_router(metric_routes(stand.context))
    with TestClient(app) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_metrics_count_a_running_and_an_ended_attempt(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    """The metrics count syncs, commits, requests and workers of a running attempt, and the cause of its failure.

    They do so also if the queue server does not report its memory. The metric that KEDA reads has no label.
    """
    scaling = yaml.safe_load((project / "deploy" / "kubernetes" / "scaling.yaml").read_text())
    figure = scaling["spec"]["triggers"][0]["metadata"]["valueLocation"]
    job = stand.started()
    stand.context.meters.flush()
    running = figures(stand)
    assert running["steward_running",] == running[figure,] == 1
    assert running["steward_workers", "idle"] == 1
    assert running["steward_requests", "RUNNING"] == 1
    assert running["steward_syncs_total", "done", "request"] >= 1
    assert running["steward_commits_hour", "board/requests"] >= 1
    assert running["steward_parked_syncs",] == 0
    assert running["steward_redis_memory_bytes",] > 0
    stand.end(job, failure=Failure(cause="weights-nan", fault="submission", message="NaN", advice=""))
    stand.loop._measured()
    ended = figures(stand)
    assert ended["steward_attempts_ended_total", "weights-nan"] == 1
    assert ended["steward_requests", "FAILED"] == 1
    assert ended["steward_running",] == ended[figure,] == 0
    monkeypatch.setattr(stand.context.redis, "info", refused)
    assert figures(stand).keys() == ended.keys() - {
        ("steward_redis_memory_bytes",),
        ("steward_redis_memory_limit_bytes",),
    }


def refused(_section: str) -> dict[str, object]:
    """Raise the error of a queue server that refuses `INFO`."""
    raise ResponseError("this user has no permissions to run the 'info' command")


def test_counters_add_up_over_processes_and_keep_what_was_counted_at_once(stand: BoardDriver) -> None:
    """Counts of two processes add up, none is written twice, and a gauge has its last value."""
    first, other = (Meters(stand.context.redis, Keys("meters")) for _ in range(2))
    first.count("syncs", "request", "done", by=2)
    other.count("syncs", "request", "done")
    first.gauge("hub_calls_left", "api", value=7)
    for meters in (first, other, first):
        meters.flush()
    assert dict(first.all()) == {("syncs", "request", "done"): 3.0, ("hub_calls_left", "api"): 7.0}


@pytest.mark.parametrize("file", ["deploy/prometheus/alerts.yaml", "deploy/grafana/steward.json"])
def test_alerts_and_dashboard_read_figures_that_exist(stand: BoardDriver, project: Path, file: str) -> None:
    """Each metric in the expressions of the alerts and the dashboard is on the page."""
    app = FastAPI()
    app.include_router(metric_routes(stand.context))
    with TestClient(app) as client:
        families = {f"{family.name}" for family in text_string_to_metric_families(client.get("/metrics").text)}
    text = (project / file).read_text("utf-8")
    parsed = json.loads(text) if file.endswith("json") else yaml.safe_load(text)
    expressions = re.findall(r"'expr': (?:'([^']*)'|\"([^\"]*)\")", str(parsed))
    names = {name for pair in expressions for name in re.findall(r"steward_\w+", "".join(pair))}
    assert len(names) > 5
    assert {name.removesuffix("_total") for name in names} <= families
