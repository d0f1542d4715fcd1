"""`steward`: every command, each importing what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

app = typer.Typer(
    help="Steward runs a public model leaderboard on the Hugging Face Hub.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

MISCONFIGURED = 2
"""Exit status where a setting is missing or wrong, or a service that is needed does not answer."""


def _or_say_why(work: Callable[[], int | None]) -> None:
    """Run `work`; what an operator can mend ends in a sentence, not in a traceback."""
    from bot.settings import SettingsError
    from leaderboard.boards import BadBoard
    from leaderboard.suites import BadSuite
    from steward.valkey import ValkeyMissing
    from wire.errors import WireError

    try:
        status = work()
    except (SettingsError, BadBoard, BadSuite, WireError, ValkeyMissing) as error:
        print(f"steward: {error}", file=sys.stderr)
        raise typer.Exit(MISCONFIGURED) from error
    raise typer.Exit(status or 0)


@app.command()
def serve() -> None:
    """Run the web server: the Hub's webhooks in, health out."""

    def work() -> None:
        from bot.app import serve as run
        from bot.settings import BotSettings

        run(BotSettings())

    _or_say_why(work)


@app.command()
def sync() -> None:
    """Run a sync process: bring requests and threads in step with the Hub."""

    def work() -> None:
        from bot.settings import BotSettings
        from bot.sync.process import run_sync

        run_sync(BotSettings())

    _or_say_why(work)


@app.command()
def work() -> None:
    """Run an evaluation worker on this machine."""

    def run() -> int:
        from workers.worker import main as work_for_ever

        from workers.settings import WorkerSettings

        return work_for_ever(WorkerSettings())

    _or_say_why(run)


@app.command()
def demo(
    headless: Annotated[bool, typer.Option(help="No live display; stop when all is done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Show the whole on this machine: a Hub of its own, a queue, a bot, a worker, and four submissions."""

    def run() -> int:
        from steward.demo.run import run_demo

        return run_demo(headless=headless, as_json=as_json)

    _or_say_why(run)


def main() -> None:
    """The entry point of the command `steward`."""
    app()


if __name__ == "__main__":
    main()
