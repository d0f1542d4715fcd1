"""`steward work --once ATTEMPT`: takes the job of one attempt, evaluates, publishes, and ends.

Worker backends start it: a job of a scheduler for each attempt. With STEWARD_BOARD_URL and the attempt's token it asks
the bot's web server for everything, the board file and the suite too; otherwise it uses Redis, as `steward work` does.

The job runs in this process. If the process dies, its heartbeats end, and the bot relaunches the attempt.
Exit codes: those of `steward work`; also 0 if no worker is needed for the attempt, and 2 if the bot refuses its outcome
for good.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from leaderboard.attempts import ATTEMPT_ID
from leaderboard.boards import BadBoard, Board, parse_board
from leaderboard.suites import BadSuite, Suite, find_suite, parse_suite
from leaderboard.tiers import TIERS
from redis_state.errors import BadMessage, RedisMissing, SecretMissing
from redis_state.jobs import EvaluationJob, take_out
from redis_state.keys import Keys
from redis_state.redis import connect
from redis_state.stopping import Stop, stop_on
from workers.common import kernel
from workers.errors import BoardUnreachable, CallRefused, WorkerError
from workers.jobs.attempt import AttemptRun
from workers.jobs.board_link import UNHEARD, BoardLink, BoardRedis
from workers.jobs.https_link import AttemptTokenRefused, HttpsLink, JobGone, TakenJob
from workers.jobs.provisions import HubGateway
from workers.jobs.worker import board_and_suite, exit_code, new_worker_name, open_worker_context, report_isolation
from workers.sandbox.zygote_client import ZygoteBroken
from workers.settings import WorkerSettings

log = logging.getLogger(__name__)

ANSWER_SECONDS, PAUSE_SECONDS = 30.0, 2.0
"""Seconds for which a worker asks a bot that does not answer for its job, and between two calls."""
HAND_BACK_SECONDS = 3.0
"""Seconds to hand the attempt back after the grace period."""


class NotAnAttempt(WorkerError):
    """The argument is not the id of an attempt."""


@dataclass(frozen=True)
class TakenAttempt:
    """A job that this worker took, with the board and the suite that it belongs to.

    Without `link`, the worker uses Redis. Without `seconds`, the evaluation may take as long as the board allows.
    """

    job: EvaluationJob
    board: Board
    suite: Suite
    link: HttpsLink | None = None
    seconds: float | None = None


def main(settings: WorkerSettings, attempt: str, *, hub_gateway: HubGateway | None = None) -> int:
    """Evaluate `attempt` and return an exit code. `hub_gateway` replaces the one that uses the worker's token."""
    kernel.hide_from_same_user()
    kernel.adopt_orphans()
    stop = stop_on(signal.SIGTERM, signal.SIGINT, within=settings.grace_seconds + HAND_BACK_SECONDS)
    try:
        taken = take_attempt(settings, attempt, stop)
        _run(settings, taken, stop, hub_gateway)
    except JobGone as error:
        print(error)
    except ZygoteBroken as error:
        print(f"No evaluation can run here: {error}", file=sys.stderr)
        return 3
    except CallRefused as error:
        print(f"The attempt ends without an outcome, and the bot relaunches it: {error}", file=sys.stderr)
        return 2
    except (BadBoard, BadSuite, RedisMissing, SecretMissing, BadMessage, WorkerError, OSError) as error:
        print(f"The worker cannot start. {error}", file=sys.stderr)
        return exit_code(error)
    return 0


def take_attempt(settings: WorkerSettings, attempt: str, stop: Stop) -> TakenAttempt:
    """Take the job of `attempt` out of the queue. Raises JobGone, and what reading the settings raises."""
    if ATTEMPT_ID.fullmatch(attempt) is None:
        raise NotAnAttempt(f"{attempt!r} is not the id of an attempt.")
    if settings.board_url:
        return _take_over_https(settings, attempt, stop)
    board, suite = board_and_suite(settings)
    keys = Keys(board.name)
    with connect(settings.redis_url) as redis:
        job = take_out(redis, [keys.queue(tier) for tier in TIERS], attempt)
    if job is None:
        raise JobGone(f"No queue has a job of {attempt}: it was recalled, or another worker has it.")
    return TakenAttempt(job, board, suite)


def _take_over_https(settings: WorkerSettings, attempt: str, stop: Stop) -> TakenAttempt:
    token = settings.token_of_attempt()
    if not token:
        raise SecretMissing("Set STEWARD_ATTEMPT_TOKEN, or STEWARD_ATTEMPT_TOKEN_FILE, to the attempt's token.")
    link = HttpsLink(settings.board_url, attempt, token, worker=new_worker_name())
    taken = _take_job(link, stop)
    board = parse_board(taken.board)
    suite = parse_suite(taken.suite) if taken.suite else find_suite(board.suite)
    return TakenAttempt(taken.job, board, suite, link, taken.seconds)


def _take_job(link: HttpsLink, stop: Stop) -> TakenJob:
    """Take the job; a bot that is being restarted has some time to answer. Raises JobGone, BoardUnreachable."""
    give_up = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return link.take_job()
        except AttemptTokenRefused:
            raise
        except BoardUnreachable as error:
            if stop.is_set() or time.monotonic() > give_up:
                raise
            log.warning("%s", error)
        time.sleep(PAUSE_SECONDS)


def _run(settings: WorkerSettings, taken: TakenAttempt, stop: Stop, hub_gateway: HubGateway | None) -> None:
    """Run the attempt; hand it back unless it ended. Raises CallRefused."""
    link = taken.link or BoardRedis(settings.redis_url, taken.board.name)
    worker = taken.link.worker if taken.link is not None else new_worker_name()
    served = (taken.board, taken.suite) if taken.link is not None else None
    ended = False
    try:
        with open_worker_context(settings, hub_gateway, served=served) as opened:
            worker_context = replace(
                opened,
                worker=worker,
                seconds=taken.seconds,
                stopping=lambda: stop.is_set() or _is_refused(taken),
            )
            worker_context.zygote_client.start()
            worker_context.zygote_client.wait_until_ready(stop=stop.is_set)
            report_isolation(worker_context)
            ended = "handed-back" not in AttemptRun(worker_context, taken.job, link).evaluate()
    except CallRefused:
        ended = True  # handed back, it would be evaluated again and again: the bot counts an attempt that goes silent
        raise
    finally:
        if not ended:
            _hand_back(link, taken.job, worker)


def _is_refused(taken: TakenAttempt) -> bool:
    """Whether the bot no longer accepts the token, so that this worker cannot end its attempt."""
    return taken.link is not None and taken.link.is_refused


def _hand_back(link: BoardLink, job: EvaluationJob, worker: str) -> None:
    """Free the attempt for another worker. If the calls fail, the bot notices that the attempt is silent."""
    with suppress(*UNHEARD):
        link.attempts().hand_back(job.attempt, worker=worker)
        link.mark(job.path)
