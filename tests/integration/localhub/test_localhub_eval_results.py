"""Scores in model repos and the leaderboards of benchmarks, through the client's own calls."""

from __future__ import annotations

import httpx
import pytest
import yaml
from huggingface_hub import EvalResultEntry, HfApi, eval_result_entries_to_yaml
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RepositoryNotFoundError

from tests.support.localhub.hub_accounts import fresh, make_repo, put

BENCHMARK = """\
name: Riddles
description: A hundred riddles.
evaluation_framework: math-arena
tasks:
  - {id: riddles, config: default, split: test}
  - {id: riddles_hard, config: hard, split: test}
"""


def scores(dataset: str, value: float, task: str = "riddles", **fields: str) -> str:
    """The text of a file with one score, as the client writes it."""
    return yaml.safe_dump(eval_result_entries_to_yaml([EvalResultEntry(dataset, task, value, **fields)]))


@pytest.fixture
def benchmark(ada: HfApi) -> str:
    """A dataset that is a benchmark with two tasks."""
    dataset = make_repo(ada)
    put(ada, dataset, {"eval.yaml": BENCHMARK})
    return dataset


def leaderboard(api: HfApi, dataset: str, **options: bool) -> list[tuple[str, float, int | None]]:
    """Model, value and pull request of each row."""
    rows = api.get_dataset_leaderboard(dataset, **options)
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
    return [(row.model_id, row.value, row.pull_request) for row in rows]


def test_scores_on_main_show_on_the_model_and_in_the_leaderboard(ada: HfApi, anonymous: HfApi, benchmark: str) -> None:
    """Scores on main are in the model's info with all fields, and in the leaderboard, best first, with their author."""
    model, better = make_repo(ada, "model"), make_repo(ada, "model", owner="board")
    entry = EvalResultEntry(
        benchmark,
        "riddles",
        20.9,
        dataset_revision="5" * 40,
        date="2025-01-15T10:30:00Z",
        source_url="https://example.org/logs",
        source_name="Logs",
        source_user="ada",
        notes="5-shot",
    )
    put(ada, model, {".eval_results/own.yaml": yaml.safe_dump(eval_result_entries_to_yaml([entry]))}, "model")
    put(ada, better, {".eval_results/own.yaml": scores(benchmark, 30, "riddles_hard")}, "model")
    assert anonymous.model_info(model, expand=["evalResults"]).eval_results == [entry]
    first, second = anonymous.get_dataset_leaderboard(benchmark)
    assert (first.model_id, first.value, first.source, first.author.name) == (better, 30, None, "board")
    assert (second.model_id, second.filename, second.verified) == (model, ".eval_results/own.yaml", False)
    assert second.notes == "5-shot" and second.author.username == "ada" and second.pull_request is None
    assert second.source == {"url": "https://example.org/logs", "name": "Logs", "user": "ada", "isExternal": True}


def test_an_open_pull_request_counts_until_it_is_closed(
    ada: HfApi, cleo: HfApi, anonymous: HfApi, benchmark: str
) -> None:
    """Scores in an open pull request are a row with its number; when it is closed there is no row."""
    model = make_repo(ada, "model")
    text = scores(benchmark, 55.5)
    opened = put(cleo, model, {".eval_results/board.yaml": text}, "model", create_pr=True)
    assert leaderboard(anonymous, benchmark) == [(model, 55.5, opened.pr_num)]
    (item,) = anonymous.model_info(model, expand=["evalResults"]).eval_results or []
    assert item.value == 55.5
    ada.change_discussion_status(model, opened.pr_num, "closed")
    assert leaderboard(anonymous, benchmark) == []
    ada.change_discussion_status(model, opened.pr_num, "open")
    put(cleo, model, {".eval_results/board.yaml": scores(benchmark, 56)}, "model", revision=f"refs/pr/{opened.pr_num}")
    assert leaderboard(anonymous, benchmark) == [(model, 56, opened.pr_num)]
    ada.merge_pull_request(model, opened.pr_num)
    assert leaderboard(anonymous, benchmark) == [(model, 56, None)]


def test_a_draft_and_untouched_files_of_a_pull_request_add_nothing(ada: HfApi, cleo: HfApi, benchmark: str) -> None:
    """Files that a pull request does not change, and the files of a draft, add no row to the leaderboard."""
    model = make_repo(ada, "model")
    put(ada, model, {".eval_results/own.yaml": scores(benchmark, 1)}, "model")
    put(cleo, model, {"notes.txt": "hello"}, "model", create_pr=True)
    draft = cleo.create_pull_request(model, title="Later")
    put(cleo, model, {".eval_results/x.yaml": scores(benchmark, 2)}, "model", revision=f"refs/pr/{draft.num}")
    assert leaderboard(ada, benchmark) == [(model, 1, None)]


def test_models_with_a_base_model_are_hidden_by_default(ada: HfApi, benchmark: str) -> None:
    """The leaderboard shows derived models only on request."""
    model, tuned = make_repo(ada, "model"), make_repo(ada, "model")
    put(ada, model, {".eval_results/a.yaml": scores(benchmark, 1)}, "model")
    card = f"---\nbase_model: {model}\n---\n"
    put(ada, tuned, {"README.md": card, ".eval_results/a.yaml": scores(benchmark, 2)}, "model")
    assert leaderboard(ada, benchmark) == leaderboard(ada, benchmark, base_model_only=True) == [(model, 1, None)]
    assert [row[0] for row in leaderboard(ada, benchmark, base_model_only=False)] == [tuned, model]


