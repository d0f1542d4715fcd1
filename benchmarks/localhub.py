"""Measures localhub on a dataset repo with many request files: `python -m benchmarks.localhub [--json]`.

Starts a real `python -m localhub`, fills one repo through the API, and measures through the client. `--files 2000` is a
quick run. Prints a table; with --json the last line is one JSON object with the same figures.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml
from huggingface_hub import HfApi

from localhub.testing import HubWorld, LocalHub

REPO = "board/requests"
TOKEN = "hf_bench"
FILES = {"README.md": "# Requests\n"}
WORLD = HubWorld().user("bench", TOKEN).org("board", {"bench": "admin"}).repo("dataset", REPO, FILES)
FILES_PER_COMMIT = 5000


@dataclass(frozen=True)
class Figure:
    """One measured number and its target."""

    name: str
    value: float
    unit: str
    target: str
    holds: bool


@contextmanager
def hub(folder: Path) -> Iterator[tuple[str, int]]:
    """Start a server process; yield its URL and its process id."""
    world = folder / "world.yaml"
    world.write_text(yaml.safe_dump(dict(WORLD)))
    command = [sys.executable, "-m", "localhub", "--port", "0", "--data", str(folder / "data"), "--world", str(world)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"], process.pid
        finally:
            process.terminate()


def request_file(number: int, folders: int) -> str:
    """Return the path of a request file, in one folder per organisation."""
    return f"org-{number % folders:05}/model-{number}_eval_request_False_bfloat16_Original.json"


def commit(client: httpx.Client, files: dict[str, str], summary: str) -> str:
    """Commit text files over the API and return the commit id."""
    lines = [{"key": "header", "value": {"summary": summary, "description": ""}}]
    lines += [{"key": "file", "value": {"path": path, "content": text}} for path, text in files.items()]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    answer = client.post(f"/api/datasets/{REPO}/commit/main", content=body)
    answer.raise_for_status()
    return str(answer.json()["commitOid"])


def fill(client: httpx.Client, files: int, folders: int) -> float:
    """Write all request files in large commits and return the seconds."""
    started = time.perf_counter()
    for first in range(0, files, FILES_PER_COMMIT):
        numbers = range(first, min(first + FILES_PER_COMMIT, files))
        content = {
            request_file(n, folders): json.dumps(
                {"model": f"org/model-{n}", "status": "FINISHED", "precision": "bfloat16"}
            )
            for n in numbers
        }
        commit(client, content, f"Requests {numbers.start} to {numbers.stop}")
    return time.perf_counter() - started


def milliseconds(call: Callable[[int], Any], times: int) -> float:
    """Return the median duration of a call in milliseconds, without the first one."""
    call(0)
    took = []
    for number in range(1, times + 1):
        started = time.perf_counter()
        call(number)
        took.append(time.perf_counter() - started)
    return statistics.median(took) * 1000


def measure_tree(api: HfApi) -> float:
    """Return the entries per second of a recursive listing through the client."""
    started = time.perf_counter()
    entries = sum(1 for _ in api.list_repo_tree(REPO, recursive=True, repo_type="dataset"))
    return entries / (time.perf_counter() - started)


def measure_commit(client: httpx.Client, folders: int) -> float:
    """Return the milliseconds of a commit that changes one request file."""
    return milliseconds(lambda n: commit(client, {request_file(n * 7, folders): json.dumps({"n": n})}, "One file"), 30)


def measure_compare(client: httpx.Client) -> float:
    """Return the milliseconds of a compare of two neighbouring commits, another pair each time."""
    commits = [c["id"] for c in client.get(f"/api/datasets/{REPO}/commits/main", params={"limit": 31}).json()]

    def compare(number: int) -> None:
        oid = commits[number % len(commits)]
        answer = client.get(f"/api/datasets/{REPO}/compare/{oid}^..{oid}")
        assert answer.json().startswith("diff --git")

    return milliseconds(compare, 30)


def measure_thread(client: httpx.Client) -> float:
    """Return the milliseconds of reading a thread with 500 events."""
    path = f"/api/datasets/{REPO}/discussions"
    num = client.post(path, json={"title": "A long thread", "description": "d", "pullRequest": False}).json()["num"]
    for number in range(499):
        client.post(f"{path}/{num}/comment", json={"comment": f"Comment **{number}** of `many`"}).raise_for_status()

    def read(_: int) -> None:
        assert len(client.get(f"{path}/{num}").json()["events"]) == 500

    return milliseconds(read, 20)


class Counter(BaseHTTPRequestHandler):
    """Counts the webhooks that arrive."""

    protocol_version = "HTTP/1.1"
    arrived: list[float]

    def do_POST(self) -> None:
        """Take one delivery."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.arrived.append(time.perf_counter())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def measure_webhooks(client: httpx.Client, events: int) -> float:
    """Return the deliveries per second, from the first comment to the last delivery, with one comment each."""
    arrived: list[float] = []
    handler = type("Arrivals", (Counter,), {"arrived": arrived})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client.put("/_admin/webhooks/policy", json={"quota": 1_000_000}).raise_for_status()
    hook = {"watched": [{"type": "dataset", "name": REPO}], "domains": ["discussion"]}
    url = f"http://127.0.0.1:{server.server_port}/hook"
    client.post("/api/settings/webhooks", json={**hook, "url": url}).raise_for_status()
    path = f"/api/datasets/{REPO}/discussions"
    num = client.post(path, json={"title": "Webhooks", "description": "d", "pullRequest": False}).json()["num"]
    started = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: client.post(f"{path}/{num}/comment", json={"comment": str(n)}), range(events)))
    deadline = time.monotonic() + 120
    while len(arrived) < events + 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    server.shutdown()
    server.server_close()
    return len(arrived) / (arrived[-1] - started)


