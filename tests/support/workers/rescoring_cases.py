"""Pairs of suites with the same questions and different scoring, and evaluations of the same answers by both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from benchmarks.scripted_evaluations import SOURCE
from leaderboard.suites import Suite, parse_suite
from tests.support.models import suite_v1_datasets
from tests.support.workers import rescoring_script
from workers.evaluation.task_files import write_tasks
from workers.rescoring.process import RescoredFile, RescoringProcess

SUITES = Path(__file__).parents[3] / "leaderboard/suites"
AT = "2026-11-28T12:00:00Z"
QUIET = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
V1_FOLDERS = ("arc", "hellaswag", "mmlu", "truthfulqa", "winogrande", "gsm8k")


@dataclass(frozen=True)
class SuiteVersion:
    """One version of a suite: its text, and its task files."""

    text: str
    tasks: Path

    @property
    def suite(self) -> Suite:
        """The suite."""
        return parse_suite(self.text)


def own(folder: Path, changes: Mapping[str, str], errata: list[dict[str, Any]]) -> SuiteVersion:
    """Return the starter suite with texts replaced, and with errata."""
    text = (SUITES / "starter.yaml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    text += yaml.safe_dump({"errata": errata}) if errata else ""
    suite = parse_suite(text)
    return SuiteVersion(text, write_tasks(suite, folder, repo=suite.datasets[0].repo, revision="0" * 40))


def harness_tasks() -> Path:
    """The folder of the harness's task files."""
    harness = find_spec("lm_eval")
    assert harness is not None
    return Path(harness.origin or "").parent / "tasks"


def of_harness(
    folder: Path, text: str, groups: tuple[str, ...], changes: Mapping[str, Mapping[str, str]]
) -> SuiteVersion:
    """Return a suite of the harness's tasks with some changed files: path → old text → new text."""
    for group in groups:
        shutil.copytree(harness_tasks() / group, folder / group)
    for path, texts in changes.items():
        file = folder / path
        for old, new in texts.items():
            assert old in file.read_text(), (path, old)
            file.write_text(file.read_text().replace(old, new))
    return SuiteVersion(text, folder)


def starter_pair(folder: Path) -> tuple[SuiteVersion, SuiteVersion]:
    """The starter suite, and a version with another metric, an unnormalised comparison, and two withdrawn questions."""
    four = "\n    shots: 2\n    choices: 4"
    changes = {
        f'metrics: ["acc_norm,none"]{four}': f'metrics: ["acc,none"]{four}',
        '{name: starter_word_sorting}]\n    metrics: ["exact_match,answer"]': (
            '{name: starter_word_sorting}]\n    metrics: ["exact_match,none"]'
        ),
    }
    errata = [
        {"task": "starter_navigation", "question": 3, "reason": "two answers are right"},
        {"task": "starter_object_counting", "question": 0, "reason": "a thing is counted twice"},
    ]
    return own(folder / "old", {}, []), own(folder / "new", changes, errata)


def v1_pair(folder: Path) -> tuple[SuiteVersion, SuiteVersion]:
    """`open-llm-v1`, and a version with another regular expression of GSM8K, one more metric of ARC, and an erratum."""
    text = yaml.safe_dump(suite_v1_datasets.suite())
    changes = {
        "gsm8k/gsm8k.yaml": {r"#### (\\-?[0-9\\.\\,]+)": r"is (\\-?[0-9\\.\\,]+)"},
        "arc/arc_easy.yaml": {
            "- metric: acc\n": "- metric: brier_score\n    higher_is_better: false\n  - metric: acc\n"
        },
    }
    errata = {"errata": [{"task": "hellaswag", "question": 1, "reason": "no ending fits"}]}
    new = yaml.safe_dump({**suite_v1_datasets.suite(), **errata})
    return of_harness(folder / "old", text, V1_FOLDERS, {}), of_harness(folder / "new", new, V1_FOLDERS, changes)


def v2_pair(folder: Path) -> tuple[SuiteVersion, SuiteVersion]:
    """`open-llm-v2`, and a version with MATH's earlier metric, one more metric of MuSR, and a withdrawn question."""
    text = (SUITES / "open-llm-v2.yaml").read_text()
    metric = "  - metric: acc\n    aggregation: mean\n    higher_is_better: true\n"
    changes = {
        "leaderboard/math/utils.py": {'"exact_match": retval,': '"exact_match": original,'},
        "leaderboard/musr/_template_yaml": {"  - metric: acc_norm\n": f"{metric}  - metric: acc_norm\n"},
    }
    errata = {"errata": [{"task": "leaderboard_gpqa_main", "question": 1, "reason": "the key is wrong"}]}
    new = text + yaml.safe_dump(errata)
    groups = ("leaderboard",)
    return of_harness(folder / "old", text, groups, {}), of_harness(folder / "new", new, groups, changes)


def evaluate(folder: Path, *versions: SuiteVersion) -> list[Path]:
    """Evaluate the scripted model by each version in one process; return the folders of the evaluations."""
    orders, outs = [], []
    for place, version in enumerate(versions):
        out = folder / f"evaluation-{place}"
        order = folder / f"order-{place}.json"
        order.write_text(json.dumps({"suite": version.text, "tasks": str(version.tasks), "out": str(out)}))
        orders.append(str(order))
        outs.append(out)
    environment = {**os.environ, **QUIET, "HF_HOME": str(folder / "home"), "NLTK_DATA": str(nltk_data(folder))}
    command = [sys.executable, "-m", rescoring_script.__name__, *orders]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    return outs


def nltk_data(folder: Path) -> Path:
    """Return a folder with IFEval's sentence splitter, which none of the questions needs."""
    (folder / "nltk" / "tokenizers" / "punkt_tab").mkdir(parents=True, exist_ok=True)
    return folder / "nltk"


def rescore(
    evaluation: Path,
    version: SuiteVersion,
    out: Path,
    *,
    tables: Path | None = None,
    process: RescoringProcess | None = None,
) -> RescoredFile:
    """Score the answers of an evaluation again, by another version of its suite, into the folder `out`."""
    (out / "samples").mkdir(parents=True)

    def run(process: RescoringProcess) -> RescoredFile:
        return process.rescore(
            evaluation / "results.json",
            tables or evaluation / "tables",
            out / "results.json",
            source=SOURCE,
            at=AT,
            samples=out / "samples",
        )

    if process is not None:
        return run(process)
    with RescoringProcess(version.text, 2, version.tasks) as started:
        return run(started)


def metrics_of(samples: Path) -> dict[tuple[int, str], dict[str, Any]]:
    """Return (question, filter) → its metrics, from a file of the harness or of a rescoring."""
    metrics = {}
    for line in samples.read_text().splitlines():
        sample = json.loads(line)
        named = sample["metrics"]
        metrics[sample["doc_id"], sample["filter"]] = (
            named if isinstance(named, dict) else {name: sample[name] for name in named}
        )
    return metrics
