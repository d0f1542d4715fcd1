"""The report at the end of a month: figures and findings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from huggingface_hub import HfApi

from bot.core.context import BoardContext
from hub.records import Comment
from leaderboard.backends import BackendRun
from leaderboard.request_paths import is_request_path
from leaderboard.times import read_time
from redis_state.board.entry import IndexEntry
from simulations.month import inspection
from simulations.month.event_loop import EventLoop
from simulations.month.faults import FaultInjector
from simulations.month.hub_setup import CONTENTS, FLAGS, LOGS, REQUESTS, RESULTS
from simulations.month.processes import EYES, MonthProcesses
from simulations.month.resource_monitor import ResourceMonitor, most_within, total
from simulations.month.scripted_scores import score_of
from simulations.month.statistics_table import per, spread
from simulations.month.user_actions import People

CALLS, FILES, COMMITS = 1_000, 5_000, 128
"""The Hub's limits: API calls and files in five minutes, commits to a repo in an hour."""
GROWTH = 1.25
"""The largest ratio of late to early memory of a process that does not count as growth."""


@dataclass(frozen=True)
class MonthEnd:
    """The input of the report at the end of a month: the simulation's parts, and the final board."""

    processes: MonthProcesses
    people: People
    faults: FaultInjector
    loop: EventLoop
    monitor: ResourceMonitor
    stats: Mapping[str, Any]
    threads: list[inspection.BoardThread]
    entries: list[IndexEntry]
    files: list[dict[str, Any]]
    """The results files."""

    @property
    def context(self) -> BoardContext:
        """The board context with which people's clients read."""
        return self.people.context

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """The `steward` blocks of the results files."""
        return [file["steward"] for file in self.files]

    @property
    def bot_calls(self) -> list[dict[str, Any]]:
        """The counts of the bot's calls to the Hub, by method, route and status."""
        return [call for call in self.stats["calls"] if call["account"] == "bot"]

    @property
    def comments(self) -> list[Comment]:
        """All comments on the board."""
        return [comment for item in self.threads for comment in item.thread.comments]


def final_report(
    processes: MonthProcesses,
    people: People,
    faults: FaultInjector,
    loop: EventLoop,
    monitor: ResourceMonitor,
    busy: tuple[int, int],
) -> dict[str, Any]:
    """Return all figures; the last is `findings`, which maps kinds to places and is empty if all is well."""
    stats = processes.admin("GET", "stats")
    processes.admin("PUT", "limits", dict.fromkeys(("api", "resolvers", "pages", "anonymous_api", "anonymous_pages")))
    context = people.context
    threads = inspection.read_threads(context)
    entries = [entry for entry in context.index.find(sorted(context.index.paths())) if entry is not None]
    files = results_files(context)
    month = MonthEnd(processes, people, faults, loop, monitor, stats, threads, entries, files)
    figures = board_figures(month) | hub_figures(month, busy) | machine_figures(month)
    return figures | {"findings": findings(month, figures)}


def board_figures(month: MonthEnd) -> dict[str, Any]:
    """Return the figures of requests, evaluations and waiting times."""
    waits, results = times(month.context, month.blocks)
    again = ((block.get("checked") or {}).get("again") for block in month.blocks)
    return {
        "requests": len(month.entries),
        "submitted": len(month.people.expected),
        "threads": len(month.threads),
        "evaluated": len(results),
        "resumed": sum(1 for block in month.blocks if block.get("replayed")),
        "answers_compared": Counter(check["status"] for check in again if check),
        "backend_runs": backend_runs(month.context),
        "scores_on_model_pages": sum(len(pulls) for pulls in month.people.own_page_pulls().values()),
        "trials": sum(1 for comment in month.comments if comment.text.startswith("/try ")),
        "wait_to_start_seconds": spread(waits),
        "wait_to_result_seconds": spread(results),
        "answer_seconds": spread(inspection.answer_seconds(month.threads)),
    }


def hub_figures(month: MonthEnd, busy: tuple[int, int]) -> dict[str, Any]:
    """Return the figures of the bot's use of the Hub; `busy`: the most API calls and file calls in five minutes."""
    requests = len(month.people.expected)
    calls = sum(call["count"] for call in month.bot_calls)
    commits = {name: history(month.processes, name) for name in (REQUESTS, RESULTS, LOGS, FLAGS, CONTENTS)}
    comments = sum(1 for comment in month.comments if comment.author_name == inspection.BOT)
    return {
        "calls": {"in_all": calls, "per_request": per(calls, requests), "most_in_5_minutes": busy[0]},
        "calls_by_route": by_route(month.bot_calls),
        "files": {"most_in_5_minutes": busy[1]},
        "commits": {name: len(times) for name, times in commits.items()}
        | {"per_request": per(sum(map(len, commits.values())), requests)},
        "most_commits_in_an_hour": {
            name: most_within(list(zip(t, range(len(t)), strict=True)), 3600) for name, t in commits.items()
        },
        "comments": {"by_the_bot": comments, "per_request": per(comments, requests)},
        "deliveries": total(month.stats["deliveries"]) | {"most_in_24_hours": month.monitor.most_triggers()},
    }


def machine_figures(month: MonthEnd) -> dict[str, Any]:
    """Return the figures of Steward's processes, and the faults of the month."""
    return {
        "cpu_seconds": month.monitor.cpu(),
        "memory_mib": {
            name: {"early": growth[0], "late": growth[1], "most": resources.most}
            for name, resources in sorted(month.monitor.resources.items())
            for growth in [resources.growth()]
        },
        "processes_started": month.processes.started,
        "troubles": month.faults.history + month.faults.events,
    }


