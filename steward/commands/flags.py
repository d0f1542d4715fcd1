"""`steward flags`: lists flagged and reported models with the evidence, and imports tables of flags."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import Apply, AsJson, model_named, operator
from steward.commands.output import ending, say

if TYPE_CHECKING:
    from bot.flags.importing import FlagImport
    from bot.flags.reports import FlagReport
    from leaderboard.flags import FlagRecord

UNCHANGED, MISUSED = 1, 2
Model = Annotated[str, typer.Argument(help="The model's id on the Hub: org/name.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    group = typer.Typer(help="Flagged and reported models, and the evidence.", no_args_is_help=True)
    group.command("list")(list_flags)
    group.command()(show)
    group.command("import")(import_table)
    app.add_typer(group, name="flags")


def list_flags(as_json: AsJson = False) -> None:
    """List the reported models and the flagged models."""
    from bot.flags.reports import reports
    from steward.commands.board import open_board

    with open_board() as context:
        reported, flagged = reports(context), [record for record in context.flag_book.records() if record.stands]
    if as_json:
        print(json.dumps({"reported": [_json(it) for it in reported], "flagged": [_json(it) for it in flagged]}))
        return
    for report in reported:
        say(f"reported  {report.model}  {len(report.findings)} findings  {report.url}")
    for record in flagged:
        say(f"flagged   {record.model}  {record.category}  {record.thread}")
    if not (reported or flagged):
        print("No model is reported or flagged.")


def show(
    model: Model,
    others: Annotated[list[str] | None, typer.Option("--with", help="Another model to compare it with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the evidence for a flag on a model, and the decisions about it. Gathers the evidence if there is none."""
    from bot.flags.model_names import find_model
    from bot.flags.reports import find_report, gather_report
    from steward.commands.board import open_board

    with open_board() as context:
        named = find_model(context, model_named(model, context.hub.endpoint))
        if not named.is_known:
            raise ending(f"there is no model {model} on the Hub or on the board.", UNCHANGED)
        report = find_report(context, named.model)
        if report is None or not report.gathered or others:
            fresh = gather_report(
                context, named.model, (*(report.named if report is not None else ()), *(others or ()))
            )
            report = fresh if report is None else report.with_findings(fresh.findings)
        records = context.flag_book.of([named.model, *named.also])
    if as_json:
        print(json.dumps({"report": _json(report), "records": [_json(record) for record in records]}))
    else:
        say("\n".join(_flag_lines(report, records)))


def _json(record: FlagReport | FlagRecord) -> object:
    return record.model_dump(mode="json")


def _flag_lines(report: FlagReport, records: tuple[FlagRecord, ...]) -> Iterator[str]:
    if report.url:
        more = f", and in {len(report.threads) - 1} more" if len(report.threads) > 1 else ""
        yield f"{report.model} was reported by {report.reporter} in {report.url}{more}"
    for finding in report.findings:
        yield f"{finding.strength:6} {finding.code:22} {finding.message}{f' {finding.link}' if finding.link else ''}"
    if not report.findings:
        yield f"There is no evidence for a flag on {report.model}."
    for record in records:
        for decision in record.decisions:
            yield f"{decision.at}  {decision.what} by {decision.by}: {decision.reason or decision.category}"
        yield f"{record.model} is {'flagged' if record.stands else 'no longer flagged'}: {record.thread}"


def import_table(
    table: Annotated[Path, typer.Argument(help="JSON, YAML, or a Python file with the table: model → address.")],
    category: Annotated[str, typer.Option(help="Category of all imported flags.")] = "other",
    apply: Apply = False,
    write: Annotated[bool, typer.Option("--write", hidden=True, help="The earlier name of --apply.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import a hand-written table of flags and report unclear keys. Exit status 1 if a key cannot be imported."""
    from bot.flags import importing
    from hub.errors import HubError
    from leaderboard.flag_categories import CATEGORIES
    from leaderboard.flag_tables import LOST, BadFlagTable
    from steward.commands.board import open_board

    if category not in CATEGORIES:
        raise ending(f"unknown category {category}: use {', '.join(CATEGORIES)}.", MISUSED)
    with open_board() as context:
        if context.flags_repo is None:
            raise ending("the board has no flags repo; add one to the board file: repos: {flags: …}", MISUSED)
        try:
            flag_import = importing.read(context, table.read_text("utf-8"), category=category, by=operator())
        except (OSError, UnicodeDecodeError, BadFlagTable, HubError) as error:
            raise ending(f"{table} was not imported: {error}", MISUSED) from error
        wanted = apply or write
        written = wanted and importing.write(context, flag_import.records)
    _print_import(flag_import, as_json=as_json, written=written, wanted=wanted)
    raise typer.Exit(
        UNCHANGED if any(problem.code in LOST for problem in flag_import.problems) or wanted > written else 0
    )


def _print_import(flag_import: FlagImport, *, as_json: bool, written: bool, wanted: bool) -> None:
    if as_json:
        fields = {
            "records": [_json(item) for item in flag_import.records],
            "known": list(flag_import.known),
            "written": written,
        }
        print(json.dumps({**fields, "problems": [item.model_dump() for item in flag_import.problems]}))
        return
    for problem in flag_import.problems:
        say(f"{problem.code:11} {problem.message} {problem.advice}")
    done = "imported; a sync process writes them" if written else "not written" if wanted else "to be imported"
    held = " Edits are off or in shadow on this board." if wanted and not written else ""
    print(f"{len(flag_import.records)} flags {done}; {len(flag_import.known)} were imported before.{held}")