def resident_mb(pid: int, peak: bool = False) -> float:
    """Return the resident memory of a process in MB, as the kernel counts it."""
    field = "VmHWM:" if peak else "VmRSS:"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def measure_start(folder: Path) -> float:
    """Return the milliseconds of a start in this process, up to the first answer."""

    def start(number: int) -> None:
        with LocalHub(folder / f"start-{number}", WORLD) as running:
            assert httpx.get(f"{running.url}/api/datasets/{REPO}").status_code == 200

    return milliseconds(start, 5)


def run(files: int, folders: int, events: int, folder: Path) -> list[Figure]:
    """Measure all figures on one server."""
    figures: list[Figure] = []

    def add(name: str, value: float, unit: str, target: float, more_is_better: bool = False) -> None:
        holds = value >= target if more_is_better else value <= target
        sign = "≥" if more_is_better else "≤"
        figures.append(Figure(name, value, unit, f"{sign} {target:g}", holds))

    with (
        hub(folder) as (url, pid),
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120) as client,
    ):
        api = HfApi(endpoint=url, token=TOKEN)
        print(f"filling {files} files in {folders} folders …", file=sys.stderr)
        filled = fill(client, files, folders)
        figures.append(Figure("files written", files / filled, "files/s", "", holds=True))
        add("tree listing through the client", measure_tree(api), "entries/s", 20_000, more_is_better=True)
        add("commit of one file", measure_commit(client, folders), "ms", 100)
        add("compare of two neighbours", measure_compare(client), "ms", 50)
        add("thread with 500 events", measure_thread(client), "ms", 100)
        add("webhooks delivered", measure_webhooks(client, events), "a second", 50, more_is_better=True)
        add("resident memory", resident_mb(pid), "MB", 400)
        figures.append(Figure("resident memory at its peak", resident_mb(pid, peak=True), "MB", "", holds=True))
    add("start in process", measure_start(folder), "ms", 500)
    return figures


def show(figures: list[Figure]) -> None:
    """Print the table."""
    for figure in figures:
        mark = "" if not figure.target else ("ok" if figure.holds else "MISSED")
        print(f"{figure.name:34} {figure.value:12,.1f} {figure.unit:10} {figure.target:>9} {mark}")


def main() -> None:
    """Parse the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=100_000, help="request files in the repo")
    parser.add_argument("--folders", type=int, default=None, help="folders that hold them (default: a fifth of files)")
    parser.add_argument("--events", type=int, default=500, help="webhooks to deliver")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    folders = options.folders or max(1, options.files // 5)
    with tempfile.TemporaryDirectory(prefix="localhub-benchmark-") as folder:
        figures = run(options.files, folders, options.events, Path(folder))
    show(figures)
    if options.json:
        values = {f.name.replace(" ", "_"): round(f.value, 2) for f in figures}
        missed = [f.name for f in figures if not f.holds]
        print(json.dumps({"files": options.files, "folders": folders, **values, "missed": missed}))


if __name__ == "__main__":
    main()
