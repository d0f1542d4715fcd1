"""`steward sync --until-idle`: a bot that starts, does all work that is due, and ends.

Without REDIS_URL it starts a queue server of its own in a temporary folder, which it deletes at the end: the Hub is the
only database. On a board with worker backends it runs the web server too, as a process without the bot's token: the
workers of backends speak with it.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from redis_state.logs import configure_logs, write_line
from redis_state.stopping import Stop, stop_on
from steward.exit_statuses import LEFT

if TYPE_CHECKING:
    from bot.core.settings import BotSettings

JOB_ID, EVENT = "JOB_ID", "WEBHOOK_PAYLOAD"
"""Variables that the Hub sets in a Job, and in one that a webhook started."""


def sync_until_idle(*, seconds: float | None, namespace: str) -> int:
    """Sync until nothing is due; return an exit status. Raises SettingsError, ValkeyMissing, HubError, RedisMissing.

    With `namespace`, this process is a Job in that account; one Job of the board syncs at a time.
    """
    from bot.core.settings import BotSettings
    from bot.processes.until_idle import run_until_idle
    from steward.harness_recompute import harness_recompute

    stop = stop_on(signal.SIGTERM, signal.SIGINT)
    settings = BotSettings()
    board = settings.read_board()
    settings.token()
    if namespace and not _is_our_turn(settings, namespace, board.name, stop):
        say("Another Job of this board reads everything after this one would have: nothing to do.")
        return 0
    with _services(settings, stop, serves=bool(board.backends)):
        report = run_until_idle(
            settings, stop, seconds=seconds, event=os.environ.get(EVENT, ""), recompute=harness_recompute
        )
    for line in report.lines():
        say(line)
    return LEFT if report.remains else 0


def _is_our_turn(settings: BotSettings, namespace: str, board: str, stop: Stop) -> bool:
    from bot.core.settings import SettingsError
    from bot.processes.job_turns import JobTurns
    from hub.client import Hub

    configure_logs(settings.log_level, as_json=settings.log_json)
    own = os.environ.get(JOB_ID, "")
    if not own:
        raise SettingsError(f"--namespace is for Jobs on the Hub, which have {JOB_ID} set. Leave it out elsewhere.")
    hub = Hub(settings.hf_endpoint, settings.token_for_jobs())
    try:
        return JobTurns(hub, namespace, board, own).wait(stop)
    finally:
        hub.close()


@contextmanager
def _services(settings: BotSettings, stop: Stop, *, serves: bool) -> Iterator[None]:
    """Run a queue server, unless the settings name one, and the web server if the board needs it; keep them running."""
    from steward.commands.up import parts
    from steward.supervisor import Supervisor
    from steward.valkey import locked

    if serves:
        settings.require_free_port()
    environment, server = dict(os.environ), None
    with ExitStack() as stack:
        if not ({"redis_url", "redis_url_file"} & settings.model_fields_set and settings.redis_url):
            folder = tempfile.TemporaryDirectory(prefix="steward-", ignore_cleanup_errors=True)
            server = stack.enter_context(locked(Path(stack.enter_context(folder)) / "redis", say))
            settings.redis_url = environment["REDIS_URL"] = server.url
        web = [part for part in parts(environment, worker=False) if part.name == "serve"] if serves else []
        supervisor = Supervisor(web, say, server.revive if server is not None else lambda: None)
        ended = Stop()

        def keep_running() -> None:
            try:
                if supervisor.run(ended):
                    stop.set()  # the web server cannot start: its message says why
            except Exception as error:  # noqa: BLE001  # boundary: a run without its queue server would wait for good
                say(f"a service ended and cannot be started again: {error}")
                stop.set()

        keeper = threading.Thread(target=keep_running, name="services", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()


def say(words: str) -> None:
    """Print a line for the log of the Job."""
    write_line(f"steward: {words}")
