"""One verification on this machine, from its settings to its end: no queue is needed, and nothing is published."""

from __future__ import annotations

from leaderboard.suites import find_suite
from workers.common import kernel
from workers.common.logs import BoundedLog
from workers.jobs.verification import Verification, find_details, read_recorded, verify
from workers.jobs.worker import open_worker_context, token_hub_gateway
from workers.settings import WorkerSettings


def run_verification(settings: WorkerSettings, attempt: str, model: str = "") -> Verification:
    """Verify `attempt`, of `model` where that is given. Raises WorkerError."""
    kernel.hide_from_same_user()
    kernel.adopt_orphans()
    board = settings.board()
    suite = find_suite(board.suite)
    details = board.repos.details(model) if model else find_details(board, attempt, settings.access())
    recorded = read_recorded(settings.access(), details, attempt, suite)
    hub_gateway = token_hub_gateway(settings, suite, board)
    with open_worker_context(settings, hub_gateway, alone=True) as worker_context:
        worker_context.zygote_client.start()
        worker_context.zygote_client.wait_until_ready()
        return verify(worker_context, hub_gateway, recorded, BoundedLog())
