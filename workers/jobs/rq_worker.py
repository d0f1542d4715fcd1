"""The RQ worker: forks a process per job, and keeps a zygote that forks the children.

    worker ──┬── zygote ── keeper ── … ── child      (see workers.sandbox.zygote, workers.sandbox.isolation)
             └── job                                  (workers.jobs.evaluate: claims, downloads, supervises, publishes)

Why a process per job: what a publication or a download does to memory, threads and libraries is gone with it, and if it
crashes the worker still lives to say so. What RQ's own worker does otherwise, and why:

    SIGTERM      RQ waits for the job. Here the job is told to stop, within a grace, and the attempt is handed back.
    kill -9      RQ leaves the job running. Here the job, as the zygote, dies with the worker (PDEATHSIG).
    timeouts     RQ raises in the middle of a job. Here the job watches its own time; RQ's is but a backstop.
    Redis away   RQ's worker quits and forgets the job. Here it goes on and waits.
    functions    RQ calls whatever function a job names. Here only EVALUATE, and no callbacks: who can write to Redis
                 shall not be able to run code.
    pub/sub      RQ lets anybody stop jobs by message. Here a cancelled attempt is stopped by its request.

Race accepted: kill -9 of the worker between RQ's pop of a job and the first word about it leaves an attempt that is
`queued` and in no queue; the bot notices attempts that do not move.
"""

from __future__ import annotations

import contextlib
import logging
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
from rq.worker import WorkerStatus

from redis_state.attempts import BEAT
from redis_state.errors import BadMessage
from redis_state.jobs import EvaluationJob, oldest_first, parse
from redis_state.redis import TRANSIENT, Redis
from redis_state.stopping import exit_in
from workers.common import kernel
from workers.jobs.interrupted_jobs import end_as_lost, hand_back
from workers.jobs.outbox import BoardRedis
from workers.jobs.prefetcher import Prefetcher
from workers.jobs.rq_alarm import deferred_alarm
from workers.jobs.rq_job import EvaluationOnlyJob, NoDeathPenalty
from workers.jobs.worker_context import WORKER_CONTEXT, WorkerContext
from workers.jobs.worker_heartbeat import WorkerHeartbeat
from workers.sandbox.supervision import children
from workers.sandbox.zygote_client import ZygoteBroken

log = logging.getLogger(__name__)

RQ_TIMEOUT_MARGIN = 3600
"""Seconds that RQ gives a job beyond its time: to publish what it found. The job keeps its time itself."""
MAX_FAILED_ZYGOTES = 3
"""How many zygotes may fail to come up before a worker gives up."""
REDIS_RETRY_SECONDS = 1.0
"""Seconds between two tries while Redis is away."""
HAND_BACK_SECONDS = 3.0
"""Seconds to hand an attempt back once its job has ended; a Redis that says nothing would take them by the minute."""
IDLE_POLL_SECONDS = 1
"""Seconds for which a worker waits for jobs without looking whether it is to stop."""


