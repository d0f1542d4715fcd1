"""Compares several ways of running a leaderboard, on one Hub, with the same submissions and machines.

    python -m simulations.peers [--machines 1 4] [--hours 8] [--no-faults] [--load 0.6] [--seed 1] [--write] [--json]

    steward     Steward's real syncs, ledger and schedule, with simulated workers
    template    the algorithm of the usual template for leaderboards, reimplemented: one copy on each machine
    cluster     the same with a job scheduler, as a board published it that grew out of the template
    bare queue  RQ alone, without Hub and board: the waiting times that the number of machines alone causes

All get the same workload: some broken models, some evaluations that fail at first through the service's fault, machines
that are killed during their evaluation, a burst, half an hour without a Hub. All use the same simulated clock. A bare
FastAPI route is compared with Steward's webhook by the real clock.

With `--no-faults` the same evaluations all succeed, and only Steward and the bare queue run: it shows the delays that
Steward adds.

`--write` writes the figures and charts to docs/peers.md and docs/pictures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 4], help="numbers of machines to simulate")
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--load", type=float, default=0.6, help="share of the machines' time that the submissions need")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--no-faults", action="store_true", help="let all evaluations succeed, and the Hub be reachable"
    )
    parser.add_argument("--without-routes", action="store_true", help="leave out the routes: they need the real clock")
    parser.add_argument("--write", action="store_true", help="write docs/peers.md's figures and charts")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    from huggingface_hub.utils import disable_progress_bars, logging  # type: ignore[attr-defined]  # documented

    from redis_state.logs import configure_logs
    from simulations.peers.report import table, write

    disable_progress_bars()
    logging.set_verbosity(CRITICAL)  # an outage would log many errors
    configure_logs("critical")
    measured: dict[str, Any] = {"options": vars(options), "days": []}
    for machines in options.machines:
        measured["days"].append(measure(machines, options))
        print(table(measured["days"][-1]), flush=True)
    if not options.without_routes:
        from simulations.peers.lower_bounds import routes

        with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
            measured["routes"] = routes(Path(folder))
        print(json.dumps(measured["routes"]))
    if options.write:
        write(measured)
    if options.json:
        print(json.dumps(measured))


def measure(machines: int, options: argparse.Namespace) -> dict[str, Any]:
    """Simulate one day of a board with `machines` machines, and return the figures of each peer."""
    from benchmarks.commits import listening
    from localhub.clock import Clock
    from localhub.testing import LocalHub
    from simulations.peers.environment import EPOCH
    from simulations.peers.hub_setup import world
    from simulations.peers.scenario import scenario
    from steward.valkey import Valkey

    started = time.monotonic()
    day = scenario(
        seed=options.seed, machines=machines, hours=options.hours, load=options.load, faults=not options.no_faults
    )
    others = ["template", *(["cluster"] if machines > 1 else [])] if not options.no_faults else []
    boards = ["steward", *others]
    tokens = {name: f"hf_{name}" for name in (*boards, "steward-worker")}
    with (
        tempfile.TemporaryDirectory(prefix="steward-bench-") as name,
        listening() as address,
        LocalHub(Path(name) / "hub", world(day, boards, tokens, address), clock=Clock(f"{EPOCH},0")) as hub,
        Valkey(Path(name) / "valkey") as valkey,
    ):
        figures = play_day(hub, day, boards, valkey.url, Path(name))
    return {
        "machines": machines,
        "hours": options.hours,
        "faults": not options.no_faults,
        "peers": figures,
        "seconds": round(time.monotonic() - started, 1),
    }


def play_day(hub: Any, day: Any, boards: list[str], redis_url: str, folder: Path) -> dict[str, Any]:
    """Play the scenario `day` on `hub` with all peers, and return the figures of each."""
    from redis_state.redis import connect
    from simulations.peers.environment import EPOCH, Environment
    from simulations.peers.hub_observer import HubObserver
    from simulations.peers.hub_setup import people

    environment, redis = Environment(hub, day), connect(redis_url)
    observer = HubObserver(environment, boards)
    peers = all_peers(environment, boards, redis, redis_url, folder)
    with without_waits():
        ended = environment.play(peers, people(environment, boards))
    figures = {
        peer.name: peer_figures(environment, observer, peer)
        | {"hours": round((ended[peer.name][0] - EPOCH) / 3600, 2), "calls": ended[peer.name][1]}
        for peer in peers
    }
    for peer in peers:
        peer.close()
    redis.close()
    return figures


@contextmanager
def without_waits() -> Iterator[None]:
    """Remove the waits between retries of the Hub's client, which would use the real clock."""
    from huggingface_hub.utils import _http

    with patch.object(_http, "time", SimpleNamespace(sleep=lambda _: None, time=time.time)):
        yield


def all_peers(environment: Any, boards: list[str], redis: Any, redis_url: str, folder: Path) -> list[Any]:
    """Return all peers, each with its own board."""
    from simulations.peers.lower_bounds import BareQueue
    from simulations.peers.polling_boards import Cluster, Template
    from simulations.peers.steward_board import Steward

    steward = Steward(environment, "steward", ("hf_steward", "hf_steward-worker"), redis, redis_url, folder)
    polling = {"template": Template, "cluster": Cluster}
    others = [kind(environment, name, f"hf_{name}", folder / name) for name, kind in polling.items() if name in boards]
    return [steward, *others, BareQueue(environment, "bare queue", redis)]


def peer_figures(environment: Any, observer: Any, peer: Any) -> dict[str, Any]:
    """Return the figures of one peer."""
    from huggingface_hub import HfApi

    from simulations.peers.hub_setup import FORM
    from simulations.peers.metrics import figures

    observed, texts = observer.observed.get(peer.board), []
    if observed is not None:
        form, repo = HfApi(environment.hub.url, token=FORM), f"{peer.board}/requests"
        for discussion in form.get_repo_discussions(repo, repo_type="dataset"):
            details = form.get_discussion_details(repo, discussion.num, repo_type="dataset")
            texts.append(" ".join([details.title, *(str(getattr(event, "content", "")) for event in details.events)]))
    return figures(observed, peer.machines, texts)


if __name__ == "__main__":
    main()
