"""The RQ worker: forks one process per job, and owns the zygote that forks the children.

    worker ──┬── zygote ── keeper ── … ── child      (see workers.sandbox.zygote, workers.sandbox.isolation)
             └── job                                  (workers.jobs.attempt: claims, downloads, supervises, publishes)

A process per job frees all memory, threads and library state of its downloads and its publication, and the worker can
report a job that crashes. Differences from RQ's own worker:

    SIGTERM      RQ waits for the job. Here the job stops within a grace period, and the attempt is handed back.
    kill -9      RQ leaves the job running. Here job and zygote die with the worker (PDEATHSIG).
    timeouts     RQ raises in the middle of a job, and asks Redis before it kills one. Here the job limits its own time,
                 and the worker kills a job that does not, by the monotonic clock and without Redis.
    heartbeats   RQ interrupts the wait for the job by an alarm. Here the worker compares the clock while it waits: an
                 exception at a random place could leave answers of Redis unread.
    Redis away   RQ's worker quits and forgets the job. Here the worker waits and goes on.
    functions    RQ calls any function that a job names. Here only EVALUATE, without callbacks: write access to Redis
                 must not allow running code.
    pub/sub      RQ stops jobs on a message from any client. Here only a cancelled request stops its attempt.

Race accepted: kill -9 of the worker between RQ's pop of a job and the first report about it leaves an attempt that is
`queued` and in no queue; the bot notices attempts without progress.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import signal
import time
from dataclasses import replace
from types import FrameType
from typing import Any

import redis
from rq import Queue, Worker
from rq.exceptions import DequeueTimeout, DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import HorseMonitorTimeoutException
from rq.worker import WorkerStatus

from redis_state.attempts import BEAT
from redis_state.errors import BadMessage
from redis_state.jobs import EvaluationJob, oldest_first, parse
from redis_state.redis import TRANSIENT, Redis
from redis_state.stopping import exit_in
from workers.common import kernel
from workers.jobs.board_link import BoardRedis
from workers.jobs.interrupted_jobs import end_as_lost, hand_back
from workers.jobs.operator_hold import OperatorHold
from workers.jobs.prefetcher import Prefetcher
from workers.jobs.rq_job import EvaluationOnlyJob, NoDeathPenalty
from workers.jobs.worker_context import WORKER_CONTEXT, WorkerContext
from workers.jobs.worker_heartbeat import WorkerHeartbeat
from workers.jobs.zygote_starter import ZygoteStarter
from workers.sandbox.zygote_client import ZygoteBroken

log = logging.getLogger(__name__)

JOB_MARGIN_SECONDS = 3600
"""Seconds that a job may take beyond its own limit, for the publication. The job enforces its limit itself."""
REDIS_RETRY_SECONDS = 1.0
"""Seconds between two attempts to reach Redis while it is away."""
HAND_BACK_SECONDS = 3.0
"""Seconds to hand an attempt back after its job ended: an unresponsive Redis would block the exit for minutes."""
IDLE_POLL_SECONDS = 1
"""Seconds of one wait for jobs, after which the worker checks whether it should stop."""


class EvaluationWorker(Worker):  # type: ignore[misc]  # rq is typed in part
    """Takes one evaluation job at a time. The module's docstring lists the differences from RQ's worker."""

    job_class = EvaluationOnlyJob
    death_penalty_class = NoDeathPenalty

    def __init__(self, queues: list[str], worker_context: WorkerContext, connection: Redis, *, name: str) -> None:
        options = {"connection": connection, "serializer": JSONSerializer, "job_class": EvaluationOnlyJob}
        super().__init__(
            [Queue(queue, **options) for queue in queues],
            name=name,
            job_monitoring_interval=int(BEAT),
            **options,
        )
        self.worker_context = worker_context
        self.board_redis = BoardRedis(worker_context.settings.redis_url, worker_context.board.name)
        self.worker_heartbeat = WorkerHeartbeat(worker_context, self.board_redis)
        self.operator_hold = OperatorHold(worker_context, self.board_redis)
        self.stop_asked: float | None = None
        self.at_once = False
        self.broken = False
        self.seconds: float | None = None
        self.job_deadline = math.inf
        self.prefetcher = Prefetcher(worker_context.hub_gateway, self._next_job)
        self.zygote_starter = ZygoteStarter(worker_context, self.prefetcher)

    def subscribe(self) -> None:
        """Take no commands from pub/sub: the thread that reads them would not survive the forks."""

    def unsubscribe(self) -> None:
        """Do nothing: `subscribe` does nothing."""

    # --- being stopped

    @property
    def stopping(self) -> bool:
        """Whether this worker was asked to stop."""
        return self.stop_asked is not None

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as handlers are called
        """First signal: hand the attempt back after a grace period. Second: kill the job at once. Third: exit."""
        if self.at_once:
            os._exit(1)  # the kernel kills job, zygote and child with this process
        if self.stopping:
            self.at_once = True
        else:
            self.stop_asked = time.monotonic()
            self._stop_requested = True
            exit_in(self.worker_context.settings.grace_seconds + HAND_BACK_SECONDS, log.warning)
        if self.horse_pid:
            self._signal_job()

    request_force_stop = request_stop

    def _signal_job(self) -> None:
        """Send SIGTERM to the job process alone: a signal to its children would look like their failure to it."""
        if self.at_once:
            self.kill_horse(signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)

    def leave(self) -> None:
        """Remove this worker, which stops, from the board's state."""
        self.worker_heartbeat.leave()
        self.operator_hold.leave()

    # --- taking jobs

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> Any:  # noqa: ARG002
        """Return the next job, or None once the worker stops. Waits in slices: a signal never interrupts a pop."""
        while not self.stopping:
            self.worker_heartbeat.announce()
            self.zygote_starter.ensure()
            try:
                if self.operator_hold.applies():
                    time.sleep(IDLE_POLL_SECONDS)
                    continue
                return self._pop()
            except DequeueTimeout:
                continue
            except TRANSIENT as error:
                log.warning("Redis is away, the worker waits for it: %s", error)
                time.sleep(REDIS_RETRY_SECONDS)
            except redis.ResponseError as error:
                log.error("the queue holds something that is no job, or Redis refuses the pop: %s", error)
                time.sleep(REDIS_RETRY_SECONDS)
        return None

    def _pop(self) -> tuple[Job, Queue]:
        """Pop one job. Raises DequeueTimeout after IDLE_POLL_SECONDS without a job."""
        self.set_state(WorkerStatus.IDLE)
        self.heartbeat()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        job, queue = self.queue_class.dequeue_any(
            oldest_first(self.connection, self._ordered_queues),
            IDLE_POLL_SECONDS,
            connection=self.connection,
            job_class=self.job_class,
            serializer=self.serializer,
            death_penalty_class=self.death_penalty_class,
        )
        job.redis_server_version = self.get_redis_server_version()
        log.info("job %s: %s", job.id, job.description)
        return job, queue

    @property
    def dequeue_timeout(self) -> int:
        """Seconds that one blocking pop may last; the socket's timeout is derived from it."""
        return IDLE_POLL_SECONDS

    def _next_job(self) -> EvaluationJob | None:
        """The first job in the queues, which stays there; None if they are empty. Raises RedisError."""
        for queue in oldest_first(self.connection, self._ordered_queues):
            for job_id in queue.get_job_ids(0, 1):
                job = queue.fetch_job(job_id)
                with contextlib.suppress(BadMessage, DeserializationError):
                    return parse(job.kwargs.get("message")) if job is not None else None
        return None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run `job` in its own process, then record how its attempt ended."""
        self.worker_heartbeat.announce(doing=job.id, at_once=True)
        self.seconds = float(job.timeout) if job.timeout and job.timeout > 0 else None
        job.timeout = -1  # changes this object, not Redis
        # Doubled, because another attempt may hold the device first.
        job_seconds = math.inf if self.seconds is None else 2 * self.seconds + JOB_MARGIN_SECONDS
        self.job_deadline = time.monotonic() + job_seconds
        if self._zygote_is_ready(doing=job.id):
            super().execute_job(job, queue)
        self.zygote_starter.kill_leftovers()
        if self.stopping:
            self.prefetcher.stop()
            self.worker_context.zygote_client.stop()
        if self.stopping or self.operator_hold.began_with_job():
            hand_back(self.board_redis, self.worker_context, job, queue)
        self.worker_heartbeat.announce(at_once=True)

    def _zygote_is_ready(self, *, doing: str) -> bool:
        """Wait for a zygote that can fork. False: none starts, or the worker is asked to stop meanwhile.

        That may take minutes, in which heartbeats go on: a silent worker would lose its job to another one.
        """

        def is_stopping() -> bool:
            self.worker_heartbeat.announce(doing=doing)
            return self.stopping

        try:
            self.zygote_starter.wait_until_ready(is_stopping)
        except ZygoteBroken:
            self.broken = True
            self.stop_asked = time.monotonic()
        return not self.stopping

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork the job's process, and pass on a stop that came in before it existed."""
        super().fork_work_horse(job, queue)
        if self.stopping:
            self._signal_job()

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Wait for the job's process; kill it when its time, or its grace period, is over.

        Raises HorseMonitorTimeoutException when a heartbeat is due: RQ's loop sends it and calls again. If the process
        died, its child ends here too: RQ first asks Redis for the job, which may be away, or have lost it.
        """
        heartbeat_due = time.monotonic() + self.job_monitoring_interval
        try:
            pidfd = os.pidfd_open(self.horse_pid)
        except ProcessLookupError:
            self.worker_context.zygote_client.stop()
            return None, None, None
        try:
            while not select.select([pidfd], [], [], 0.5)[0]:
                if not self.stopping:
                    self.prefetcher.poll()
                if self._is_job_overdue():
                    self.kill_horse(signal.SIGKILL)
                if time.monotonic() >= heartbeat_due:
                    raise HorseMonitorTimeoutException
        finally:
            os.close(pidfd)
        pid, status, usage = super().wait_for_horse()
        if status != os.EX_OK:
            self.worker_context.zygote_client.stop()
        return pid, status, usage

    def _is_job_overdue(self) -> bool:
        """Whether the job's time, or its grace period, is over."""
        now, grace_seconds = time.monotonic(), self.worker_context.settings.grace_seconds
        return now > self.job_deadline or (self.stop_asked is not None and now - self.stop_asked > grace_seconds)

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        """Send RQ's heartbeat and Steward's; the job goes on while Redis is away or answers with errors.

        An exception raised here would end the worker but not its job, while a restarted worker takes the same slot.
        """
        try:
            self.worker_heartbeat.announce(doing=job.id)
            super().maintain_heartbeats(job, execution)
        except Exception as error:  # noqa: BLE001  # boundary
            log.warning("job %s goes on without RQ's beat: %s: %s", job.id, type(error).__name__, error)

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """End the attempt of a job whose process died."""
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)
        if not self.stopping:
            end_as_lost(self.board_redis, job, self.worker_context, ret_val)

    # --- in the process of the job

    def setup_work_horse_signals(self) -> None:
        """Die with the worker. SIGTERM asks the job to stop; SIGINT from a terminal is left to the worker."""
        kernel.die_with_parent(self.pid)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._note_stop)

    def perform_job(self, job: Job, queue: Queue, execution: Any) -> bool:
        """Run the job with this worker's context."""
        WORKER_CONTEXT.set(replace(self.worker_context, stopping=lambda: self.stopping, seconds=self.seconds))
        return bool(super().perform_job(job, queue, execution))

    def _note_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as handlers are called
        self.stop_asked = time.monotonic()
