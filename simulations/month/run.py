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
from simulations.month.accelerated_clock import DAY, HOUR, PlayedClock
from simulations.month.event_loop import EventLoop, Flow
from simulations.month.faults import Troubles
from simulations.month.hub_setup import board, evaluator_suite, token_of, world
from simulations.month.page_visitors import PageVisitors
from simulations.month.processes import MonthProcesses
from simulations.month.report import look
from simulations.month.resource_monitor import Watch
from simulations.month.schedule import Act, Script
from simulations.month.user_actions import People
from steward.children import Children

MINUTE = 60.0
MORNING = 8 * HOUR
LONGEST_DAY = 4 * HOUR
"""Simulated seconds after which a day ends, even with waiting work."""
LOOK = 5.0


def play(
    script: Script, folder: Path, *, speed: float, workers: int, minutes: float = 1e6, own_evaluator: bool = False
) -> dict[str, Any]:
    """Run `script` in `folder` for `minutes` real minutes at most, and return all figures and findings.

    With `own_evaluator` the suite names an evaluator of its own, in the place of lm-eval.
    """
    began, clock = time.monotonic(), PlayedClock(folder, speed)
    clock.epoch += MORNING
    with Children(folder / "logs") as children:
        town = MonthProcesses(folder, clock, children, workers=workers, own_evaluator=own_evaluator)
        town.open(world(script, town))
        wanted = board(ids_of(town), write_suite(town) if own_evaluator else "starter")
        town.write_board(wanted)
        town.start(*town.parts)
        town.wait(town.web_answers)
        tell(clock, f"{len(script.submissions)} submissions, {len(script.acts)} acts")
        context = town.context()
        people = People(script, town.hub_url, context, clock.now, PageVisitors(town.web_url, clock.now))
        troubles = Troubles(town, wanted, context)
        stage = EventLoop(clock, closed=lambda: troubles.away)
        with Watch(town, clock) as watch:
            for number in range(script.scale.days):
                live_a_day(number, script, stage, people, troubles)
                tell(clock, f"day {number + 1} is over: {standing(context)}", troubles)
                if time.monotonic() - began > 60 * minutes:
                    tell(clock, f"the time is up: {script.scale.days - number - 1} days are not played")
                    break
                if number + 1 < script.scale.days:
                    sleep_till_morning(clock, stage, town)
            busy = watch.busiest(300)
        found = look(town, people, troubles, stage, watch, busy)
        found["days"] = number + 1
        found["real_minutes"] = round((time.monotonic() - began) / 60, 1)
        context.hub.close()
        return found


def write_suite(town: MonthProcesses) -> str:
    """Write the suite with the scripted evaluator, and return its path."""
    path = town.folder / "suite.yaml"
    path.write_text(yaml.safe_dump(evaluator_suite(town.evaluator)), "utf-8")
    return str(path)


def live_a_day(number: int, script: Script, stage: EventLoop, people: People, troubles: Troubles) -> None:
    """Run the script of one day and its consequences until no work is left."""
    clock, began = stage.clock, stage.clock.now()
    for act in script.day(number):
        stage.begin(f"{act.what} {act.number}", flow_of(act, script, people, troubles), at=began + act.second)
    stage.play(began + script.scale.hours * 3600)
    quiet, is_last = 0, number + 1 == script.scale.days
    while quiet < 3 and clock.now() < began + LONGEST_DAY:
        stage.play(clock.now() + LOOK * clock.rate / 10)
        still = not len(stage) and is_quiet(people.context, troubles.town, soon=HOUR if is_last else 2 * MINUTE)
        quiet = quiet + 1 if still else 0


def flow_of(act: Act, script: Script, people: People, troubles: Troubles) -> Flow:
    """Return the flow of an act."""
    if act.what == "submit":
        return people.submit(script.submissions[act.number])
    maker: Callable[[int], Flow] = getattr(people, act.what, None) or getattr(troubles, act.what)
    return maker(act.number)


def is_quiet(context: BoardContext, town: MonthProcesses, *, soon: float) -> bool:
    """Whether nothing runs, is staged, or is due within the next `soon` simulated seconds."""
    by = context.now() + soon
    if context.index.busy() or context.ledger.edits.repos() or context.trials.pending():
        return False
    if any(context.backend_runs.live(tier) for tier in context.board.backends):
        return False
    waiting = [
        entry for entry in context.index.find([one.path for one in context.index.waiting()]) if entry is not None
    ]
    if any(entry.hold is None and entry.again < by for entry in waiting):
        return False
    marks: list[Any] = context.redis.zrange(context.keys.dirty, 0, -1, withscores=True)
    due = [key for key, score in marks if float(score) % 1e12 < by and key.startswith((b"request:", b"thread:"))]
    later = {key.decode().partition(":")[2] for key, _ in marks}
    if set(context.index.unjudged()) - later:
        return False  # a request without a verdict and without a scheduled retry still waits for its sync
    return not due and not any(hook["state"] == "pending" for hook in pending(town))


def pending(town: MonthProcesses) -> list[dict[str, Any]]:
    """Return the deliveries that are not delivered yet."""
    hooks = town.admin("GET", "webhooks")
    return [one for hook in hooks for one in town.admin("GET", f"webhooks/{hook['id']}/deliveries?limit=5")]


def sleep_till_morning(clock: PlayedClock, stage: EventLoop, town: MonthProcesses) -> None:
    """Let the clocks jump to eight o'clock of the next day."""
    seconds = DAY - (clock.now() - MORNING) % DAY
    with town.frozen():  # so that no process works with another whose clock has not jumped yet
        clock.jump(seconds)
        time.sleep(1.5)  # each process reads its clock file once a second
    stage.shift(seconds)
    town.wait(town.web_answers)


def standing(context: BoardContext) -> dict[str, int]:
    """Return the number of requests by state."""
    counted: dict[str, int] = {}
    for entry in context.index.find(sorted(context.index.paths())):
        if entry is not None:
            status = entry.standing.status if entry.state == "settled" else entry.state
            counted[status] = counted.get(status, 0) + 1
    return counted


def ids_of(town: MonthProcesses) -> dict[str, str]:
    """Return the Hub's ids of the accounts in the board file."""
    found = {}
    for name, token in {"form": "hf_form", "mia": token_of("mia"), "max": token_of("max")}.items():
        with Hub(town.hub_url, token) as hub:
            found[name] = hub.me().id
    return found


def tell(clock: PlayedClock, words: str, troubles: Troubles | None = None) -> None:
    """Print a line about the progress, with the faults since the last line."""
    more = ""
    if troubles is not None and troubles.events:
        more = f"  [{'; '.join(troubles.events)}]"
        troubles.history += troubles.events
        troubles.events = []
    at = time.strftime("%m-%d %H:%M", time.gmtime(clock.now()))
    print(f"{time.strftime('%H:%M:%S')} · {at} · {words}{more}", file=sys.stderr, flush=True)
