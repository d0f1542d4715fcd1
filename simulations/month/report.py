"""The report at the end of a month: figures and findings."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from huggingface_hub import HfApi

from bot.core.context import BoardContext
from leaderboard.backends import BackendRun
from leaderboard.request_paths import is_request_path
from leaderboard.times import read_time
from simulations.month import inspection
from simulations.month.event_loop import EventLoop
from simulations.month.faults import Troubles
from simulations.month.hub_setup import CONTENTS, FLAGS, LOGS, REQUESTS, RESULTS
from simulations.month.processes import EYES, MonthProcesses
from simulations.month.resource_monitor import Watch, most_within, total
from simulations.month.scripted_scores import score_of
from simulations.month.statistics_table import per, spread
from simulations.month.user_actions import People

CALLS, FILES, COMMITS, TRIGGERS = 1_000, 5_000, 128, 1_000
"""The Hub's limits: API calls and files in five minutes, commits to a repo in an hour, deliveries a day."""
GROWTH = 1.25
"""Maximal growth of a process's memory that still counts as flat."""


def look(
    town: MonthProcesses, people: People, troubles: Troubles, stage: EventLoop, watch: Watch, busy: tuple[int, int]
) -> dict[str, Any]:
    """Return all figures; the last is `findings`, which maps kinds to places and is empty if all is well."""
    stats = town.admin("GET", "stats")
    town.admin("PUT", "limits", dict.fromkeys(("api", "resolvers", "pages", "anonymous_api", "anonymous_pages")))
    context = people.context
    seen = inspection.read_threads(context)
    entries = [entry for entry in context.index.find(sorted(context.index.paths())) if entry is not None]
    commits = {name: history(town, name) for name in (REQUESTS, RESULTS, LOGS, FLAGS, CONTENTS)}
    comments = sum(1 for one in seen for comment in one.thread.comments if comment.author_name == inspection.BOT)
    ours = [one for one in stats["calls"] if one["account"] == "bot"]
    calls, requests = sum(one["count"] for one in ours), len(people.expected)
    files = results_files(context)
    blocks = [file["steward"] for file in files]
    waits, results = times(context, blocks)
    found = {
        "requests": len(entries),
        "submitted": requests,
        "threads": len(seen),
        "evaluated": len(results),
        "resumed": sum(1 for block in blocks if block.get("replayed")),
        "answers_compared": Counter(
            again["status"] for block in blocks if (again := (block.get("checked") or {}).get("again"))
        ),
        "backend_runs": backend_runs(context),
        "scores_on_model_pages": sum(len(pulls) for pulls in people.own_page_pulls().values()),
        "trials": sum(1 for one in seen for comment in one.thread.comments if comment.text.startswith("/try ")),
        "wait_to_start_seconds": spread(waits),
        "wait_to_result_seconds": spread(results),
        "answer_seconds": spread(inspection.answer_seconds(seen)),
        "calls": {"in_all": calls, "per_request": per(calls, requests), "most_in_5_minutes": busy[0]},
        "calls_by_route": by_route(ours),
        "files": {"most_in_5_minutes": busy[1]},
        "commits": {name: len(times) for name, times in commits.items()}
        | {"per_request": per(sum(map(len, commits.values())), requests)},
        "most_commits_in_an_hour": {
            name: most_within(list(zip(t, range(len(t)), strict=True)), 3600) for name, t in commits.items()
        },
        "comments": {"by_the_bot": comments, "per_request": per(comments, requests)},
        "deliveries": total(stats["deliveries"]) | {"most_in_24_hours": watch.most_triggers()},
        "cpu_seconds": watch.cpu(),
        "memory_mib": {
            name: {"early": g[0], "late": g[1], "most": lives.most}
            for name, lives in sorted(watch.lives.items())
            for g in [lives.growth()]
        },
        "processes_started": town.started,
        "troubles": troubles.history + troubles.events,
    }
    wrong = findings(town, people, stage, watch, seen, entries, found, ours, files)
    return found | {"findings": wrong}


