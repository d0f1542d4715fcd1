"""Redis lost, processes doubled, the network cut, the Hub away: the same end for people, and nothing twice."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi
from town import SECRET, WORKER, Town, open_town, wait_for

from hub.records import Repo

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
BEAT = "1"
DELIVERIES = 10_000 if os.environ.get("STEWARD_WHOLE_MATRIX") else 2_000
MODELS = ("good-slow", "good", "remote", "good-dies", "other")
EVALUATED = ("good-slow", "good", "other")


@contextmanager
def busy_town(folder: Path, *, processes: tuple[str, ...] = ("web", "sync", "worker")) -> Iterator[Town]:
    """A town in which the slow model is being evaluated and the others stand in every other state."""
    with open_town(folder, webs=sum(name.startswith("web") for name in processes)) as town:
        for name in processes:
            town.start(name, STEWARD_BEAT_SECONDS=BEAT)
        wait_for(town.web_answers, words=town.words)
        town.submit(*MODELS)
        wait_for(lambda: "RUNNING" in town.statuses().values(), words=town.words)
        yield town


def all_is_well(town: Town) -> None:
    """Every request has its right end, one status comment, and was evaluated once."""
    wait_for(town.ended, seconds=150, words=town.words)
    town.last_picture()
    ends = {path.partition("_eval")[0].removeprefix("ada/"): status for path, status in town.statuses().items()}
    assert ends == {**dict.fromkeys(EVALUATED, "FINISHED"), "remote": "FAILED", "good-dies": "FAILED"}
    threads = list(town.eyes.threads(Repo("dataset", "town/requests")))
    titles = sorted(f"Evaluation of ada/{name} (float32)" for name in MODELS)
    assert sorted(thread.title for thread in threads) == titles
    assert all(len(town.eyes.thread(Repo("dataset", "town/requests"), one.num).comments) == 1 for one in threads)
    worker = HfApi(town.hub.url, token=WORKER)
    for name in EVALUATED:
        commits = worker.list_repo_commits(f"town-details/details_ada__{name}", repo_type="dataset")
        assert len([one for one in commits if one.title.startswith("Add details")]) == 1, name
    results = [one.path for one in town.eyes.list_files(Repo("dataset", "town/results")) if one.path.endswith("json")]
    assert len(results) == len(EVALUATED)


def test_redis_lost_in_the_middle_of_everything(tmp_path: Path) -> None:
    """FLUSHALL while requests are in every state: the same end, no comment doubled, nothing evaluated twice."""
    with busy_town(tmp_path) as town:
        town.redis.flushall()
        all_is_well(town)


def test_two_of_everything(tmp_path: Path) -> None:
    """Two web servers, three sync processes and two workers at once double no effect."""
    processes = ("web", "web1", "sync", "sync1", "sync2", "worker", "worker1")
    with busy_town(tmp_path, processes=processes) as town:
        all_is_well(town)


class Cable:
    """A network path to Redis that can be cut: what is in flight hangs, as behind a dead switch."""

    def __init__(self, port: int) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.target = port
        self.whole = threading.Event()
        self.whole.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                self.whole.wait()
                sink.sendall(data)
        except OSError:
            pass  # one side hung up: so does the other
        finally:
            for end in (source, sink):
                end.close()


def test_a_replica_cut_off_for_longer_than_its_lease(tmp_path: Path) -> None:
    """One of two sync processes loses Redis for longer than its lease, amid its work: nothing is doubled."""
    with open_town(tmp_path) as town:
        cable = Cable(town.valkey.port)
        town.start("web", STEWARD_BEAT_SECONDS=BEAT)
        town.start("sync", STEWARD_BEAT_SECONDS=BEAT, redis_url=f"redis://127.0.0.1:{cable.port}/0")
        town.start("worker", STEWARD_BEAT_SECONDS=BEAT)
        wait_for(town.web_answers, words=town.words)
        town.submit(*MODELS)
        wait_for(lambda: "RUNNING" in town.statuses().values(), words=town.words)
        town.start("sync1", STEWARD_BEAT_SECONDS=BEAT)
        cable.whole.clear()
        threading.Timer(8, cable.whole.set).start()
        all_is_well(town)
        cable.whole.set()


def test_thousands_of_deliveries_while_the_hub_is_away(tmp_path: Path) -> None:
    """All are acknowledged while the Hub answers errors only; afterwards all is done, in a handful of commits."""
    with open_town(tmp_path) as town:
        for name in ("web", "sync", "worker"):
            town.start(name, STEWARD_BEAT_SECONDS=BEAT)
        wait_for(town.web_answers, words=town.words)
        town.submit(*MODELS)
        town.hub.box.faults.fail("/api/*", status=503, times=None)
        wait_for(lambda: b"failed" in town.redis.hgetall("steward:1:town:hub-state"), words=town.words)
        assert flood(town, DELIVERIES) == {202: DELIVERIES}
        town.hub.box.faults.clear()
        all_is_well(town)
        commits = HfApi(town.hub.url, token=WORKER).list_repo_commits("town/requests", repo_type="dataset")
        assert len(commits) < 5 * len(MODELS)


def flood(town: Town, count: int) -> Counter[int]:
    """Send `count` different deliveries about the requests repo over a few connections; the answers."""
    body = json.dumps(
        {
            "event": {"action": "update", "scope": "repo.content"},
            "repo": {"type": "dataset", "name": "town/requests"},
            "updatedRefs": [{"ref": "refs/heads/main", "oldSha": "a" * 40, "newSha": "b" * 40}],
        }
    )

    def send(numbers: range) -> Counter[int]:
        headers = {"x-webhook-secret": SECRET, "content-type": "application/json"}
        with httpx2.Client(base_url=f"http://127.0.0.1:{town.ports[0]}", headers=headers, timeout=30) as client:
            answers = (
                client.post("/webhooks/hub", content=body, headers={"webhook-id": f"flood-{n}"}) for n in numbers
            )
            return Counter(answer.status_code for answer in answers)

    parts = [range(start, count, 8) for start in range(8)]
    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(send, parts), Counter())
