"""Each benchmark that a document names runs to its end, at its smallest size."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.long("runs real models for minutes; its figures need an idle machine"),
    pytest.mark.timeout(3600),
]

SMALLEST = {
    "admission": "--rounds 1",
    "commits": "--attempts 12 --workers 2 --minutes 1",
    "engine_flips": "--quick --model smollm2",
    "engines": "--quick",
    "evaluation": "--rounds 1",
    "fairness": "--requests 300 --submitters 20 --workers 4 --waiting 200",
    "localhub": "--files 200 --events 5",
    "reconcile": "--sizes 100",
    "rescore": "--evaluations 2 --questions 2 --processes 2",
    "resume": "--quick",
    "spine": "--rounds 1",
    "suites": "--questions 1 --command-questions 0",
    "throughput": "--models 2 --workers 1",
}
ROOT = Path(__file__).parents[2]
OLD_NAMES = {"adopted", "month", "peers"}
"""Names that docs/upgrading.md mentions: they start simulations."""


def test_every_benchmark_of_the_documents_is_run_here() -> None:
    """The documents name no benchmark that the table above lacks."""
    documents = [*ROOT.glob("docs/*.md"), ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
    texts = " ".join(document.read_text("utf-8") for document in documents)
    assert set(re.findall(r"\bbenchmarks\.([a-z_]+)", texts)) - OLD_NAMES <= SMALLEST.keys()


@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_runs_as_it_is_written_down(name: str) -> None:
    """`python -m benchmarks.NAME` ends with status 0, and its last line is a JSON object with figures."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALLEST[name].split(), "--json"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    assert json.loads(done.stdout.splitlines()[-1])
