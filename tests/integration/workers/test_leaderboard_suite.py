"""The suite `open-llm-v2` with lm-eval's own `leaderboard` tasks: a worker computes the scores of `lm_eval`.

`make test` runs some tasks of each benchmark, `make long` all.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from benchmarks.suites import open_llm_v2
from benchmarks.suites.rows import files
from leaderboard.attempts import Outcome
from leaderboard.boards import RESTRICTED
from leaderboard.details import table_path
from leaderboard.results import read_results
from leaderboard.suites import Suite
from tests.support.models import suite_v2_datasets
from tests.support.units.direct_errors import direct_error
from tests.support.workers.real_worker import WORLD, RealWorker, running_worker
from tests.support.workers.reference_scores import ReferenceScores
from workers.models.tiny_model import model

MUSR, MOVED = "TAUR-Lab/MuSR", "ada/musr"
BBH = "SaylorTwift/bbh"
EXTRAS = ("langdetect", "immutabledict", "nltk", "sympy", "math_verify", "antlr4")
missing = [name for name in EXTRAS if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"the harness's extras math and ifeval lack {missing}"),
    pytest.mark.timeout(400),
]


@dataclass(frozen=True)
class Compared:
    """The results of a worker and of the `lm_eval` command for one model, and the commits of the questions."""

    suite: Suite
    stand: RealWorker
    outcome: Outcome
    ours: dict[str, Any]
    theirs: dict[str, Any]
    revisions: dict[str, str]


def owners() -> dict[str, Any]:
    """A Hub with the organisations that publish the questions."""
    named = {repo.split("/")[0] for repo in suite_v2_datasets.REPOS}
    return {**WORLD, "orgs": [*WORLD["orgs"], *({"name": name, "members": {"ada": "admin"}} for name in named)]}


def publish(stand: RealWorker) -> dict[str, str]:
    """Upload all questions, and a copy of MuSR's; then change the copy and BBH; return the commits before that."""
    revisions = {repo: stand.upload(repo, files(rows()), "dataset") for repo, rows in suite_v2_datasets.REPOS.items()}
    revisions[MOVED] = stand.upload(MOVED, files(suite_v2_datasets.musr()), "dataset")
    stand.upload(MOVED, files(suite_v2_datasets.musr("A guest did it.")), "dataset")
    stand.upload(BBH, files(open_llm_v2.bbh(2)), "dataset")
    return revisions


