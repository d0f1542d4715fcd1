"""`steward work`: runs one evaluation worker from its settings until it is asked to stop.

Exit codes: 0 stopped on request; 2 the settings are wrong; 3 no child can run here, or the disk is full or fails;
4 Redis does not answer. After all but 0 and 2, a later start may succeed.
"""

from __future__ import annotations

import errno
import logging
import os
import platform
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from itertools import count
from types import FrameType

import redis

from hub.client import Hub
from hub.errors import Garbled, HubError, RateLimited, Transient
from leaderboard import __version__
from leaderboard.boards import BadBoard, Board
from leaderboard.suites import BadSuite, Suite, find_suite
from leaderboard.tiers import parse_tiers
from redis_state.errors import RedisAway, RedisMissing, SecretMissing
from redis_state.keys import Keys
from redis_state.redis import Redis, connect
from workers.common import kernel
from workers.common.devices import Device
from workers.errors import BoardUnreachable, WorkerError
from workers.evaluation import machine, task_requirements
from workers.evaluation.evaluator_command import evaluator_command
from workers.jobs.board_link import BoardRedis
from workers.jobs.outbox import OutcomeUnsent, has_unsent_outcome, send_unsent_outcome
from workers.jobs.provisions import HubGateway, TokenHubGateway
from workers.jobs.rq_worker import EvaluationWorker
from workers.jobs.worker_context import WorkerContext
from workers.publication.publish import import_libraries
from workers.sandbox.sandbox_spec import SandboxSpec
from workers.sandbox.slots import Slot, take_slot
from workers.sandbox.zygote_client import ZygoteBroken, ZygoteClient
from workers.settings import WorkerSettings

log = logging.getLogger(__name__)

MACHINE_ERRORS = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ESTALE,
})  # fmt: skip
"""Errors that pass without a change of the settings."""
CANNOT_PUBLISH = (
    "Set STEWARD_WORKER_TOKEN, or STEWARD_WORKER_TOKEN_FILE to the path of a file that holds it: without the workers' "
    "token no results can be published."
)
ACCOUNT_RETRY_SECONDS = 30.0
"""Seconds between two calls that ask the Hub to which account the worker's token belongs."""
RESTART_SECONDS = 1.0
"""Seconds after an error of Redis, or of this machine, until the worker begins anew."""
VERSIONS = ("lm-eval", "transformers", "torch", "datasets", "accelerate", "peft")


def main(settings: WorkerSettings, *, hub_gateway: HubGateway | None = None) -> int:
    """Work until asked to stop; return an exit code. `hub_gateway` replaces the one that uses the worker's token."""
    kernel.hide_from_same_user()
    kernel.adopt_orphans()
    _end_on_signals()
    try:
        with open_worker_context(settings, hub_gateway) as worker_context:
            return run_worker(worker_context)
    except ZygoteBroken as error:
        print(f"No evaluation can run here: {error}", file=sys.stderr)
        return 3
    except (BadBoard, BadSuite, RedisMissing, SecretMissing, WorkerError, OSError) as error:
        print(f"The worker cannot start. {error}", file=sys.stderr)
        return exit_code(error)


def exit_code(error: Exception) -> int:
    """The exit code of a worker that cannot start because of `error`."""
    if isinstance(error, (RedisAway, BoardUnreachable)):
        return 4
    broken = isinstance(error, machine.DriverSilent) or (isinstance(error, OSError) and error.errno in MACHINE_ERRORS)
    return 3 if broken else 2


@contextmanager
def open_worker_context(
    settings: WorkerSettings,
    hub_gateway: HubGateway | None = None,
    *,
    alone: bool = False,
    served: tuple[Board, Suite] | None = None,
) -> Iterator[WorkerContext]:
    """Take a slot and yield the context that all jobs of one worker share; stop the zygote at the end.

    `alone`: for one evaluation outside the queue, without Redis. `served` replaces the board and the suite of the
    settings, for a worker that got them from the bot; it has no Redis either. Raises WorkerError, and SecretMissing if
    a worker of the queue has no token.
    """
    board, suite = served or board_and_suite(settings)
    if not (alone or served or hub_gateway or settings.token()):
        raise SecretMissing(CANNOT_PUBLISH)
    task_requirements.check_task_requirements(suite)
    evaluator_command(suite)  # raises now if its program is missing
    slot = take_slot(settings.work_dir.resolve(), first_uid=settings.child_uid)
    _settle_outbox(slot, settings, board, alone=alone, served=served is not None)
    slot.prepare()
    token = settings.token()
    devices = machine.find_devices(settings.device)
    zygote_client = _zygote_client(settings, suite, slot, devices)
    try:
        yield WorkerContext(
            settings=settings,
            board=board,
            suite=suite,
            zygote_client=zygote_client,
            slot=slot,
            hub_gateway=hub_gateway or token_hub_gateway(settings, suite, board),
            worker=new_worker_name(),
            versions=versions(),
            devices=devices,
            hardware=machine.description(devices),
            secrets=tuple(filter(None, (token, settings.token_of_attempt()))),
        )
    finally:
        zygote_client.stop()
        if not has_unsent_outcome(slot.attempt):  # the next worker of this slot sends it
            slot.clear()


