"""Measures how fast deliveries are stored and acknowledged, compared with servers that ignore them.

    python -m benchmarks.webhook [--rounds 5] [--seconds 4] [--gradio-python PATH] [--json]

Three servers, loaded in turn in each round by 64 connections (`benchmarks.load`, a process of its own):

    steward          `POST /webhooks/hub`: in Redis (append-only file) before the 2xx
    bare             a FastAPI route that reads the JSON and answers, in the same uvicorn configuration
    WebhooksServer   huggingface_hub's, with a handler that does nothing, as its `launch` starts it

WebhooksServer needs gradio, which Steward does not: name with `--gradio-python` an interpreter that has gradio,
huggingface_hub, uvloop and httptools. Without one its figures are null. Ratios are the medians of the rounds' own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from benchmarks.load import PATH, SECRET

BOARD = """
name: bench
title: Bench
suite: starter
repos: {requests: board/requests, results: board/results, logs: board/logs, community: board/space,
        details_namespace: board-details}
"""
STEWARD, BARE, HUB = "steward", "bare", "WebhooksServer"
BAR = 0.65
TIMES = ("p50_ms", "p99_ms")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load on each server, in each round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--gradio-python", help="an interpreter with gradio", default=sys.executable)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--serve", choices=(STEWARD, BARE), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        figures = measure(Path(folder), options)
    print_table(figures)
    if options.json:
        print(json.dumps(figures))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures: ratios to the other servers, times of Steward, and the medians of each."""
    from steward.children import Children
    from steward.valkey import Valkey

    with Valkey(folder / "valkey") as valkey, Children(folder / "logs") as children:
        ports = start_servers(folder, children, valkey.url, options.gradio_python)
        for port in ports.values():
            load(port, 64, 1.0)  # warms up imports, caches and connections before the first round
        rounds = []
        for _ in range(options.rounds):
            rounds.append({name: load(port, options.connections, options.seconds) for name, port in ports.items()})
            children.check()
    return summary(rounds)


def summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return the medians over the rounds, by server."""
    figures = {
        name: {
            key: round(statistics.median(by_server[name][key] for by_server in rounds), 2)
            for key in ("per_second", *TIMES)
        }
        for name in rounds[0]
    }
    return {
        "ratio_to_bare": ratio(rounds, BARE),
        "ratio_to_webhooks_server": ratio(rounds, HUB) if HUB in figures else None,
        **{key: figures[STEWARD][key] for key in TIMES},
        "servers": figures,
    }


def ratio(rounds: list[dict[str, dict[str, Any]]], other: str) -> float:
    """Return the median over rounds of the ratio of Steward's requests per second to another server's."""
    ratios = [float(by_server[STEWARD]["per_second"] / by_server[other]["per_second"]) for by_server in rounds]
    return round(statistics.median(ratios), 3)


def start_servers(folder: Path, children: Any, redis_url: str, gradio_python: str) -> dict[str, int]:
    """Start each server and return the ports by name."""
    from steward.valkey import free_port

    (folder / "board.yaml").write_text(BOARD)
    ports = {STEWARD: free_port(), BARE: free_port()}
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    for name, port in ports.items():
        own = {"REDIS_URL": redis_url, "STEWARD_BOARD": str(folder / "board.yaml")}
        own |= {"STEWARD_WEBHOOK_SECRET": SECRET, "STEWARD_PORT": str(port)}
        children.start(
            name, [sys.executable, "-m", "benchmarks.webhook", "--serve", name], environment=environment | own
        )
    if has_gradio(gradio_python):
        ports[HUB] = free_port()
        script = str(Path(__file__).with_name("webhooks_server.py"))
        own = {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_SERVER_PORT": str(ports[HUB]), "HF_HUB_OFFLINE": "1"}
        own |= {"WEBHOOK_SECRET": SECRET, "HF_HUB_DISABLE_TELEMETRY": "1", "SPACE_ID": "bench/bench"}
        children.start(HUB, [gradio_python, script], environment=environment | own)
    for port in ports.values():
        wait_for(port, children)
    return ports


def has_gradio(python: str) -> bool:
    """Whether the interpreter `python` can import gradio and huggingface_hub."""
    look = "import importlib.util as u, sys; sys.exit(not (u.find_spec('gradio') and u.find_spec('huggingface_hub')))"
    return subprocess.run([python, "-c", look], check=False).returncode == 0


def wait_for(port: int, children: Any, seconds: float = 60) -> None:
    """Return once a server answers at `port`."""
    deadline = time.monotonic() + seconds
    while True:
        children.check()
        try:
            load(port, 1, 0.1)
            return
        except (subprocess.CalledProcessError, RuntimeError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def load(port: int, connections: int, seconds: float) -> dict[str, Any]:
    """Let `benchmarks.load` send to `port` and return its figures. Raises if an answer was not 2xx."""
    command = [sys.executable, "-m", "benchmarks.load", "--port", str(port)]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    if any(not status.startswith("2") for status in figures["statuses"]):
        raise RuntimeError(f"port {port} answered {figures['statuses']}")
    return figures


def print_table(measured: dict[str, Any]) -> None:
    """Print the figures as a table."""
    print(f"{'':16}{'a second':>12}{'p50 ms':>10}{'p99 ms':>10}")
    for name, figures in measured["servers"].items():
        print(f"{name:16}{figures['per_second']:12,.0f}{figures['p50_ms']:10.2f}{figures['p99_ms']:10.2f}")
    print(f"{measured['ratio_to_bare']:.2f} × the bare route (target: {BAR})")
    if measured["ratio_to_webhooks_server"] is None:
        print("WebhooksServer was not measured: no gradio; name an interpreter that has it with --gradio-python.")
    else:
        print(f"{measured['ratio_to_webhooks_server']:.2f} × WebhooksServer (target: above 1)")


# --- inside the server processes


def serve(name: str) -> None:
    """Run the server `name`, STEWARD or BARE, configured like `steward serve`."""
    from bot.core.settings import BotSettings
    from bot.processes.web_app import create_app, run
    from redis_state.logs import configure_logs

    settings = BotSettings()
    configure_logs(settings.log_level, as_json=settings.log_json)
    run(create_app(settings) if name == STEWARD else bare_app(), settings)


def bare_app() -> FastAPI:
    """Return a FastAPI app that only parses a delivery."""
    app = FastAPI()

    @app.post(PATH)
    async def receive(request: Request) -> Response:
        await request.json()
        return Response(status_code=202)

    return app


if __name__ == "__main__":
    main()
