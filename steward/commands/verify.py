"""`steward verify`: runs a published evaluation again on this machine, as recorded, and compares the results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steward.commands.board import AsJson
from steward.commands.output import ending, say

if TYPE_CHECKING:
    from workers.jobs.verification import Verification

DIFFERS = 1


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(verify)


def verify(
    attempt: Annotated[str, typer.Argument(help="The attempt's id, as the request file and the thread name it.")],
    model: Annotated[str, typer.Option(help="The model's id (org/name), if the requests repo cannot be listed.")] = "",
    engine: Annotated[
        Literal["harness", "shared-prefix"] | None,
        typer.Option(help="The engine, harness or shared-prefix; without it, the one of the published evaluation."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a published evaluation again as recorded, and compare it sample by sample. Uses the worker's settings.

    Another engine's log-likelihoods agree within its tolerance; scores are the same. Exit status 1 if samples or
    scores differ, 2 if the evaluation cannot run here.
    """
    from steward.commands.board import sentences
    from steward.exit_statuses import MISCONFIGURED
    from workers.errors import WorkerError
    from workers.jobs.verification import run_verification, verification_json
    from workers.settings import WorkerSettings

    with sentences():
        try:
            verification = run_verification(WorkerSettings(), attempt, model, engine)
        except (WorkerError, OSError) as error:
            raise ending(f"{attempt} cannot be verified: {error}", MISCONFIGURED) from error
    print(verification_json(verification)) if as_json else say("\n".join(_lines(verification)))
    raise typer.Exit(0 if verification.agrees else DIFFERS)


def _lines(verification: Verification) -> Iterator[str]:
    block = verification.block
    yield f"{block.model} @ {block.revision[:8]}, {block.precision}, suite {block.suite}"
    yield f"{'task':48}{'samples':>9}{'equal':>9}{'agree':>9}   first that does not agree"
    for task in verification.tasks:
        counts = f"{task.samples:>9}{task.equal:>9}{task.agreeing:>9}"
        yield f"{task.task:48}{counts}   {'' if task.first is None else task.first}"
    for name, (then, now) in verification.scores.items():
        yield f"{name:48}{then:>9.4f}{now:>9.4f}{'' if then == now else '   DIFFERS'}"
    for name, (old, new) in verification.versions.items():
        yield f"{name}: {old} in the published evaluation, {new} here"
    if verification.hardware[0] != verification.hardware[1]:
        yield f"hardware: {verification.hardware[0]} in the published evaluation, {verification.hardware[1]} here"
    yield _conclusion(verification)


def _conclusion(verification: Verification) -> str:
    published, here = verification.engines
    engines = f"Published by {published}, evaluated here by {here}" if published != here else f"Both by {here}"
    if not verification.agrees:
        reason = f" ({verification.disagreement})" if verification.disagreement else ""
        return f"{engines}: the results differ from the published ones{reason}."
    if verification.equal:
        return f"{engines}: every sample is equal."
    texts = sum(task.texts for task in verification.tasks)
    near_ties = f"; {texts} texts with the same score differ, as they may after a near tie" if texts else ""
    return (
        f"{engines}: scores and answers are the same, and log-likelihoods agree "
        f"(largest difference {verification.largest_difference:.2g}){near_ties}."
    )
