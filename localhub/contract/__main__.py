"""`python -m localhub.contract`: test on a Hub what Steward relies on. See docs/localhub.md.

Exit status: 0 if no fact differs, 1 if one does or something could not be removed, 2 for options that do not fit
together, 130 after Ctrl-C.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from types import FrameType

from localhub.contract.options import ContractOptions, UsageError, read_options
from localhub.contract.plan import fact_lines, plan_lines
from localhub.contract.session import note, remove_left_overs, try_facts

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        options = read_options(arguments, os.environ)
        if options.cleanup:
            return _clean_up(options)
        if options.dry_run:
            print("\n".join([*plan_lines(options), *fact_lines(options), "", "A dry run: nothing was called."]))
            return 0
        note("\n".join(plan_lines(options)))
        confirm(options)
        return _test_and_report(options)
    except UsageError as error:
        note(f"localhub.contract: {error}")
        return _USAGE
    except KeyboardInterrupt:
        note("Interrupted. Run again with --cleanup to remove what is left.")
        return _INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)


def _test_and_report(options: ContractOptions) -> int:
    report, was_interrupted = try_facts(options)
    print(report.as_markdown() if options.markdown else report.as_text())
    if options.json_file is not None:
        options.json_file.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    if report.left:
        note("Run again with --cleanup to remove what is left.")
    if was_interrupted:
        return _INTERRUPTED
    return _FAILED if report.differs or report.left else 0


def _clean_up(options: ContractOptions) -> int:
    if not options.dry_run:
        confirm(options)
    problems = remove_left_overs(options)
    for problem in problems:
        note(problem)
    return _FAILED if problems else 0


def confirm(options: ContractOptions) -> None:
    """Ask before anything is written to a Hub that is not on this machine. Raises UsageError without a yes."""
    if options.is_local or options.yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("This Hub is not on this machine: look at --dry-run, then pass --yes.")
    if input(f"Write to {options.namespace} at {options.endpoint}? Type yes: ").strip().lower() != "yes":
        raise UsageError("Nothing was called.")


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
