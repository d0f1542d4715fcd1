"""The command `steward`. Each subcommand imports what it needs when it runs, so that `--help` is fast."""

from __future__ import annotations

import gc
import os
import re
import sys
from typing import Annotated, Literal

import typer
from typer._completion_classes import completion_init
from typer.models import CommandInfo, TyperInfo

from leaderboard import __version__
from steward.commands import (
    adopt,
    approve,
    check,
    doctor,
    effects,
    errors,
    evaluator,
    export,
    flags,
    inbox,
    init,
    logs,
    parked,
    queue,
    reevaluate,
    reproduce,
    rescore,
    search,
    self_check,
    shadow,
    status,
    submit,
    suite,
    tasks,
    thread_verbs,
    unknown,
    up,
    verify,
    watch,
)
from steward.commands.board import sentences

GROUPS = (
    adopt, approve, check, doctor, effects, errors, evaluator, export, flags, inbox, init, logs, parked, queue,
    reevaluate, reproduce, rescore, search, self_check, shadow, status, submit, suite, tasks, thread_verbs, unknown, up,
    verify, watch,
)  # fmt: skip
"""The modules that add commands."""
NEW_OBJECTS = 20_000
"""New objects after which Python searches for garbage. Its default is 700: nearly all that a process makes at its start
stays, and the searches take a tenth of the start."""
PANELS = {
    "Begin": ("demo", "init", "up", "doctor", "self-check", "adopt", "effects", "shadow", "completion"),
    "Run one process": ("serve", "sync", "schedule", "work"),
    "Submit": ("check", "submit"),
    "Look": (
        "status",
        "search",
        "why",
        "logs",
        "watch",
        "flags",
        "inbox",
        "parked",
        "unknown",
        "verify",
        "reproduce",
        "export",
        "evaluator",
        "suite",
    ),
    "Decide": (
        "approve",
        "pause",
        "resume",
        "hold",
        "unhold",
        "priority",
        "cancel",
        "reevaluate",
        "rescore",
        "errors",
        "tasks",
    ),
    "Write in a thread, as you": (
        "relaunch",
        "resubmit",
        "flag",
        "unflag",
        "dismiss",
        "rename",
        "remove",
        "restore",
        "publish-scores",
        "unpublish-scores",
        "reject",
    ),
}
"""Every command, in the order of the help."""

HELP = "Steward runs a public model leaderboard on the Hugging Face Hub."

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,  # `steward completion` prints the script, and installs nothing
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMPLETE = "_STEWARD_COMPLETE"
"""The variable with which a completion script asks for the next words."""

ZSH_COMPINIT = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n\n"
"""Loads zsh's completion, which a shell without a configuration lacks."""
ZSH_EVAL = r"""local answer="$(\1)"
  eval ${=answer//\'\'/\'\\\'\'}"""
"""Replaces the `eval` of typer's script, which loses the apostrophes in descriptions."""


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"steward {__version__}")
        raise typer.Exit


