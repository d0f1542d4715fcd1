"""The Hub is unreachable while thousands of deliveries arrive: all are acknowledged, and handled later within budget.

`make chaos` runs both tests: an outage of seconds, in which the Hub answers with errors, and one of ten minutes of real
time, in which connections are refused and stalled by turns, while people go on writing on the Hub and ten thousand
deliveries arrive, most of them at the end. In `make test`, test_lying_hub and test_bot_state_machine have a Hub that is
unreachable, and test_bot_serve has floods of deliveries.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import HfApi

from hub.budget import CREDIBLE
from steward.testing.waiting import wait_until
from tests.support.chaos.board_processes import KEYS, PATIENCE, SECRET, WORKER, BoardProcesses, open_board_processes
from tests.support.chaos.end_state import MODELS, REQUESTS, check_end_state
from tests.support.chaos.tcp_proxy import TcpProxy

pytestmark = pytest.mark.chaos
AWAY, DELIVERIES, TRICKLE, THREADS = 600.0, 10_000, 1_000, 100
WINDOW, CALLS, RESOLVED, COMMITS = 300.0, 1_000, 5_000, 60
"""Seconds of a window, the API calls and file downloads that a free account may make in it, and commits an hour."""
SLOWEST, MEMORY = 10.0, 64.0
"""Seconds in which any delivery is acknowledged, and MiB that the web server may grow by meanwhile."""


@dataclass
class Flood:
    """Deliveries that were sent: the status of each answer, and the seconds until it came."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def send(self, board: BoardProcesses, numbers: Sequence[int], *, pause: float = 0.0) -> None:
        """Send deliveries one after the other, over one connection, `pause` seconds apart."""
        headers = {"x-webhook-secret": SECRET, "content-type": "application/json"}
        with httpx2.Client(base_url=f"http://127.0.0.1:{board.ports[0]}", headers=headers, timeout=30) as client:
            for number in numbers:
                began = time.monotonic()
                answer = client.post("/webhooks/hub", content=body(number), headers={"webhook-id": f"flood-{number}"})
                self.seconds.append(time.monotonic() - began)
                self.statuses.append(answer.status_code)
                time.sleep(pause)

    @property
    def answers(self) -> Counter[int]:
        """How many answers had each status. Several threads add to a list without loss, but not to a counter."""
        return Counter(self.statuses)

    def percentile(self, share: float) -> float:
        """The time within which `share` of the deliveries was acknowledged."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def body(number: int) -> bytes:
    """Return a delivery about commits in the requests repo, a comment in one of its threads, or a foreign repo."""
    kind = number % 4
    payload: dict[str, object] = {"event": {"action": "update", "scope": "repo.content"}}
    payload["repo"] = {
        "type": "dataset",
        "name": ("town/requests", "town/requests", "town/results", "else/where")[kind],
    }
    if kind == 1:
        payload["event"] = {"action": "create", "scope": "discussion.comment"}
        payload["discussion"] = {"num": 1 + number // 4 % THREADS, "title": "?", "isPullRequest": False}
        payload["comment"] = {"id": f"{number:024x}", "content": "?", "author": {"id": "a" * 24}}
    else:
        payload["updatedRefs"] = [{"ref": "refs/heads/main", "oldSha": "a" * 40, "newSha": f"{number:040x}"}]
    return json.dumps(payload).encode()


def flood(board: BoardProcesses, numbers: range, senders: int) -> Flood:
    """Send these deliveries over `senders` connections at once."""
    sent = Flood()
    with ThreadPoolExecutor(senders) as pool:
        for part in [pool.submit(sent.send, board, numbers[n::senders]) for n in range(senders)]:
            part.result()
    return sent


@pytest.mark.long("real processes; test_lying_hub has a Hub that is away, test_bot_serve a flood")
@pytest.mark.timeout(900)
def test_thousands_of_deliveries_while_the_hub_is_away(tmp_path: Path) -> None:
    """All deliveries are acknowledged while the Hub answers with errors; later the bot handles them in few commits."""
    with open_board_processes(tmp_path) as board:
        for name in ("web", "sync", "worker"):
            board.start(name, STEWARD_BEAT_SECONDS="1")
        wait_until(board.web_answers, describe=board.words, seconds=PATIENCE)
        board.submit(*MODELS)
        wait_until(lambda: "RUNNING" in board.statuses().values(), describe=board.words, seconds=PATIENCE)
        board.hub.state.faults.fail("/api/*", status=503, times=None)
        wait_until(lambda: b"failed" in board.redis.hgetall(KEYS.hub_state), describe=board.words, seconds=PATIENCE)
        numbers = range(2_000)
        assert len(numbers) // 4 > CREDIBLE  # with fewer, the commit budget would count them, and leave the bot 4
        assert flood(board, numbers, 8).answers == {202: len(numbers)}
        board.hub.state.faults.clear()
        check_end_state(board)
        commits = HfApi(board.hub.url, token=WORKER).list_repo_commits("town/requests", repo_type="dataset")
        assert len(commits) < 5 * len(MODELS)


@pytest.mark.long("ten minutes by the clock")
@pytest.mark.timeout(1_800)
def test_ten_minutes_without_a_hub_then_ten_thousand_deliveries(tmp_path: Path) -> None:
    """After ten minutes no delivery is lost, every request ends as it should, and no rate limit is exceeded."""
    with open_board_processes(tmp_path) as board:
        proxy, to_do = TcpProxy(int(board.hub.url.rpartition(":")[2]), "to the Hub"), Watch(board)
        for name in ("web", "sync", "sync1", "worker"):
            board.start(name, HF_ENDPOINT=f"http://127.0.0.1:{proxy.port}")
        wait_until(board.web_answers, describe=board.words, seconds=PATIENCE)
        for number in range(THREADS):
            board.ada.create_discussion("town/requests", f"Thread {number}", repo_type="dataset")
        wait_until(lambda: all_read(board), describe=board.words, seconds=PATIENCE)
        board.submit(*MODELS)
        wait_until(lambda: "RUNNING" in board.statuses().values(), describe=board.words, seconds=PATIENCE)
        proxy.refuse()
        with to_do:
            before, sent = to_do.memory(), [outage(board, proxy, AWAY)]
            sent.append(flood(board, range(TRICKLE, DELIVERIES), 64))
            knocks = most_within(proxy.calls[:], WINDOW)
            proxy.heal()
            back = time.monotonic()
            wait_until(lambda: all_read(board), describe=board.words, seconds=PATIENCE)
            check_end_state(board, seconds=600)
            wait_until(lambda: not board.redis.exists(KEYS.dirty_tries), describe=board.words, seconds=PATIENCE)
            all_done = time.monotonic() - back
        grown = to_do.memory() - before
        words = figures(board, to_do, sent, grown=grown, all_done=all_done, knocks=knocks)
        print(json.dumps(words, indent=2))
        proxy.close()
        assert all(set(batch.answers) == {202} for batch in sent)
        assert max(batch.percentile(1.0) for batch in sent) < SLOWEST
        assert sum(words["inbox"].values()) >= DELIVERIES
        assert grown < MEMORY
        assert knocks <= CALLS
        assert to_do.most()["bot api"] <= CALLS
        assert to_do.most()["bot resolvers"] <= RESOLVED
        assert all(count <= COMMITS for repo, count in words["commits"].items() if repo.startswith("datasets/town/"))


def figures(
    board: BoardProcesses, to_do: Watch, sent: Sequence[Flood], *, grown: float, all_done: float, knocks: int
) -> dict[str, Any]:
    """The times, calls and commits that the test prints and compares with their limits."""
    counts = {name.decode(): int(count) for name, count in board.redis.hgetall(KEYS.inbox_counts).items()}
    return {
        "deliveries": sum(len(batch.seconds) for batch in sent),
        "p50_ms": [round(1_000 * batch.percentile(0.5), 1) for batch in sent],
        "p99_ms": [round(1_000 * batch.percentile(0.99), 1) for batch in sent],
        "slowest_ms": [round(1_000 * max(batch.seconds)) for batch in sent],
        "web_grew_mib": round(grown, 1),
        "all_done_after_s": round(all_done, 1),
        "most_knocks_in_five_minutes": knocks,
        "most_calls_in_five_minutes": to_do.most(),
        "commits": dict(board.hub.state.stats.read()["commits"]),
        "inbox": counts,
    }


def outage(board: BoardProcesses, proxy: TcpProxy, seconds: float) -> Flood:
    """Refuse and stall connections to the Hub for `seconds`, while ada writes and deliveries arrive."""
    end, sent = time.monotonic() + seconds, Flood()
    with ThreadPoolExecutor(2) as pool:
        trickle = pool.submit(sent.send, board, range(TRICKLE), pause=seconds / TRICKLE)
        people = pool.submit(comment, board)
        while (remaining := end - time.monotonic()) > 0:
            (proxy.refuse if int(remaining / 60) % 2 else proxy.cut)()
            time.sleep(min(remaining, 5.0))
        proxy.refuse()
        trickle.result()
        people.result()
    return sent


def comment(board: BoardProcesses) -> None:
    """Ada writes in each of her threads."""
    for number in range(1, THREADS + 1):
        board.ada.comment_discussion("town/requests", number, comment="Is it done?", repo_type="dataset")


def all_read(board: BoardProcesses) -> bool:
    """Whether the bot has read all comments of ada's threads."""
    reads = {
        name.decode(): int(count)
        for name, count in board.redis.hgetall(KEYS.thread_counts("dataset town/requests")).items()
    }
    threads = [thread for thread in board.reader.threads(REQUESTS) if thread.title.startswith("Thread ")]
    return all(
        reads.get(f"{thread.num} read") == len(board.reader.thread(REQUESTS, thread.num).comments) for thread in threads
    )


def most_within(times: Sequence[float], window: float) -> int:
    """The largest number of the sorted `times` within any `window` seconds."""
    first = most = 0
    for last, at in enumerate(times):
        while at - times[first] > window:
            first += 1
        most = max(most, last - first + 1)
    return most


class Watch:
    """Records the times of the bot's calls, and reads the memory of the web server."""

    def __init__(self, board: BoardProcesses) -> None:
        self.board = board
        self.times: dict[str, list[float]] = {"bot api": [], "bot resolvers": []}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def memory(self) -> float:
        """The peak memory of the web server so far, in MiB."""
        status = Path(f"/proc/{self.board.processes['web'].pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def most(self) -> dict[str, int]:
        """The most calls of each kind in any five minutes."""
        return {kind: most_within(times, WINDOW) for kind, times in self.times.items()}

    def _run(self) -> None:
        while not self._end.wait(1.0):
            counted: Counter[str] = Counter()
            for call in self.board.hub.state.stats.read()["calls"]:
                if call["account"] == "bot":
                    counted["bot resolvers" if "/resolve/" in call["route"] else "bot api"] += call["count"]
            for kind, times in self.times.items():
                times += [time.monotonic()] * (counted[kind] - len(times))
