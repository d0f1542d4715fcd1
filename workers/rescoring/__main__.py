"""`python -m workers.rescoring`: a process that scores stored answers again, for the command `steward rescore`.

It holds no token, and needs no network. The first line of standard input is a JSON object: `suite` (a suite file's
text), `processes`, `parent` (a process id), `tasks` (a folder of other task files, or null). Each further line is an
order: `results` (a results file), `tables` (a folder with `{task}.parquet`), `source`, `at`, `out` (the results file to
write), `samples` and `new_tables` (folders, or null). It answers each with one line:
`{"answers": …, "scored": …, "timed_out": […]}` or `{"refused": "why"}`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboard.suites import Suite, parse_suite
from workers.common import kernel
from workers.errors import RescoringRefused

if TYPE_CHECKING:
    from workers.rescoring.evaluator_rescorer import EvaluatorRescorer
    from workers.rescoring.rescorer import Rescorer


def main() -> None:
    """Answer orders until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps output of the harness and its metrics apart from the answers
    beginning: dict[str, Any] = json.loads(sys.stdin.readline())
    kernel.die_with_parent(beginning["parent"])
    logging.disable(logging.WARNING)  # the harness warns of each question that lacks a choice
    suite = parse_suite(beginning["suite"])
    tasks = Path(beginning["tasks"]) if beginning["tasks"] else None
    with _rescorer(suite, beginning["processes"], tasks) as rescorer:
        for line in sys.stdin:
            print(json.dumps(_answer(rescorer, json.loads(line))), file=answers, flush=True)


def _rescorer(suite: Suite, processes: int, tasks: Path | None) -> Rescorer | EvaluatorRescorer:
    """The rescorer for the suite's evaluator. Only that for lm-eval imports the harness, which takes seconds."""
    if suite.evaluator is not None:
        from workers.rescoring.evaluator_rescorer import EvaluatorRescorer

        return EvaluatorRescorer(suite)
    from workers.rescoring.rescorer import Rescorer

    return Rescorer(suite, processes, tasks)


def _answer(rescorer: Rescorer | EvaluatorRescorer, order: dict[str, Any]) -> dict[str, Any]:
    samples, new_tables = (Path(order[name]) if order[name] else None for name in ("samples", "new_tables"))
    try:
        rescored = rescorer.rescore(
            Path(order["results"]).read_bytes(),
            Path(order["tables"]),
            source=order["source"],
            at=order["at"],
            samples=samples,
            new_tables=new_tables,
        )
    except RescoringRefused as error:
        return {"refused": str(error)[:4_000]}
    except Exception as error:  # noqa: BLE001  # boundary: an untrusted table must not end other rescorings
        traceback.print_exc()
        return {"refused": f"its answers cannot be scored: {type(error).__name__}: {error}"[:4_000]}
    Path(order["out"]).write_bytes(rescored.data)
    return {"answers": rescored.answers, "scored": rescored.scored, "timed_out": list(rescored.timed_out)}


if __name__ == "__main__":
    main()