def findings(
    town: MonthProcesses,
    people: People,
    stage: EventLoop,
    watch: Watch,
    seen: Any,
    entries: Any,
    found: Any,
    ours: Any,
    files: list[dict[str, Any]],
) -> dict[str, list[str]]:
    """Return the findings by kind."""
    wrong = inspection.Findings()
    fates = {one.model: one.fate for one in people.script.submissions}
    by_path, hub, requests = {e.path: e for e in entries}, people.context.hub, people.context.requests
    there = {file.path: file.oid for file in hub.list_files(requests) if is_request_path(file.path)}
    wrong.add("the script stumbled", stage.trouble)
    wrong.add("no answer", inspection.unanswered(seen, inspection.waiting(people.context)))
    wrong.add("no reply", inspection.without_reply(seen))
    wrong.add("said twice", inspection.doubled(seen))
    wrong.add("reply not finished", inspection.unfinished(seen))
    wrong.add("no end", inspection.unended(entries))
    wrong.add("no reason", inspection.silent(entries))
    wrong.add("another end", inspection.unexpected(by_path, people.expected, fates))
    wrong.add("not heard of", inspection.unheard(there, by_path))
    wrong.add("told otherwise", inspection.mistold(seen, by_path))
    wrong.add("published twice", inspection.twice(file["steward"]["attempt"] for file in files))
    wrong.add("another score", inspection.scored_otherwise(files, {model: score_of(model) for model in fates}))
    if people.context.suite.evaluator is None:  # answers of other evaluators are not compared
        wrong.add("not confirmed", inspection.unconfirmed(files))
    wrong.add("asked twice for a page", inspection.several_pages(people.own_page_pulls()))
    wrong.add("still runs", (f"{run.id} for {run.attempt}" for run in live_runs(people.context)))
    wrong.add("stumbled", inspection.stumbles(logs(town)))
    wrong.add("refused by a limit", (f"{o['method']} {o['route']}: {o['count']}" for o in ours if o["status"] == 429))
    wrong.add("beyond a limit", beyond(found, watch))
    wrong.add("grows", grown(watch))
    wrong.add("parked", (f"{one.key}: {one.error}" for one in people.context.parking.all()))
    agreed = town.steward("doctor", "--consistency", "--json")
    try:
        checks = json.loads(agreed.stdout)["checks"]
        wrong.add("inconsistent", (check["words"] for check in checks if check["state"] != "ok"))
    except ValueError:
        wrong.add("inconsistent", [f"doctor said: {agreed.stdout[-300:]} {agreed.stderr[-300:]}"])
    return {kind: where for kind, where in wrong.found.items() if where}


def beyond(found: dict[str, Any], watch: Watch) -> list[str]:
    """Return where the bot exceeded the Hub's limits."""
    wrong = [
        f"{count} commits an hour in {name}"
        for name, count in found["most_commits_in_an_hour"].items()
        if count > COMMITS
    ]
    if found["calls"]["most_in_5_minutes"] > CALLS:
        wrong.append(f"{found['calls']['most_in_5_minutes']} calls in five minutes")
    if found["files"]["most_in_5_minutes"] > FILES:
        wrong.append(f"{found['files']['most_in_5_minutes']} files in five minutes")
    if found["deliveries"].get("over-quota"):
        when = ", ".join(f"{count} by {datetime.fromtimestamp(at, UTC):%m-%d %H:%M}" for at, count in watch.beyond)
        wrong.append(f"{found['deliveries']['over-quota']} deliveries beyond the quota: {when}")
    return wrong


def grown(watch: Watch) -> list[str]:
    """Return processes of Steward with growing memory."""
    return [
        f"{name}: {early} MiB early, {late} MiB late"
        for name in watch.town.parts
        for lives in [watch.lives[name]]
        for early, late in [lives.growth()]
        if late > GROWTH * early and late - early > 10
    ]


def history(town: MonthProcesses, repo: str) -> list[float]:
    """Return the simulated time of each commit of a repo."""
    commits = HfApi(town.hub_url, token=EYES).list_repo_commits(repo, repo_type="dataset")
    return sorted(commit.created_at.timestamp() for commit in commits)


def logs(town: MonthProcesses) -> dict[str, str]:
    """Return the logs of the bot's processes, not of workers, whose logs contain expected traces."""
    parts = [name for name in town.parts if not name.startswith("worker")]
    return {name: (town.children.logs / f"{name}.log").read_text("utf-8", "replace") for name in parts}


def results_files(context: BoardContext) -> list[dict[str, Any]]:
    """Return all results files of the board."""
    paths = [file.path for file in context.hub.list_files(context.results)]
    wanted = [path for path in paths if path.endswith(".json") and "/results_" in path]
    return [json.loads(context.hub.read_file(context.results, path).data) for path in wanted]


def live_runs(context: BoardContext) -> list[BackendRun]:
    """Return the runs of backends that have not ended."""
    return [run for tier in context.board.backends for run in context.backend_runs.live(tier)]


def backend_runs(context: BoardContext) -> dict[str, int]:
    """Return the number of runs of backends by their last stage, as far as the bot remembers them."""
    return Counter(run.stage for tier in context.board.backends for run in context.backend_runs.read(tier))


def times(context: BoardContext, blocks: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Return the simulated seconds of each evaluation from its submission to its start, and to its end."""
    starts, ends = dict[str, float](), dict[str, float]()
    for block in blocks:
        asked = context.index.get(block["request"]).time
        started, ended = read_time(block["started"]), read_time(block["ended"])
        if asked and started and ended:
            # Of several results the first counts: the others were requested later.
            starts[block["request"]] = min(started - asked, starts.get(block["request"], started - asked))
            ends[block["request"]] = min(ended - asked, ends.get(block["request"], ended - asked))
    return list(starts.values()), list(ends.values())


def by_route(calls: list[dict[str, Any]]) -> dict[str, int]:
    """Return the routes that the bot called most, with their counts."""
    counted: Counter[str] = Counter()
    for one in calls:
        counted[f"{one['method']} {one['route']}"] += one["count"]
    return dict(counted.most_common(12))
