"""Scores equal those of the `lm_eval` command digit for digit, with each engine, and with two copies of a child."""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest

from leaderboard.graded_answers import AnswerCollector
from leaderboard.result_digests import asked_digest, scored_digest
from leaderboard.scores import score
from leaderboard.steward_block import digest_parts, engine_use, phase_seconds
from leaderboard.uncertainty import standard_errors
from tests.support.units.direct_errors import direct_error
from tests.support.workers.child_runs import NAMES, ChildRuns, gpqa_questions
from tests.support.workers.evaluation_inputs import MODEL, STARTER
from tests.support.workers.reference_scores import ReferenceScores
from workers.jobs.recorded_attempt import describe_engine
from workers.jobs.sample_comparison import EngineTolerance, compare_task
from workers.publication.details import write_samples

pytestmark = pytest.mark.timeout(400)
CHOICES = {definition.task for definition in STARTER.definitions if definition.choices}
"""Tasks that compare the log-likelihoods of choices."""


@pytest.fixture(scope="module")
def command(reference: ReferenceScores) -> Path:
    """The folder that the `lm_eval` command wrote for the starter suite, while the children ran."""
    return reference.of("starter")


def results(file: Path) -> dict[str, Any]:
    """Read a results file."""
    data: dict[str, Any] = json.loads(file.read_text())
    return data


def test_scores_are_those_of_the_command_digit_for_digit(runs: ChildRuns, command: Path) -> None:
    """Results, hashes of prompts, and each sample's log-likelihoods and texts equal those of `lm_eval`.

    The command is the one that the board shows with such results.
    """
    ours, theirs = results(runs.starter / "results.json"), results(next(command.glob("results_*.json")))
    print(json.dumps({"child": ours["results"], "lm_eval": theirs["results"]}, indent=1))
    assert ours["results"] == theirs["results"]
    assert ours["task_hashes"] == theirs["task_hashes"]
    assert ours["n-shot"] == theirs["n-shot"]
    for task in STARTER.tasks:
        (samples,) = command.glob(f"samples_{task}_*.jsonl")
        assert (runs.starter / "samples" / f"{task}.jsonl").read_text() == samples.read_text()


def test_the_default_engine_gives_the_commands_results(runs: ChildRuns, command: Path) -> None:
    """Results and hashes of prompts equal those of `lm_eval` digit for digit; the results record the engine."""
    ours, theirs = results(runs.by_prefix / "results.json"), results(next(command.glob("results_*.json")))
    assert ours["results"] == theirs["results"]
    assert ours["task_hashes"] == theirs["task_hashes"]
    use = engine_use(ours)
    assert use is not None
    assert (use.engine, use.reason) == ("shared-prefix", "")
    assert 64 <= use.compared < 70
    assert use.largest_difference < 1e-4
    assert describe_engine(engine_use(results(runs.starter / "results.json"))) == "harness"


def test_two_engines_ask_the_same_and_score_in_the_same_way(runs: ChildRuns) -> None:
    """Both engines record the same digests, down to the tokens; each task names the modules that score it."""
    parts, others = (digest_parts(results(spool / "results.json")) for spool in (runs.starter, runs.by_prefix))
    assert parts is not None
    assert parts == others
    assert set(parts.tasks) == set(STARTER.tasks)
    for digests in parts.tasks.values():
        assert digests.prompts
        assert digests.asked.questions > 10
        assert {"lm_eval.api.task", "lm_eval.api.metrics", "lm_eval.evaluator"} <= set(digests.scored.modules)
    assert "/" not in str([*parts.modules, *parts.versions])


def test_two_copies_record_the_digests_of_one(runs: ChildRuns) -> None:
    """Two copies of a child, each with a part of the questions, record the digests of a single child."""
    alone, together = (digest_parts(results(spool / "results.json")) for spool in (runs.alone, runs.together))
    assert alone is not None
    assert alone == together


def test_a_chat_template_changes_the_prompts_and_not_what_is_asked(runs: ChildRuns) -> None:
    """With a chat template the digests of questions and of scoring are the same, and those of the prompts differ."""
    plain, chat = (digest_parts(results(spool / "results.json")) for spool in (runs.alone, runs.chat))
    assert plain is not None
    assert chat is not None
    assert asked_digest(plain) == asked_digest(chat)
    assert scored_digest(plain, "") == scored_digest(chat, "")
    assert all(plain.tasks[task].prompts != chat.tasks[task].prompts for task in plain.tasks)


@pytest.mark.long("one more evaluation; test_the_default_engine_gives_the_commands_results has the same engine")
def test_steward_eval_gives_the_commands_results(reference: ReferenceScores, command: Path) -> None:
    """`steward-eval`, which needs no board, gives the results and settings of `lm_eval`, and records its engine."""
    ours, theirs = reference.by_steward_eval(), results(next(command.glob("results_*.json")))
    assert ours["results"] == theirs["results"]
    assert ours["task_hashes"] == theirs["task_hashes"]
    engine = ours["config"].pop("engine")
    assert (engine["engine"], engine["reason"]) == ("shared-prefix", "")
    assert 64 <= engine["compared"] < 70
    assert ours["config"].pop("model") == "steward-hf"
    assert theirs["config"].pop("model") == "hf"
    assert ours["config"] == theirs["config"]


