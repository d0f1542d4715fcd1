"""Monitors the month while it runs: memory and CPU of each process, and the bot's calls to the Hub."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from simulations.month.accelerated_clock import DAY, AcceleratedClock
from simulations.month.processes import MonthProcesses

EVERY = 1.0
"""Real seconds between two samples."""
SETTLING_SAMPLES = 900
"""Samples of a process's life, a quarter of an hour or more, before its memory is judged: at first its caches fill."""
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class PartResources:
    """The resources that one part of Steward used, over all its processes."""

    memory: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Resident MiB in each sample, by process id."""
    seconds: dict[int, float] = field(default_factory=dict)
    """Seconds of CPU including ended children, by process id."""

    def growth(self) -> tuple[float, float]:
        """Return resident MiB early and late in the longest process: the medians of its second and its last fifth."""
        longest = self._longest
        part = max(1, len(longest) // 5)
        return median(longest[part : 2 * part] or longest), median(longest[-part:])

    @property
    def has_settled(self) -> bool:
        """Whether the longest process lived so long that its memory should not grow any more."""
        return len(self._longest) >= SETTLING_SAMPLES

    @property
    def _longest(self) -> list[float]:
        return max(self.memory.values(), key=len, default=[0.0])

    @property
    def most(self) -> float:
        """Return the peak MiB of all samples."""
        return max((max(looks) for looks in self.memory.values()), default=0.0)


@dataclass
class ResourceMonitor:
    """Samples memory, CPU, calls and deliveries every second, in its own thread."""

    processes: MonthProcesses
    clock: AcceleratedClock
    resources: dict[str, PartResources] = field(default_factory=lambda: defaultdict(PartResources))
    calls: list[tuple[float, int, int]] = field(default_factory=list)
    """Simulated time, the bot's API calls so far, and its file calls."""
    triggers: list[tuple[float, int]] = field(default_factory=list)
    """Simulated time, and the deliveries so far that count for the webhook's quota."""
    over_quota: list[tuple[float, int]] = field(default_factory=list)
    """The same for deliveries beyond the quota, at each increase."""
    pace: float = EVERY

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ResourceMonitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self.pace):
            for name, process in list(self.processes.running.items()):
                self._look(name, process.pid)
            try:
                self._count(self.clock.now(), self.processes.admin("GET", "stats"))
            except httpx2.HTTPError:
                continue  # it is busy; the next sample counts the rest

    def _count(self, now: float, stats: Mapping[str, Any]) -> None:
        self.calls.append((now, *bot_calls(stats["calls"])))
        sent = total(stats["deliveries"])
        self.triggers.append((now, sent.get("queued", 0) + sent.get("dropped", 0)))
        if sent.get("over-quota", 0) > (self.over_quota[-1][1] if self.over_quota else 0):
            self.over_quota.append((now, sent["over-quota"]))

    def _look(self, name: str, pid: int) -> None:
        try:
            memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (OSError, IndexError):
            return  # the process has just ended
        self.resources[name].memory[pid].append(round(memory, 1))
        self.resources[name].seconds[pid] = sum(map(int, fields[11:15])) / TICKS

    def cpu(self) -> dict[str, float]:
        """Return seconds of CPU by part."""
        return {name: round(sum(resources.seconds.values()), 1) for name, resources in sorted(self.resources.items())}

    def most_triggers(self) -> int:
        """Return the most deliveries within any 24 simulated hours."""
        return most_within(self.triggers, DAY)

    def busiest(self, seconds: float) -> tuple[int, int]:
        """Return the most API calls and file calls within any `seconds` simulated seconds."""
        return most_within([(at, api) for at, api, _ in self.calls], seconds), most_within(
            [(at, files) for at, _, files in self.calls], seconds
        )


def bot_calls(counts: Iterable[dict[str, object]]) -> tuple[int, int]:
    """Return the bot's API calls and file calls from the Hub's counts."""
    api = files = 0
    for call in counts:
        if call["account"] != "bot":
            continue
        if "resolve" in str(call["route"]):
            files += int(str(call["count"]))
        else:
            api += int(str(call["count"]))
    return api, files


def total(deliveries: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return the deliveries of all webhooks by outcome."""
    counts: dict[str, int] = {}
    for outcomes in deliveries.values():
        for outcome, count in outcomes.items():
            counts[outcome] = counts.get(outcome, 0) + count
    return counts


def most_within(counted: list[tuple[float, int]], seconds: float) -> int:
    """Return the largest rise of a count within any `seconds`; `counted`: (time, count so far) in order."""
    most = start = 0
    for at, count in counted:
        while counted[start][0] < at - seconds:
            start += 1
        most = max(most, count - counted[start][1])
    return most


def median(values: list[float]) -> float:
    """Return the median."""
    return sorted(values)[len(values) // 2] if values else 0.0
