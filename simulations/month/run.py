"""Runs one month: processes, people and faults, day after day, and the inspection at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from bot.core.context import BoardContext
from hub.client import Hub
from simulations.month.accelerated_clock import DAY, HOUR, AcceleratedClock
from simulations.month.event_loop import EventLoop, Flow
from simulations.month.faults import FaultInjector
from simulations.month.hub_setup import board, evaluator_suite, token_of, world
from simulations.month.page_visitors import PageVisitors
from simulations.month.processes import MonthProcesses
from simulations.month.report import final_report
from simulations.month.resource_monitor import ResourceMonitor
from simulations.month.schedule import Act, Script
from simulations.month.user_actions import People
from steward.children import Children

MINUTE = 60.0
MORNING = 8 * HOUR
LONGEST_DAY = 8 * HOUR
"""Simulated seconds after which a day ends, even with waiting work."""
QUIET_CHECK_SECONDS = 5.0


def play(
    script: Script, folder: Path, *, speed: float, workers: int, minutes: float = 1e6, own_evaluator: bool = False
) -> dict[str, Any]:
    """Run `script` in `folder` for `minutes` real minutes at most, and return all figures and findings.

    With `own_evaluator` the suite names an evaluator of its own, in the place of lm-eval.
    """
    began, clock = time.monotonic(), AcceleratedClock(folder, speed)
    clock.epoch += MORNING
    with Children(folder / "logs") as children:
        processes = MonthProcesses(folder, clock, children, workers=workers, own_evaluator=own_evaluator)
        processes.open(world(script, processes))
        board_file = board(ids_of(processes), write_suite(processes) if own_evaluator else "starter")
        processes.write_board(board_file)
        processes.start(*processes.parts)
        processes.wait(processes.web_answers)
        print_progress(clock, f"{len(script.submissions)} submissions, {len(script.acts)} acts")
        context = processes.context()
        people = People(script, processes.hub_url, context, clock.now, PageVisitors(processes.web_url, clock.now))
        faults = FaultInjector(processes, board_file, context)
        loop = EventLoop(clock, hub_is_away=lambda: faults.away)
        with ResourceMonitor(processes, clock) as monitor:
            for number in range(script.scale.days):
                play_day(number, script, loop, people, faults)
                print_progress(clock, f"day {number + 1} is over: {counts_by_state(context)}", faults)
                if time.monotonic() - began > 60 * minutes:
                    print_progress(clock, f"the time is up: {script.scale.days - number - 1} days are not played")
                    break
                if number + 1 < script.scale.days:
                    jump_to_next_morning(clock, loop, processes)
            busy = monitor.busiest(300)
        figures = final_report(processes, people, faults, loop, monitor, busy)
        figures["days"] = number + 1
        figures["real_minutes"] = round((time.monotonic() - began) / 60, 1)
        context.hub.close()
        return figures


def write_suite(processes: MonthProcesses) -> str:
    """Write the suite with the scripted evaluator, and return its path."""
    path = processes.folder / "suite.yaml"
    path.write_text(yaml.safe_dump(evaluator_suite(processes.evaluator)), "utf-8")
    return str(path)


def play_day(number: int, script: Script, loop: EventLoop, people: People, faults: FaultInjector) -> None:
    """Run the script of one day and its consequences until no work is left."""
    clock, began = loop.clock, loop.clock.now()
    for act in script.day(number):
        loop.begin(f"{act.what} {act.number}", flow_of(act, script, people, faults), at=began + act.second)
    loop.play(began + script.scale.hours * 3600)
    quiet_checks, is_last_day = 0, number + 1 == script.scale.days
    while quiet_checks < 3 and clock.now() < began + LONGEST_DAY:
        loop.play(clock.now() + QUIET_CHECK_SECONDS * clock.rate / 10)
        is_idle = not len(loop) and is_quiet(people.context, faults.processes, soon=HOUR if is_last_day else 2 * MINUTE)
        quiet_checks = quiet_checks + 1 if is_idle else 0


def flow_of(act: Act, script: Script, people: People, faults: FaultInjector) -> Flow:
    """Return the flow of an act."""
    if act.what == "submit":
        return people.submit(script.submissions[act.number])
    maker: Callable[[int], Flow] = getattr(people, act.what, None) or getattr(faults, act.what)
    return maker(act.number)


def is_quiet(context: BoardContext, processes: MonthProcesses, *, soon: float) -> bool:
    """Whether nothing runs, is staged, or is due within the next `soon` simulated seconds."""
    by = context.now() + soon
    if context.index.busy() or context.ledger.edits.repos() or context.trials.pending():
        return False
    if any(context.backend_runs.live(tier) for tier in context.board.backends):
        return False
    waiting = [
        entry for entry in context.index.find([item.path for item in context.index.waiting()]) if entry is not None
    ]
    if any(entry.hold is None and entry.again < by for entry in waiting):
        return False
    marks: list[Any] = context.redis.zrange(context.keys.dirty, 0, -1, withscores=True)
    due = [key for key, score in marks if float(score) % 1e12 < by and key.startswith((b"request:", b"thread:"))]
    later = {key.decode().partition(":")[2] for key, _ in marks}
    if set(context.index.unjudged()) - later:
        return False  # a request without a verdict and without a scheduled retry still waits for its sync
    return not due and not any(delivery["state"] == "pending" for delivery in recent_deliveries(processes))


def recent_deliveries(processes: MonthProcesses) -> list[dict[str, Any]]:
    """Return the last five deliveries of each webhook."""
    hooks = processes.admin("GET", "webhooks")
    return [
        delivery for hook in hooks for delivery in processes.admin("GET", f"webhooks/{hook['id']}/deliveries?limit=5")
    ]


def jump_to_next_morning(clock: AcceleratedClock, loop: EventLoop, processes: MonthProcesses) -> None:
    """Let the clocks jump to eight o'clock of the next day."""
    seconds = DAY - (clock.now() - MORNING) % DAY
    with processes.frozen():  # so that no process works with another whose clock has not jumped yet
        clock.jump(seconds)
        time.sleep(1.5)  # each process reads its clock file once a second
    loop.shift(seconds)
    processes.wait(processes.web_answers)


def counts_by_state(context: BoardContext) -> dict[str, int]:
    """Return the number of requests by state."""
    counted: dict[str, int] = {}
    for entry in context.index.find(sorted(context.index.paths())):
        if entry is not None:
            status = entry.standing.status if entry.state == "settled" else entry.state
            counted[status] = counted.get(status, 0) + 1
    return counted


def ids_of(processes: MonthProcesses) -> dict[str, str]:
    """Return the Hub's ids of the accounts in the board file."""
    ids = {}
    for name, token in {"form": "hf_form", "mia": token_of("mia"), "max": token_of("max")}.items():
        with Hub(processes.hub_url, token) as hub:
            ids[name] = hub.me().id
    return ids


def print_progress(clock: AcceleratedClock, words: str, faults: FaultInjector | None = None) -> None:
    """Print a line about the progress, with the faults since the last line."""
    more = ""
    if faults is not None and faults.events:
        more = f"  [{'; '.join(faults.events)}]"
        faults.history += faults.events
        faults.events = []
    at = time.strftime("%m-%d %H:%M", time.gmtime(clock.now()))
    print(f"{time.strftime('%H:%M:%S')} · {at} · {words}{more}", file=sys.stderr, flush=True)