def findings(month: MonthEnd, figures: dict[str, Any]) -> dict[str, list[str]]:
    """Return the findings by kind."""
    wrong = inspection.Findings()
    _add_findings_of_threads(wrong, month)
    _add_findings_of_requests(wrong, month)
    wrong.add("script error", month.loop.errors)
    wrong.add("several pull requests", inspection.several_pages(month.people.own_page_pulls()))
    wrong.add("still running", (f"{run.id} for {run.attempt}" for run in live_runs(month.context)))
    wrong.add("traceback", inspection.unexpected_errors(logs(month.processes)))
    refused = (call for call in month.bot_calls if call["status"] == 429)
    wrong.add("rate limited", (f"{call['method']} {call['route']}: {call['count']}" for call in refused))
    wrong.add("limit exceeded", exceeded_limits(figures, month.monitor))
    wrong.add("growing memory", growing_processes(month.monitor))
    wrong.add("parked", (f"{parked.key}: {parked.error}" for parked in month.context.parking.all()))
    wrong.add("inconsistent", inconsistencies(month.processes))
    return {kind: places for kind, places in wrong.places.items() if places}


def _add_findings_of_threads(wrong: inspection.Findings, month: MonthEnd) -> None:
    by_path = {entry.path: entry for entry in month.entries}
    wrong.add("unanswered thread", inspection.unanswered(month.threads, inspection.waiting(month.context)))
    wrong.add("unanswered command", inspection.without_reply(month.threads))
    wrong.add("repeated marker", inspection.repeated_markers(month.threads))
    wrong.add("unfinished reply", inspection.unfinished_replies(month.threads))
    wrong.add("wrong status comment", inspection.wrong_status_comments(month.threads, by_path))


def _add_findings_of_requests(wrong: inspection.Findings, month: MonthEnd) -> None:
    people, context, by_path = month.people, month.context, {entry.path: entry for entry in month.entries}
    on_hub = {file.path: file.oid for file in context.hub.list_files(context.requests) if is_request_path(file.path)}
    fates = {submission.model: submission.fate for submission in people.script.submissions}
    wrong.add("unfinished request", inspection.without_end(month.entries))
    wrong.add("failed without a reason", inspection.failed_without_reason(month.entries))
    wrong.add("unexpected end", inspection.unexpected_ends(by_path, people.expected, fates))
    wrong.add("not indexed", inspection.not_indexed(on_hub, by_path))
    wrong.add("published twice", inspection.published_twice(block["attempt"] for block in month.blocks))
    wrong.add(
        "unexpected score", inspection.unexpected_scores(month.files, {model: score_of(model) for model in fates})
    )
    if context.suite.evaluator is None:  # answers of other evaluators are not compared
        wrong.add("unconfirmed", inspection.unconfirmed(month.files))


def inconsistencies(processes: MonthProcesses) -> list[str]:
    """Return the problems that `steward doctor --consistency` reports."""
    doctor = processes.steward("doctor", "--consistency", "--json")
    try:
        checks = json.loads(doctor.stdout)["checks"]
        return [check["words"] for check in checks if check["state"] != "ok"]
    except ValueError:
        return [f"doctor said: {doctor.stdout[-300:]} {doctor.stderr[-300:]}"]


def exceeded_limits(figures: dict[str, Any], monitor: ResourceMonitor) -> list[str]:
    """Return a sentence for each of the Hub's limits that the bot exceeded."""
    wrong = [
        f"{count} commits an hour in {name}"
        for name, count in figures["most_commits_in_an_hour"].items()
        if count > COMMITS
    ]
    if figures["calls"]["most_in_5_minutes"] > CALLS:
        wrong.append(f"{figures['calls']['most_in_5_minutes']} calls in five minutes")
    if figures["files"]["most_in_5_minutes"] > FILES:
        wrong.append(f"{figures['files']['most_in_5_minutes']} files in five minutes")
    if figures["deliveries"].get("over-quota"):
        when = ", ".join(
            f"{count} by {datetime.fromtimestamp(at, UTC):%m-%d %H:%M}" for at, count in monitor.over_quota
        )
        wrong.append(f"{figures['deliveries']['over-quota']} deliveries beyond the quota: {when}")
    return wrong


def growing_processes(monitor: ResourceMonitor) -> list[str]:
    """Return processes of Steward with growing memory, of those that lived long enough to judge it."""
    return [
        f"{name}: {early} MiB early, {late} MiB late"
        for name in monitor.processes.parts
        for resources in [monitor.resources[name]]
        for early, late in [resources.growth()]
        if resources.has_settled and late > GROWTH * early and late - early > 10
    ]


def history(processes: MonthProcesses, repo: str) -> list[float]:
    """Return the simulated time of each commit of a repo."""
    commits = HfApi(processes.hub_url, token=EYES).list_repo_commits(repo, repo_type="dataset")
    return sorted(commit.created_at.timestamp() for commit in commits)


def logs(processes: MonthProcesses) -> dict[str, str]:
    """Return the logs of the bot's processes, not of workers, whose logs contain expected traces."""
    parts = [name for name in processes.parts if not name.startswith("worker")]
    return {name: (processes.children.logs / f"{name}.log").read_text("utf-8", "replace") for name in parts}


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
    for call in calls:
        counted[f"{call['method']} {call['route']}"] += call["count"]
    return dict(counted.most_common(12))