@app.callback(help=HELP)
def start(
    version: Annotated[  # its callback answers it
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options before the command."""


@app.command()
def serve() -> None:
    """Run the web server: it receives the Hub's webhooks and serves the pages and the API."""
    from bot.core.settings import BotSettings
    from bot.processes.web_app import serve as run

    with sentences():
        run(BotSettings())


@app.command()
def sync(
    timer: Annotated[bool, typer.Option(help="Run the timer too; not needed beside `steward schedule`.")] = True,
    until_idle: Annotated[
        bool,
        typer.Option(
            "--until-idle",
            help="Read everything from the Hub, do what is due, and end; without REDIS_URL, on a queue server of its "
            "own.",
        ),
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="With --until-idle: end after this time at the latest.")
    ] = None,
    namespace: Annotated[
        str,
        typer.Option(
            help="With --until-idle in Jobs on the Hub: where these run. One at a time then syncs the board.",
            metavar="ACCOUNT",
        ),
    ] = "",
) -> None:
    """Run a sync process, which keeps requests and threads in step with the Hub.

    With --until-idle: exit status 0 once nothing is due, 1 if it ended before.
    """
    if until_idle:
        raise typer.Exit(_sync_until_idle(seconds, namespace))
    if seconds is not None or namespace:
        raise typer.BadParameter("--seconds and --namespace go with --until-idle.")
    from bot.core.settings import BotSettings
    from bot.processes.sync_process import run_sync
    from steward.harness_recompute import harness_recompute

    with sentences():
        run_sync(BotSettings(), timer=timer, recompute=harness_recompute)


def _sync_until_idle(seconds: float | None, namespace: str) -> int:
    from hub.errors import HubError
    from steward.commands.output import ending
    from steward.exit_statuses import MISCONFIGURED
    from steward.until_idle import sync_until_idle

    with sentences():
        try:
            return sync_until_idle(seconds=seconds, namespace=namespace)
        except HubError as error:
            raise ending(error, MISCONFIGURED) from error


@app.command()
def schedule() -> None:
    """Run the timer alone: it marks work that is due, and the sync processes do it."""
    from bot.core.settings import BotSettings
    from bot.processes.sync_process import run_schedule

    with sentences():
        run_schedule(BotSettings())


@app.command()
def work(
    once: Annotated[
        str,
        typer.Option(help="Evaluate this attempt alone, if its job waits in the queue, and end.", metavar="ATTEMPT"),
    ] = "",
) -> None:
    """Run an evaluation worker on this machine."""
    from workers.jobs.once import main as work_once
    from workers.jobs.worker import main as work_for_ever
    from workers.settings import WorkerSettings

    with sentences():
        raise typer.Exit(work_once(WorkerSettings(), once) if once else work_for_ever(WorkerSettings()))


@app.command()
def demo(
    headless: Annotated[bool, typer.Option(help="No live display; stop when every evaluation has ended.")] = False,
    suite: Annotated[
        str, typer.Option(help="The suite: `starter`, or a suite file that uses some of its questions.")
    ] = "starter",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Show Steward on this machine: a local Hub, a queue server, the bot, a worker, and four submissions."""
    from steward.demo.run import run_demo

    with sentences():
        raise typer.Exit(run_demo(headless=headless, as_json=as_json, suite=suite))


@app.command()
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="The shell that reads the script.")],
) -> None:
    """Print a script that completes commands and options: source <(steward completion bash), the same with zsh; in fish
    steward completion fish | source"""
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="steward", complete_var=COMPLETE, shell=shell)  # nosec B604  # its name
    if shell == "zsh":
        script = re.sub(r"eval \$\((.+)\)", lambda match: ZSH_EVAL.replace(r"\1", match[1]), script)
        script = script.replace("\n\n", f"\n\n{ZSH_COMPINIT}", 1)
    print(script)


for group in GROUPS:
    group.register(app)


def _arrange() -> None:
    """Put every command into its panel of the help. Raises KeyError for a command without a panel."""
    panels = {name: panel for panel, names in PANELS.items() for name in names}
    order = list(panels)
    every: list[CommandInfo | TyperInfo] = [*app.registered_commands, *app.registered_groups]
    for info in every:
        info.rich_help_panel = panels[_name(info)]
    app.registered_commands.sort(key=lambda info: order.index(_name(info)))


def _name(info: CommandInfo | TyperInfo) -> str:
    return str(info.name or getattr(info.callback, "__name__", ""))


_arrange()


def main() -> None:
    """Run the command line. docs/reference-cli.md lists the exit statuses.

    Warnings and errors alone are logged, on standard error, so that a command's output stands alone.
    """
    gc.set_threshold(NEW_OBJECTS)
    if COMPLETE in os.environ:
        completion_init()
    elif not {"-h", "--help", "--version", "self-check"} & {*sys.argv}:  # these import nothing that they do not need
        from redis_state.logs import configure_logs

        configure_logs("warning")
    app()


if __name__ == "__main__":
    main()