@pytest.fixture(scope="module")
def compared(reference: ReferenceScores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    """Evaluate one model in both ways; the board pins the questions of BBH and those of its copy of MuSR to commits."""
    folder = tmp_path_factory.mktemp("v2")
    with running_worker(
        folder, reference.leaderboard.model_dump(mode="json", exclude_defaults=True), world=owners()
    ) as stand:
        revisions = publish(stand)
        board = yaml.safe_load((folder / "board.yaml").read_text())
        pinned = {**board, "questions": {MUSR: f"{MOVED}@{revisions[MOVED]}", BBH: f"{BBH}@{revisions[BBH]}"}}
        (folder / "board.yaml").write_text(yaml.safe_dump(pinned))
        revision = stand.upload("ada/tiny", model())
        (folder / "nltk" / "tokenizers" / "punkt_tab").mkdir(parents=True)  # none of the questions needs it
        stand.start_worker(STEWARD_BATCH_SIZE="8", NLTK_DATA=str(folder / "nltk"))
        (outcome,) = stand.run(stand.job("ada/tiny", revision))
        yield Compared(
            reference.leaderboard, stand, outcome, stand.results(outcome), reference.results("leaderboard"), revisions
        )


@pytest.mark.long("ten seconds of processor time; test_scores compares with `lm_eval`, too")
def test_all_scores_are_those_of_the_command(compared: Compared) -> None:
    """Scores and prompt hashes of all tasks and groups (39 and 6 of all) equal those of `lm_eval`."""
    assert compared.ours["results"] == compared.theirs["results"]
    assert compared.ours["task_hashes"] == compared.theirs["task_hashes"]
    assert set(compared.suite.tasks) <= set(compared.ours["results"])


def test_what_was_published_is_a_result_of_the_suite(compared: Compared) -> None:
    """The published results pass the checks for untrusted files, which compute the scores again."""
    assert compared.outcome.details is not None
    data = compared.stand.read(compared.outcome, compared.outcome.details.results_path)
    results = read_results(data, compared.suite)
    assert list(results.scores.by_name) == ["IFEval", "BBH", "MATH Lvl 5", "GPQA", "MuSR", "MMLU-PRO"]


def test_standard_errors_equal_a_direct_computation(compared: Compared) -> None:
    """The published standard errors equal those that plain loops over the published answers compute."""
    assert compared.outcome.details is not None
    path = compared.outcome.details.results_path
    time = path.removeprefix("results_").removesuffix(".json")
    block = read_results(compared.stand.read(compared.outcome, path), compared.suite).block
    rows = {}
    for benchmark in compared.suite.benchmarks:
        for task in benchmark.tasks:
            path = table_path(task.name, time)
            table = compared.stand.read(compared.outcome, path, restricted=benchmark.restricted)
            rows[task.name] = pq.read_table(BytesIO(table)).to_pylist()
    direct = {benchmark.name: direct_error(benchmark, rows) for benchmark in compared.suite.benchmarks}
    assert block.errors == pytest.approx(direct, rel=1e-5)
    assert block.average_error == pytest.approx(math.hypot(*direct.values()) / 6, rel=1e-5)


def test_the_published_results_say_what_was_asked_and_how_it_was_scored(compared: Compared) -> None:
    """The results record for each task the commit of its questions, and the modules and packages that score it."""
    assert compared.outcome.details is not None
    path = compared.outcome.details.results_path
    digests = read_results(compared.stand.read(compared.outcome, path), compared.suite).block.digests
    assert digests is not None
    assert set(digests.tasks) == set(compared.suite.tasks)
    assert digests.prompts
    assert all(task.asked.dataset.partition("@")[2] in compared.revisions.values() for task in digests.tasks.values())
    assert digests.tasks["leaderboard_musr_murder_mysteries"].asked.dataset == f"{MOVED}@{compared.revisions[MOVED]}"
    assert digests.tasks["leaderboard_mmlu_pro"].asked.shots == 5
    ifeval, hard_math = (digests.tasks[name].scored for name in ("leaderboard_ifeval", "leaderboard_math_algebra_hard"))
    assert {f"lm_eval.tasks.ifeval.{name}" for name in ("instructions", "instructions_registry")} <= set(ifeval.modules)
    assert "lm_eval.tasks.leaderboard.ifeval.utils" in ifeval.modules
    assert {"langdetect", "nltk"} <= set(ifeval.packages)
    assert "lm_eval.tasks.leaderboard.math.utils" in hard_math.modules
    assert {"math_verify", "latex2sympy2_extended", "sympy"} <= set(hard_math.packages)
    assert len(digests.model_dump_json()) < 60_000


def test_questions_come_from_where_the_board_holds_them(compared: Compared) -> None:
    """The worker reads the questions at the commits that the board pins, and the results record these commits."""
    recorded = compared.ours["steward"]["datasets"]
    wanted = {repo: commit for repo, commit in compared.revisions.items() if repo != MUSR}
    assert recorded == wanted


def test_one_subtask_is_at_its_real_shape(compared: Compared) -> None:
    """Each prompt of `date_understanding` has three examples, a question with six choices, and a realistic length."""
    assert compared.outcome.details is not None
    time = compared.outcome.details.results_path.removeprefix("results_").removesuffix(".json")
    table = compared.stand.read(compared.outcome, table_path("leaderboard_bbh_date_understanding", time))
    rows = pq.read_table(BytesIO(table)).to_pylist()
    assert [(row["prompt"].count("Options:"), len(row["prompt"]) > 1_000) for row in rows] == [(4, True), (4, True)]
    assert all(len(json.loads(row["continuations"])) == 6 for row in rows)


@pytest.mark.long("ten seconds of processor time; test_scores compares with `lm_eval`, too")
def test_restricted_answers_are_in_a_gated_repo_of_their_own(compared: Compared) -> None:
    """The answers to GPQA are in a gated repo, and the details with all other answers are public."""
    assert compared.outcome.details is not None
    from huggingface_hub import HfApi

    api, details = HfApi(compared.stand.hub.url, "hf_worker"), compared.outcome.details.repo
    assert api.dataset_info(f"{details}{RESTRICTED}").gated == "manual"
    assert api.dataset_info(details).gated is False
    assert not [path for path in api.list_repo_files(details, repo_type="dataset") if "gpqa" in path]