class EvaluationWorker(Worker):  # type: ignore[misc]  # rq is typed in part
    """Takes one evaluation at a time. See the module's text for what it does otherwise than RQ's worker."""

    job_class = EvaluationOnlyJob

    def __init__(self, queues: list[str], worker_context: WorkerContext, connection: Redis, *, name: str) -> None:
        how = {"connection": connection, "serializer": JSONSerializer, "job_class": EvaluationOnlyJob}
        super().__init__(
            [Queue(queue, **how) for queue in queues],
            name=name,
            job_monitoring_interval=int(BEAT),
            **how,
        )
        self.worker_context = worker_context
        self.board_redis = BoardRedis(worker_context.settings.redis_url, worker_context.board.name)
        self.worker_heartbeat = WorkerHeartbeat(worker_context, self.board_redis)
        self.stop_asked: float | None = None
        self.at_once = False
        self.broken = False
        self.seconds: float | None = None
        self.prefetcher = Prefetcher(worker_context.hub_gateway, self._next)

    def subscribe(self) -> None:
        """No commands by message, hence no thread for them beside the forks."""

    def unsubscribe(self) -> None:
        """There is nothing to leave."""

    # --- being stopped

    @property
    def stopping(self) -> bool:
        """Whether this worker is to end."""
        return self.stop_asked is not None

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as handlers are called
        """First signal: hand the attempt back after a grace. Second: without it. Third: just leave."""
        if self.at_once:
            os._exit(1)  # the kernel takes job, zygote and child with us
        if self.stopping:
            self.at_once = True
        else:
            self.stop_asked = time.monotonic()
            self._stop_requested = True
            exit_in(self.worker_context.settings.grace_seconds + HAND_BACK_SECONDS, log.warning)
        if self.horse_pid:
            self._tell_horse()

    request_force_stop = request_stop

    def _tell_horse(self) -> None:
        """SIGTERM is for the job alone, not for what it started: that would look like a failure to it."""
        if self.at_once:
            self.kill_horse(signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.horse_pid, signal.SIGTERM)

    # --- taking jobs

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> Any:  # noqa: ARG002
        """The next job, or None when the worker is to stop. Waits in slices: a signal never interrupts a pop."""
        while not self.stopping:
            self.worker_heartbeat.announce()
            if not self.worker_context.zygote_client.alive():
                self.worker_context.zygote_client.start()
            try:
                return self._pop()
            except DequeueTimeout:
                continue
            except TRANSIENT as error:
                log.warning("Redis is away, which is waited for: %s", error)
                time.sleep(REDIS_RETRY_SECONDS)
            except redis.ResponseError as error:
                log.error("what lies in the queue is no job, or Redis refuses to give it: %s", error)
                time.sleep(REDIS_RETRY_SECONDS)
        return None

    def _pop(self) -> tuple[Job, Queue]:
        """One try; raises DequeueTimeout where there is no job for IDLE_SLICE seconds."""
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

    def _next(self) -> EvaluationJob | None:
        """The attempt that lies first in the queues; None where there is none. Raises RedisError."""
        for queue in oldest_first(self.connection, self._ordered_queues):
            for job_id in queue.get_job_ids(0, 1):
                job = queue.fetch_job(job_id)
                with contextlib.suppress(BadMessage, DeserializationError):
                    return parse(job.kwargs.get("message")) if job is not None else None
        return None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run `job` in a process of its own and see to it that its attempt ends in a state that is true."""
        self.worker_heartbeat.announce(doing=job.id, at_once=True)
        self.seconds = float(job.timeout) if job.timeout and job.timeout > 0 else None
        # Of this object, not in Redis. As long again, because another attempt may have the device first.
        job.timeout = -1 if self.seconds is None else int(2 * self.seconds) + RQ_TIMEOUT_MARGIN
        if self._zygote_is_ready():
            super().execute_job(job, queue)
        self._sweep()
        if self.stopping:
            self.prefetcher.stop()
            self.worker_context.zygote_client.stop()
            hand_back(self.board_redis, self.worker_context, job, queue)
        self.worker_heartbeat.announce(at_once=True)

    def _sweep(self) -> None:
        """End what the job left running, such as a download: it became ours when the job ended."""
        for pid in set(children(os.getpid())) - {self.worker_context.zygote_client.pid, self.prefetcher.pid}:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def _zygote_is_ready(self) -> bool:
        """Wait for a zygote that can fork; without one, or when the worker is to stop meanwhile, there is no work."""
        zygote_client = self.worker_context.zygote_client
        for _ in range(MAX_FAILED_ZYGOTES):
            if not zygote_client.alive():
                zygote_client.start()
            try:
                zygote_client.wait_until_ready(stop=lambda: self.stopping)
            except ZygoteBroken as error:
                log.error("%s", error)
                zygote_client.stop()
                continue
            return not self.stopping
        self.broken = True
        self.stop_asked = time.monotonic()
        return False

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork, and pass on a stop that came in just before there was anybody to tell."""
        super().fork_work_horse(job, queue)
        if self.stopping:
            self._tell_horse()

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Wait for the process of the job; kill it when its grace is over."""
        try:
            descriptor = os.pidfd_open(self.horse_pid)
        except ProcessLookupError:
            return None, None, None
        try:
            while not select.select([descriptor], [], [], 0.5)[0]:
                if not self.stopping:
                    with deferred_alarm():
                        self.prefetcher.look()
                if (
                    self.stop_asked is not None
                    and time.monotonic() - self.stop_asked > self.worker_context.settings.grace_seconds
                ):
                    self.kill_horse(signal.SIGKILL)
        finally:
            os.close(descriptor)
        return super().wait_for_horse()  # type: ignore[no-any-return]

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        """RQ's beats and ours; a Redis that is away for a while, or answers nonsense, stops nothing.

        An error that got out of here would end this life of the worker, but not its job: the next took its slot.
        """
        self.worker_heartbeat.announce(doing=job.id)
        try:
            super().maintain_heartbeats(job, execution)
        except redis.RedisError as error:
            log.warning("job %s goes on without RQ's beat: %s", job.id, error)

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """The process of the job died. Its child shall not outlive it, and its attempt shall end."""
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)
        self.worker_context.zygote_client.stop()
        if not self.stopping:
            end_as_lost(self.board_redis, job, self.worker_context, ret_val)

    # --- in the process of the job

    def setup_work_horse_signals(self) -> None:
        """Die with the worker; SIGTERM asks the job to stop, SIGINT from a terminal is the worker's to pass on."""
        kernel.die_with_parent(self.pid)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._ask_to_leave)

    def perform_job(self, job: Job, queue: Queue, execution: Any) -> bool:
        """Run the job with what this worker lends it, and without RQ's timer."""
        self.death_penalty_class = NoDeathPenalty
        WORKER_CONTEXT.set(replace(self.worker_context, stopping=lambda: self.stopping, seconds=self.seconds))
        return bool(super().perform_job(job, queue, execution))

    def _ask_to_leave(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as handlers are called
        self.stop_asked = time.monotonic()
