"""`steward reproduce`: runs a published evaluation again, and says in what its answers differ, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from steward.commands.board import AsJson
from steward.commands.output import ending, say

if TYPE_CHECKING:
    from workers.jobs.reproduction_report import DifferentSample, Reproduction

DIFFERS = 1
MAX_TEXT, MAX_TOKENS = 200, 24
"""Characters of a text, and tokens of a prompt, that are shown from a little before the first difference."""
CONTEXT = 40, 6
"""Characters and tokens that are shown before the first difference."""
VERDICTS: Mapping[str, str] = {
    "same": "The same: every prompt and every answer.",
    "other-digits": "Same answers, other last digits: numbers differ by at most {largest:.2g}.",
    "other-answers": "Other answers.",
    "other-prompt": "Another prompt: the model was asked something else.",
}


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(reproduce)


def reproduce(
    result: Annotated[
        str, typer.Argument(help="An attempt's id, the path of a request or of a results file, or a results file here.")
    ],
    questions: Annotated[
        int | None, typer.Option(min=1, help="Ask only so many recorded prompts of each task again, as they were.")
    ] = None,
    model: Annotated[str, typer.Option(help="The model's id (org/name), if the requests repo cannot be listed.")] = "",
    precision: Annotated[str, typer.Option(help="Another precision than the recorded one.")] = "",
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Another batch size than the recorded one.")
    ] = None,
    engine: Annotated[
        Literal["harness", "shared-prefix"] | None, typer.Option(help="Another engine than the recorded one.")
    ] = None,
    chat_template: Annotated[
        bool | None,
        typer.Option(
            "--chat-template/--no-chat-template", help="With or without the chat template, whatever was recorded."
        ),
    ] = None,
    shots: Annotated[
        int | None, typer.Option(min=0, max=100, help="Another number of examples before each question, in all tasks.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a published evaluation again, and say in what its answers differ, and why. Uses the worker's settings.

    Everything is as recorded, unless an option says otherwise. The verdict is one of: the same; same answers, other
    last digits; other answers; another prompt. Exit status 1 unless it is one of the first two, 2 if the evaluation
    cannot run here.
    """
    from steward.commands.board import sentences
    from steward.exit_statuses import MISCONFIGURED
    from workers.errors import WorkerError
    from workers.jobs.reproduction import OtherSettings, run_reproduction
    from workers.jobs.reproduction_report import reproduction_json
    from workers.settings import WorkerSettings

    other = OtherSettings(precision, batch_size, engine, chat_template, shots)
    with sentences():
        try:
            reproduction = run_reproduction(WorkerSettings(), result, model=model, questions=questions, other=other)
        except (WorkerError, OSError) as error:
            raise ending(f"{result} cannot be reproduced: {error}", MISCONFIGURED) from error
    print(reproduction_json(reproduction)) if as_json else say("\n".join(_lines(reproduction)))
    raise typer.Exit(0 if reproduction.verdict in ("same", "other-digits") else DIFFERS)


def _lines(reproduction: Reproduction) -> Iterator[str]:
    block = reproduction.block
    yield f"{block.model} @ {block.revision[:8]}, {block.precision}, suite {block.suite}"
    how = "recorded prompts asked again" if reproduction.replayed else "samples compared"
    counts = ", ".join(f"{count} {name}" for name, count in reproduction.counts.items() if count)
    yield f"{reproduction.samples} {how}: {counts}"
    for task, why in reproduction.left_out.items():
        yield f"Left out: {task} ({why})"
    if reproduction.first is not None:
        yield from _side_by_side(reproduction.first)
    yield VERDICTS[reproduction.verdict].format(largest=reproduction.largest_difference)
    if reproduction.reasons:
        why = "Also different, without effect" if reproduction.verdict == "same" else "Why"
        yield f"{why} (the first is the published evaluation, the second is this one):"
        yield from (f"- {reason}" for reason in reproduction.reasons)


def _side_by_side(sample: DifferentSample) -> Iterator[str]:
    """The first sample that differs, a line for each side."""
    yield f"The first sample that differs: question {sample.doc_id} of {sample.task}"
    published, here = sample.published, sample.here
    if published.prompt != here.prompt:
        start = max(0, _first_difference(published.prompt, here.prompt) - CONTEXT[0])
        yield from _pair("prompt", *(repr(side.prompt[start : start + MAX_TEXT]) for side in (published, here)))
    if published.tokens or here.tokens:
        start = max(0, _first_difference(published.tokens, here.tokens) - CONTEXT[1])
        if published.tokens == here.tokens:
            start = max(0, len(here.tokens) - MAX_TOKENS)
        shown = (side.tokens[start : start + MAX_TOKENS] for side in (published, here))
        yield from _pair(f"tokens from {start} on", *(" ".join(map(str, tokens)) for tokens in shown))
    names = sample.choices or tuple("answer" for _ in published.answers)
    answers = zip(names, published.answers, here.answers, strict=False)
    for name, theirs, own in answers:
        label = f"log-likelihood of {name[:60]!r}" if sample.choices else name
        texts = (theirs, own) if sample.choices else (repr(theirs[:MAX_TEXT]), repr(own[:MAX_TEXT]))
        yield from _pair(label, *texts)
    if published.metrics != here.metrics:
        yield from _pair("metrics", *(side.metrics[:MAX_TEXT] for side in (published, here)))


def _pair(name: str, published: str, here: str) -> Iterator[str]:
    yield f"  {name}"
    yield f"    published  {published}"
    yield f"    here       {here}"


def _first_difference(first: Sequence[object], second: Sequence[object]) -> int:
    """The place of the first difference; the length of the shorter sequence if the longer one begins with it."""
    pairs = zip(first, second, strict=False)
    return next((at for at, pair in enumerate(pairs) if pair[0] != pair[1]), min(len(first), len(second)))