def _settle_outbox(slot: Slot, settings: WorkerSettings, board: Board, *, alone: bool, served: bool) -> None:
    """Send the outcome that an earlier worker left in the slot, which is emptied afterwards.

    A worker that the bot `served` cannot send it, because that needs the token of the earlier attempt: the bot has
    ended that attempt as lost. A worker that runs `alone` has no Redis, and raises OutcomeUnsent.
    """
    if not (alone or served):
        connect(settings.redis_url).close()  # raises now if Redis does not answer
        send_unsent_outcome(slot.attempt, BoardRedis(settings.redis_url, board.name))
    elif has_unsent_outcome(slot.attempt):
        if not served:
            raise OutcomeUnsent(
                "a worker ended here before it could send its attempt's outcome: run `steward work` first"
            )
        log.warning("an earlier worker could not send the outcome that %s holds; it is dropped", slot.attempt)


def _zygote_client(settings: WorkerSettings, suite: Suite, slot: Slot, devices: tuple[Device, ...]) -> ZygoteClient:
    """The client of a zygote that imports the harness, unless another evaluator evaluates the suite."""
    gpus = machine.device_files(devices) if devices else ()
    return ZygoteClient(
        SandboxSpec(home=slot.home, root=slot.root, uid=slot.uid, gpus=gpus),
        harness=settings.harness,
        preload=settings.preload if suite.evaluator is None else (),
        devices=devices,
    )


def board_and_suite(settings: WorkerSettings) -> tuple[Board, Suite]:
    """The board and the suite that `settings` name. Raises BadBoard, BadSuite, OSError."""
    board = settings.board()
    return board, find_suite(board.suite)


def new_worker_name() -> str:
    """A name that no other worker has or had.

    Host and process id are not enough: a restarted container has those of the worker that was killed in it, and RQ
    refuses a name that it still holds.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def own_account(settings: WorkerSettings) -> str:
    """The Hub account of the worker's token; "" if the Hub does not say, so that it computes no cross-checks.

    Waits while the Hub is away, or limits this call, which it limits more strictly than others.
    """
    access = settings.access()
    if access.token is None:
        return ""
    with Hub(access.endpoint, access.token) as client:
        while True:
            try:
                return client.whoami().name
            except HubError as error:
                is_away = isinstance(error, (RateLimited, Transient)) and not isinstance(error, Garbled)
                log.warning("the Hub does not say whose token this is: %s", error)
            if not is_away:
                log.warning("this worker gets no cross-checks")
                return ""
            time.sleep(ACCOUNT_RETRY_SECONDS)


def token_hub_gateway(settings: WorkerSettings, suite: Suite, board: Board) -> TokenHubGateway:
    """The gateway that `settings` describe, with the worker's token."""
    folder = settings.work_dir.resolve()
    return TokenHubGateway(
        settings.access(), suite, folder, settings.model_bytes, board.questions, settings.model_volume
    )


def run_worker(worker_context: WorkerContext) -> int:
    """Take jobs until asked to stop; return an exit code. Waits while Redis is away or refuses writes."""
    worker_context.zygote_client.start()
    import_libraries()
    if worker_context.board.workers is not None:
        worker_context = replace(worker_context, account=own_account(worker_context.settings))
    keys = Keys(worker_context.board.name)
    queues = [keys.queue(tier) for tier in parse_tiers(worker_context.settings.tiers)]
    if worker_context.account:
        queues.append(keys.worker_queue(worker_context.worker))
    worker_context.zygote_client.wait_until_ready()
    report_isolation(worker_context)
    for restart in count():
        connection, worker = _connect(worker_context.settings.redis_url), None
        try:
            worker = EvaluationWorker(queues, worker_context, connection, name=f"{worker_context.worker}-{restart}")
            worker.work(logging_level=None)
        except redis.RedisError as error:  # away, or full, or a replica that takes no writes
            log.warning("Redis: %s", error)
        _end_on_signals()
        if worker is not None and worker.stopping:
            worker.leave()
            return 3 if worker.broken else 0
        log.warning("the worker restarts")
        time.sleep(RESTART_SECONDS)
    raise AssertionError("count() ended")


def _connect(url: str) -> Redis:
    while True:
        try:
            return connect(url)
        except RedisMissing as error:
            log.warning("%s", error)
            time.sleep(1)


def _end_on_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_on_signal)


def _exit_on_signal(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as handlers are called
    """Exit through all `finally` blocks: there is no job to hand back."""
    raise SystemExit(0)


def report_isolation(worker_context: WorkerContext) -> None:
    """Log how children are isolated from this machine, and warn of each protection that is missing."""
    report = worker_context.zygote_client.ready
    if report is None:
        return
    missing = report.mode.missing()
    for sentence in missing:
        log.warning("CHILDREN ARE NOT FULLY ISOLATED: %s", sentence)
    for sentence in report.against if missing else ():
        log.warning("tried without success: %s", sentence)
    log.info("zygote ready in %.1f s, slot %d, isolation: %s", report.seconds, worker_context.slot.number, report.mode)


def versions() -> dict[str, str]:
    """Versions of Steward, packages and Python that a result depends on; `missing` for packages not installed."""
    installed = {"steward": __version__}
    for name in VERSIONS:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed[name] = "missing"
    return {**installed, "python": platform.python_version()}
