"""Faults that tests inject: calls that fail, stall or break off, webhooks that are lost.

A rule names its calls by a pattern such as `POST /api/datasets/*/commit/*` (`*` crosses slashes; without a method, the
rule holds for every method). Rules are tried in the order of their creation; a rule that has hit `times` calls is
removed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from localhub.ids import new_id
from localhub.json_values import JsonObject

FaultKind = Literal["fail", "fail-after", "delay", "hang", "hang-after", "cut", "short", "drip", "stale"]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
DRIPS = 10
"""Pieces in which a dripping body comes."""
_POLL_SECONDS = 0.1
"""Seconds between two checks whether a hanging call is released."""


@dataclass(frozen=True, kw_only=True)
class FaultRule:
    """One fault: `kind` happens to the next `times` calls that match `route` (None: until removed).

    fail: answered with `status` before anything happens. fail-after: the same, after the effect has happened.
    delay: answered `seconds` later. hang, hang-after: no answer until the caller disconnects
    (at most `seconds`, if above 0).
    cut: the connection breaks in the middle of the true answer's body. short: half of the body comes as if it were all.
    drip: the body comes in DRIPS pieces, `seconds` apart.
    stale: a GET is answered as it first was since the rule was added, until that answer is `seconds` old (0: always).

    The body of `fail` is JSON with `error`, or `error` itself if `headers` has a Content-Type: a proxy's page.
    """

    route: str
    kind: FaultKind
    times: int | None = 1
    status: int = 500
    seconds: float = 0.0
    error: str = "Internal Error - We're working hard to fix this as soon as possible!"
    headers: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=new_id)
    answers: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """The stored answers of `stale`, by call."""

    def matches(self, method: str, path: str) -> bool:
        """Whether the rule hits this call."""
        verb, space, rest = self.route.partition(" ")
        if not (space and verb.isalpha()):
            verb, rest = method, self.route
        return verb.upper() == method and fnmatchcase(path, rest)

    def as_dict(self) -> JsonObject:
        """The rule as the admin API shows it."""
        return {name: value for name, value in asdict(replace(self, answers={})).items() if name != "answers"}


class Faults:
    """The rules in force. Safe to change from any thread while the server runs."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._lock = threading.Lock()
        self._silent = 0
        self._generation = 0  # rises with every clear, which releases the hanging calls
        self.webhooks = WebhookFaults()

    def add(self, route: str, kind: FaultKind, **options: Any) -> FaultRule:
        """Add a rule: `kind` happens to calls that match `route`; `options` are fields of the rule."""
        rule = FaultRule(route=route, kind=kind, **options)
        with self._lock:
            self._rules.append(rule)
        return rule

    def fail(self, route: str, *, times: int | None = 1, status: int = 500, **options: Any) -> FaultRule:
        """Answer with `status` before anything happens."""
        return self.add(route, "fail", times=times, status=status, **options)

    def fail_after(self, route: str, *, times: int | None = 1, status: int = 500, **options: Any) -> FaultRule:
        """Answer with `status` after the effect has happened."""
        return self.add(route, "fail-after", times=times, status=status, **options)

    def delay(self, route: str, *, seconds: float, times: int | None = 1) -> FaultRule:
        """Serve calls `seconds` late."""
        return self.add(route, "delay", times=times, seconds=seconds)

    def hang(self, route: str, *, times: int | None = 1, after: bool = False) -> FaultRule:
        """Leave calls without an answer, before or `after` their effect."""
        return self.add(route, "hang-after" if after else "hang", times=times)

    def cut(self, route: str, *, times: int | None = 1) -> FaultRule:
        """Break the connection in the middle of the answer."""
        return self.add(route, "cut", times=times)

    def rules(self) -> list[FaultRule]:
        """The rules in force, in the order in which they are tried."""
        with self._lock:
            return list(self._rules)

    def remove(self, rule_id: str) -> bool:
        """Remove a rule; False if there is none of that id."""
        with self._lock:
            remaining = [rule for rule in self._rules if rule.id != rule_id]
            removed = len(remaining) < len(self._rules)
            self._rules = remaining
        return removed

    def clear(self) -> None:
        """Remove all faults and release hanging calls."""
        with self._lock:
            self._rules.clear()
            self._generation += 1
        self.webhooks.clear()

    def take(self, method: str, path: str) -> FaultRule | None:
        """Return the first rule that matches this call, and count the call against its `times`."""
        with self._lock:
            for index, rule in enumerate(self._rules):
                if rule.matches(method, path):
                    self._count_down(index, rule)
                    return rule
        return None

    def _count_down(self, index: int, rule: FaultRule) -> None:
        if rule.times is None:
            return
        if rule.times <= 1:
            del self._rules[index]
        else:
            self._rules[index] = replace(rule, times=rule.times - 1)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Changes inside this context trigger no webhook."""
        with self._lock:
            self._silent += 1
        try:
            yield
        finally:
            with self._lock:
                self._silent -= 1

    @property
    def silent(self) -> bool:
        """Whether changes now trigger no webhook."""
        return self._silent > 0

    async def hold(self, seconds: float, disconnected: Callable[[], bool]) -> None:
        """Return when the caller has disconnected, the faults are cleared, or `seconds` (if above 0) are over."""
        generation, waited = self._generation, 0.0
        while not disconnected() and self._generation == generation and not (0 < seconds <= waited):
            await asyncio.sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS


class WebhookFaults:
    """Faults of the next deliveries: each number says how many of them it hits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Remove the faults of deliveries."""
        with self._lock:
            self._drop = self._double = self._delay = self._shuffle = 0
            self._seconds = 0.0

    def set(self, *, drop: int = 0, double: int = 0, delay: int = 0, seconds: float = 0.0, shuffle: int = 0) -> None:
        """Set the faults: `delay` deliveries are `seconds` late, `shuffle` of them wait and come in random order."""
        with self._lock:
            self._drop, self._double, self._delay, self._shuffle = drop, double, delay, shuffle
            self._seconds = seconds

    def as_dict(self) -> dict[str, float]:
        """How many of the next deliveries each fault still hits."""
        with self._lock:
            return {
                "drop": self._drop,
                "double": self._double,
                "delay": self._delay,
                "seconds": self._seconds,
                "shuffle": self._shuffle,
            }

    def next_fault(self) -> DeliveryFault:
        """Return the fault of the next delivery, and count it. A dropped delivery has no other fault."""
        with self._lock:
            if self._drop:
                self._drop -= 1
                return DeliveryFault(copies=0)
            fault = DeliveryFault(
                copies=2 if self._double else 1,
                seconds=self._seconds if self._delay else 0.0,
                shuffled=self._shuffle > 0,
                last_of_shuffle=self._shuffle == 1,
            )
            self._double, self._delay, self._shuffle = (
                max(0, left - 1) for left in (self._double, self._delay, self._shuffle)
            )
            return fault


@dataclass(frozen=True, kw_only=True)
class DeliveryFault:
    """What happens to one delivery: how many copies are sent, how many seconds late, and whether out of order."""

    copies: int = 1
    seconds: float = 0.0
    shuffled: bool = False
    last_of_shuffle: bool = False