def test_a_private_model_is_listed_only_to_those_who_may_see_it(ada: HfApi, anonymous: HfApi, benchmark: str) -> None:
    """A private model's scores are not shown to others."""
    model = make_repo(ada, "model", private=True)
    put(ada, model, {".eval_results/a.yaml": scores(benchmark, 1)}, "model")
    assert leaderboard(anonymous, benchmark) == [] and leaderboard(ada, benchmark) == [(model, 1, None)]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[", "flow"),
        ("{}", "list"),
        ("[]", "list"),
        ("- 3", "[0] must be a mapping"),
        ("- {dataset: a/b, value: 1}", "[0].dataset must be a mapping"),
        ("- {dataset: {id: a/b}, value: 1}", "[0].dataset.task_id must be a text"),
        ("- {dataset: {id: a/b, task_id: t}}", "[0].value must be a number"),
        ("- {dataset: {id: a/b, task_id: t}, value: '1'}", "[0].value must be a number"),
        ("- {dataset: {id: a/b, task_id: t}, value: .nan}", "[0].value must be a number"),
        ("- {dataset: {id: a/b, task_id: t}, value: true}", "[0].value must be a number"),
        ("- {dataset: {id: a/b, task_id: t}, value: 1, date: yesterday}", "[0].date must be a date"),
        ("- {dataset: {id: a/b, task_id: t}, value: 1, source: {name: Logs}}", "[0].source.url must be a text"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_an_invalid_file_shows_its_error_and_no_scores(
    ada: HfApi, http: httpx.Client, text: str | bytes, error: str
) -> None:
    """The model's info has `{filename, error}` for an invalid file; the client skips it and reads the others."""
    model = make_repo(ada, "model")
    good = scores("a/b", 3)
    put(ada, model, {".eval_results/bad.yaml": text, ".eval_results/good.yaml": good}, "model")
    items = http.get(f"/api/models/{model}", params={"expand": "evalResults"}).json()["evalResults"]
    assert items[0]["filename"] == ".eval_results/bad.yaml" and error in items[0]["error"]
    assert set(items[1]) == {"filename", "verified", "data"}
    (entry,) = ada.model_info(model, expand=["evalResults"]).eval_results or []
    assert entry.value == 3


def test_only_yaml_files_of_the_folder_are_scores(ada: HfApi, benchmark: str) -> None:
    """Only YAML files directly in `.eval_results` are read as scores."""
    model = make_repo(ada, "model")
    text = scores(benchmark, 1)
    put(ada, model, {"x.yaml": text, ".eval_results/x.json": text, ".eval_results/more/x.yaml": text}, "model")
    assert ada.model_info(model, expand=["evalResults"]).eval_results is None
    assert leaderboard(ada, benchmark) == []


@pytest.mark.parametrize(
    "text",
    [
        "name: Riddles",
        "- a list",
        BENCHMARK.replace("evaluation_framework: math-arena\n", ""),
        BENCHMARK.replace("math-arena", "lm-evaluation-harness"),
        BENCHMARK.replace("math-arena", "inspect-ai"),  # without solvers and scorers
        BENCHMARK.replace("id: riddles_hard", "id: riddles"),
        BENCHMARK.replace("id: riddles,", ""),
        BENCHMARK.replace("split: test", "split: 3"),
    ],
)
def test_an_invalid_eval_yaml_is_refused(ada: HfApi, text: str) -> None:
    """A commit of an invalid `eval.yaml` is refused in a dataset, and accepted in a model."""
    dataset, model = make_repo(ada), make_repo(ada, "model")
    with pytest.raises(BadRequestError, match=r"eval\.yaml"):
        put(ada, dataset, {"eval.yaml": text})
    put(ada, model, {"eval.yaml": text}, "model")


def test_benchmarks_are_listed_and_others_have_no_leaderboard(ada: HfApi, benchmark: str) -> None:
    """`benchmark=True` lists only datasets with an `eval.yaml`; the leaderboard of another dataset is an error."""
    other = make_repo(ada)
    listed = [dataset.id for dataset in ada.list_datasets(benchmark=True, author="ada")]
    assert benchmark in listed and other not in listed
    assert "benchmark:official" in (ada.dataset_info(benchmark).tags or [])
    with pytest.raises(HfHubHTTPError) as refused:
        ada.get_dataset_leaderboard(other)
    assert not isinstance(refused.value, RepositoryNotFoundError)
    with pytest.raises(RepositoryNotFoundError):
        ada.get_dataset_leaderboard(f"ada/{fresh()}")


def test_tasks_that_the_benchmark_does_not_have_are_not_ranked(ada: HfApi, benchmark: str) -> None:
    """A score of a task that the benchmark does not have is in the model's info, but not in the leaderboard."""
    model = make_repo(ada, "model")
    put(ada, model, {".eval_results/a.yaml": scores(benchmark, 1, "other")}, "model")
    assert len(ada.model_info(model, expand=["evalResults"]).eval_results or []) == 1
    assert leaderboard(ada, benchmark) == []
