"""`steward flags`: which models are flagged or reported, what speaks for it, and tables of flags from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson, operator
from steward.commands.saying import ending, say

if TYPE_CHECKING:
    from bot.flags.importing import FlagImport
    from bot.flags.reports import FlagReport
    from leaderboard.flags import FlagRecord

UNCHANGED, MISUSED = 1, 2
Model = Annotated[str, typer.Argument(help="Its id on the Hub, org/name.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    group = typer.Typer(help="Models that are flagged or reported, and the evidence.", no_args_is_help=True)
    group.command("list")(list_flags)
    group.command()(show)
    group.command("import")(import_table)
    app.add_typer(group, name="flags")


def list_flags(as_json: AsJson = False) -> None:
    """List the models that are reported, and those that are flagged."""
    from bot.flags.reports import reports
    from steward.commands.board import open_board

    with open_board() as context:
        reported, flagged = reports(context), [one for one in context.flag_book.records() if one.stands]
    if as_json:
        found = {"reported": [_json(one) for one in reported], "flagged": [_json(one) for one in flagged]}
        print(json.dumps(found))
        return
    for report in reported:
        say(f"reported  {report.model}  {len(report.findings)} findings  {report.url}")
    for record in flagged:
        say(f"flagged   {record.model}  {record.category}  {record.thread}")
    if not (reported or flagged):
        print("Nothing is reported, and nothing is flagged.")


def show(
    model: Model,
    others: Annotated[list[str] | None, typer.Option("--with", help="Another model to compare it with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what speaks for a flag on a model, and what was decided about it. Gathered now, where nobody reported it."""
    from bot.flags.model_names import find_model
    from bot.flags.reports import find_report, gather_report
    from steward.commands.board import open_board

    with open_board() as context:
        named = find_model(context, model)
        if not named.is_known:
            raise ending(f"there is no model {model}, neither on the Hub nor on the board.", UNCHANGED)
        report = find_report(context, named.model)
        if report is None or not report.gathered or others:
            fresh = gather_report(
                context, named.model, (*(report.named if report is not None else ()), *(others or ()))
            )
            report = fresh if report is None else report.model_copy(update={"findings": fresh.findings})
        records = context.flag_book.of([named.model, *named.also])
    if as_json:
        print(json.dumps({"report": _json(report), "records": [_json(one) for one in records]}))
    else:
        say("\n".join(_flag_lines(report, records)))


def _json(one: FlagReport | FlagRecord) -> object:
    return one.model_dump(mode="json")


def _flag_lines(report: FlagReport, records: tuple[FlagRecord, ...]) -> Iterator[str]:
    if report.url:
        more = f", and in {len(report.threads) - 1} more" if len(report.threads) > 1 else ""
        yield f"{report.model} was reported by {report.reporter} in {report.url}{more}"
    for finding in report.findings:
        yield f"{finding.strength:6} {finding.code:22} {finding.message}{f' {finding.link}' if finding.link else ''}"
    if not report.findings:
        yield f"Nothing speaks for a flag on {report.model}."
    for record in records:
        for decision in record.decisions:
            yield f"{decision.at}  {decision.what} by {decision.by}: {decision.reason or decision.category}"
        yield f"{record.model} is {'flagged' if record.stands else 'not flagged any more'}: {record.thread}"


def import_table(
    table: Annotated[Path, typer.Argument(help="JSON, YAML, or a Python file with the table: model → address.")],
    category: Annotated[str, typer.Option(help="Category of all of them.")] = "other",
    write: Annotated[bool, typer.Option("--write", help="Write them; without it they are only shown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import flags that were kept by hand; each key that is not clean is told. Exit status 1 where one was lost."""
    from bot.flags import importing
    from hub.errors import HubError
    from leaderboard.flag_tables import LOST, BadFlagTable
    from leaderboard.flags import CATEGORIES
    from steward.commands.board import open_board

    if category not in CATEGORIES:
        raise ending(f"{category} is none of {', '.join(CATEGORIES)}.", MISUSED)
    with open_board() as context:
        if context.flags_repo is None:
            raise ending("the board has no repo of flags; name one in the board file: repos: {flags: …}", MISUSED)
        try:
            found = importing.read(context, table.read_text("utf-8"), category=category, by=operator())
        except (OSError, UnicodeDecodeError, BadFlagTable, HubError) as error:
            raise ending(f"{table} was not imported: {error}", MISUSED) from error
        written = write and importing.write(context, found.records)
    _print_import(found, as_json=as_json, written=written, wanted=write)
    raise typer.Exit(UNCHANGED if any(one.code in LOST for one in found.problems) or write > written else 0)


def _print_import(found: FlagImport, *, as_json: bool, written: bool, wanted: bool) -> None:
    if as_json:
        said = {"records": [_json(one) for one in found.records], "known": list(found.known), "written": written}
        print(json.dumps({**said, "problems": [one.model_dump() for one in found.problems]}))
        return
    for problem in found.problems:
        say(f"{problem.code:11} {problem.message} {problem.advice}")
    done = "imported; a sync process writes them" if written else "not written" if wanted else "would be imported"
    held = " Edits are off or in shadow on this board." if wanted and not written else ""
    print(f"{len(found.records)} flags {done}, {len(found.known)} were known.{held}")