def test_samples_of_one_engine_are_verified_by_the_other(runs: ChildRuns, tmp_path: Path) -> None:
    """Every sample of one engine agrees with the other's: equal texts, and log-likelihoods up to the last digits."""
    dtype = results(runs.by_prefix / "results.json")["config"]["model_dtype"]
    tolerance = EngineTolerance(dtype)
    assert tolerance.epsilon is None
    for task in STARTER.tasks:
        tables = [tmp_path / f"{task}-{number}.parquet" for number in range(2)]
        for table, spool in zip(tables, (runs.starter, runs.by_prefix), strict=True):
            write_samples(spool / "samples" / f"{task}.jsonl", table, ())
        published, here = ([*pq.read_table(table).to_pylist()] for table in tables)
        comparison = compare_task(task, published, here, tolerance)
        assert (comparison.agreeing, comparison.first, comparison.texts) == (comparison.samples, None, 0)
        assert comparison.equal == comparison.samples or task in CHOICES
    assert 0 < tolerance.largest_difference < 1e-4
    assert tolerance.disagreement() == ""


def test_standard_errors_equal_a_direct_computation(runs: ChildRuns, tmp_path: Path) -> None:
    """The computed standard errors equal those that plain loops over the published rows give."""
    scores, collectors = score(results(runs.starter / "results.json")["results"], STARTER), dict[str, AnswerCollector]()
    rows: dict[str, list[dict[str, Any]]] = {}
    for benchmark in STARTER.benchmarks:
        for task in benchmark.tasks:
            collectors[task.name] = AnswerCollector(task.name, benchmark)
            samples, table = runs.starter / "samples" / f"{task.name}.jsonl", tmp_path / "table.parquet"
            write_samples(samples, table, benchmark.metrics, collectors[task.name].add)
            rows[task.name] = pq.read_table(table).to_pylist()
    answers = {task: collector.answers() for task, collector in collectors.items()}
    errors = standard_errors(answers, scores, STARTER).normalised
    direct = {benchmark.name: direct_error(benchmark, rows) for benchmark in STARTER.benchmarks}
    assert errors.benchmarks == pytest.approx(direct, rel=1e-5)
    assert errors.average == pytest.approx(math.hypot(*direct.values()) / len(direct), rel=1e-5)


def test_the_answers_are_not_all_the_same(runs: ChildRuns) -> None:
    """The model's answers differ between questions, so that the comparison of scores is meaningful."""
    lines = (runs.starter / "samples" / "starter_navigation.jsonl").read_text().splitlines()
    assert len({str(json.loads(line)["resps"]) for line in lines}) > 30


def test_progress_counts_every_request_up_to_the_last(runs: ChildRuns) -> None:
    """The reported progress ends at 480, the number of choices and texts of all questions."""
    assert runs.said.split() == ["load", "prepare", "evaluate", "score", "480", "480"]


def test_how_long_each_phase_took_is_told(runs: ChildRuns) -> None:
    """The results report the seconds of each phase."""
    seconds = phase_seconds(results(runs.starter / "results.json"))
    assert list(seconds) == ["load", "prepare", "evaluate"]
    assert seconds["evaluate"] > 0


def test_results_name_the_model_and_no_folder_of_this_machine(runs: ChildRuns) -> None:
    """The results name the model and its commit, and no folder of this machine."""
    text = (runs.starter / "results.json").read_text()
    fields = json.loads(text)
    assert fields["model_name"] == fields["config"]["model_name"] == MODEL
    assert fields["config"]["model_args"]["pretrained"] == MODEL
    assert fields["config"]["model_sha"] == fields["config"]["model_args"]["revision"]
    assert str(runs.starter.parent) not in text


def test_the_arguments_have_the_form_that_the_command_writes(runs: ChildRuns, command: Path) -> None:
    """The recorded model arguments equal those that `lm_eval` records.

    Only `lm_eval` needs the argument `use_safetensors`, because a worker loads no other weights.
    """
    ours, theirs = results(runs.starter / "results.json"), results(next(command.glob("results_*.json")))
    arguments, expected = ours["config"]["model_args"], theirs["config"]["model_args"]
    assert expected.pop("use_safetensors") is True
    assert arguments == expected


def test_the_spool_holds_what_was_promised_and_no_more(runs: ChildRuns) -> None:
    """The spool holds only the promised files; the harness's own folder is removed."""
    assert {path.name for path in runs.starter.iterdir()} == {"results.json", "samples", "datasets"}
    assert {path.stem for path in (runs.starter / "samples").iterdir()} == set(STARTER.tasks)


def test_gpqas_choices_are_shuffled_once_as_the_command_shuffles_them(runs: ChildRuns) -> None:
    """GPQA's choices are shuffled only once, from seed 0, although the task shuffles whenever it derives its table."""
    asked = [json.loads(line)["doc"] for line in (runs.gpqa / "samples/leaderboard_gpqa_diamond.jsonl").open()]
    shuffle = Random(0)
    for row, doc in zip(gpqa_questions(), asked, strict=True):
        choices = [row[name] for name in NAMES]
        shuffle.shuffle(choices)
        assert [doc[f"choice{i}"] for i in (1, 2, 3, 4)] == choices


def answers(spool: Path) -> list[dict[str, Any]]:
    """The samples of a dozen questions, in their order."""
    lines = (spool / "samples" / "quick_choose.jsonl").read_text().splitlines()
    return sorted(map(json.loads, lines), key=lambda sample: int(sample["doc_id"]))


def test_two_copies_find_what_one_finds(runs: ChildRuns) -> None:
    """Two data-parallel copies give the scores of one child, and the same answer to every question."""
    assert results(runs.together / "results.json")["results"] == results(runs.alone / "results.json")["results"]
    together, expected = answers(runs.together), answers(runs.alone)
    assert [sample["doc"] for sample in together] == [sample["doc"] for sample in expected]
    assert [sample["filtered_resps"] for sample in together] == [sample["filtered_resps"] for sample in expected]
