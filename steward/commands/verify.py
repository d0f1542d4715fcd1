"""`steward verify`: a published evaluation, run again on this machine as it was recorded, and compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson
from steward.commands.saying import ending, say

if TYPE_CHECKING:
    from workers.jobs.verification import Verification

DIFFERS = 1


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(verify)


def verify(
    attempt: Annotated[str, typer.Argument(help="The attempt's id, as the request file and the thread name it.")],
    model: Annotated[str, typer.Option(help="org/name, where the requests cannot be listed.")] = "",
    as_json: AsJson = False,
) -> None:
    """Run a published evaluation again as recorded, and compare it sample by sample. Takes a worker's settings.

    Exit status 1 where samples or scores differ, 2 where it cannot be run here.
    """
    from steward.commands.board import sentences
    from steward.exit_statuses import MISCONFIGURED
    from workers.errors import WorkerError
    from workers.jobs.verification import verification_json as written
    from workers.jobs.verification_run import run_verification
    from workers.settings import WorkerSettings

    with sentences():
        try:
            found = run_verification(WorkerSettings(), attempt, model)
        except (WorkerError, OSError) as error:
            raise ending(f"{attempt} cannot be verified: {error}", MISCONFIGURED) from error
    print(written(found)) if as_json else say("\n".join(_lines(found)))
    raise typer.Exit(0 if found.equal else DIFFERS)


def _lines(found: Verification) -> Iterator[str]:
    block = found.block
    yield f"{block.model} @ {block.revision[:8]}, {block.precision}, suite {block.suite}"
    yield f"{'task':48}{'samples':>9}{'equal':>9}   first that differs"
    for task in found.tasks:
        yield f"{task.task:48}{task.samples:>9}{task.equal:>9}   {'' if task.first is None else task.first}"
    for name, (then, now) in found.scores.items():
        yield f"{name:48}{then:>9.4f}{now:>9.4f}{'' if then == now else '   DIFFERS'}"
    for name, (old, new) in found.versions.items():
        yield f"{name} was {old}, and is {new} here"
    if found.hardware[0] != found.hardware[1]:
        yield f"it ran on {found.hardware[0]}, and now on {found.hardware[1]}"
    yield "Equal, sample by sample." if found.equal else "It differs from what was published."
