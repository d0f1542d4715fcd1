"""`open-llm-v1` for real: the six benchmarks of the first leaderboard, each with its shots, by a worker."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import v1_kit
import yaml
from real_worker_kit import WORLD, RealStand, real_stand
from v2_kit import files

from leaderboard.suites import find_suite, parse_suite
from workers.tiny import model

V1 = find_suite("open-llm-v1")
MMLU = [f"mmlu_{subject}" for subject in v1_kit.SUBJECTS]


def shorter() -> dict[str, Any]:
    """The suite with two of MMLU's subjects: 57 datasets take a minute to fetch."""
    suite: dict[str, Any] = yaml.safe_load(
        (Path(__file__).parents[3] / "leaderboard/suites/open-llm-v1.yaml").read_text()
    )
    suite["run"] = [*(task for task in suite["run"] if task != "mmlu"), *MMLU]
    suite["datasets"][2]["configs"] = list(v1_kit.SUBJECTS)
    suite["benchmarks"][2] |= {"source": MMLU[0], "tasks": [{"name": name} for name in MMLU]}
    return suite


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What a worker published of a tiny model."""
    named = {repo.split("/")[0] for repo in v1_kit.REPOS}
    orgs = [*WORLD["orgs"], *({"name": name, "members": {"ada": "admin"}} for name in named)]
    stand: RealStand
    with real_stand(tmp_path_factory.mktemp("v1"), shorter(), world={**WORLD, "orgs": orgs}) as stand:
        for repo, rows in v1_kit.REPOS.items():
            stand.upload(repo, files(rows()), "dataset")
        stand.start_worker(STEWARD_BATCH_SIZE="8")
        (outcome,) = stand.run(stand.job("ada/tiny", stand.upload("ada/tiny", model())))
        yield stand.results(outcome)


def test_each_benchmark_is_asked_with_its_shots(results: dict[str, Any]) -> None:
    """25 for ARC, 10 for HellaSwag, 5 for MMLU, Winogrande and GSM8K, none for TruthfulQA."""
    expected = parse_suite(yaml.safe_dump(shorter())).shots
    assert {task: results["n-shot"][task] for task in expected} == expected
    assert expected["arc_challenge"] == 25


def test_scores_are_the_raw_ones(results: dict[str, Any]) -> None:
    """Times 100; MMLU is the mean of its subjects, each of which counts once."""
    found, raw = results["steward"]["benchmarks"], results["results"]
    assert found["ARC"] == pytest.approx(100 * raw["arc_challenge"]["acc_norm,none"])
    assert found["GSM8K"] == pytest.approx(100 * raw["gsm8k"]["exact_match,strict-match"])
    assert found["MMLU"] == pytest.approx(100 * sum(raw[name]["acc,none"] for name in MMLU) / len(MMLU))
    assert results["steward"]["average"] == pytest.approx(sum(found.values()) / 6)


def test_the_suite_names_all_subjects_of_the_harness() -> None:
    """57 of them, and a dataset config for each."""
    found = find_spec("lm_eval")
    assert found is not None
    shipped = Path(found.origin or "").parent / "tasks/mmlu/default"
    names = {file.stem for file in shipped.glob("mmlu_*.yaml")}
    assert set(V1.benchmarks[2].tasks) and {task.name for task in V1.benchmarks[2].tasks} == names
    assert {f"mmlu_{config}" for config in V1.datasets[2].configs} == names
