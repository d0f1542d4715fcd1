"""A suite as task files of the harness."""

from __future__ import annotations

from pathlib import Path

import yaml

from leaderboard.suites import find_suite
from workers.evaluation.task_files import task_files, write_tasks
from workers.evaluation.task_loading import task_folders

STARTER = find_suite("starter")
FILES = {
    name: yaml.safe_load(text) for name, text in task_files(STARTER, repo="org/questions", revision="a" * 40).items()
}


def test_the_group_holds_every_task_of_the_suite() -> None:
    """The group of a suite contains all its tasks."""
    assert FILES["starter"]["task"] == list(STARTER.tasks)
    assert FILES.keys() == {"starter", *STARTER.tasks}


def test_every_task_pins_the_commit_of_its_questions() -> None:
    """Each task file pins the dataset's commit."""
    for task in STARTER.tasks:
        assert FILES[task]["dataset_path"] == "org/questions"
        assert FILES[task]["dataset_kwargs"] == {"revision": "a" * 40}


def test_shots_and_metrics_are_those_of_the_benchmark() -> None:
    """Task files use the shots and metrics of the benchmark."""
    assert FILES["starter_navigation"]["num_fewshot"] == 2
    assert FILES["starter_navigation"]["metric_list"][0]["metric"] == "acc_norm"
    assert FILES["starter_navigation"]["doc_to_choice"] == ["Yes", "No"]


def test_a_named_filter_cleans_generated_answers() -> None:
    """`exact_match,answer` is measured on what the filter `answer` leaves of the generated text."""
    task = FILES["starter_word_sorting"]
    assert [named["name"] for named in task["filter_list"]] == ["answer"]
    assert task["generation_kwargs"] == {"until": ["\n"], "max_gen_toks": 16, "do_sample": False}


def test_the_harnesss_own_suites_need_no_files() -> None:
    """A suite of the harness's own tasks needs no task files."""
    assert task_files(find_suite("open-llm-v2"), repo="x/y", revision="a" * 40) == {}


def test_writing_task_files_removes_earlier_ones(tmp_path: Path) -> None:
    """Writing task files removes files of an older version of the suite."""
    (tmp_path / "starter_removed.yaml").write_text("task: starter_removed\n")
    write_tasks(STARTER, tmp_path, repo="org/questions", revision="a" * 40)
    assert {file.stem for file in tmp_path.iterdir()} == FILES.keys()


def test_tasks_of_the_harness_are_read_from_the_folders_of_their_names(tmp_path: Path) -> None:
    """A suite's tasks are read from the few folders of their names, or from all folders if one has no such folder."""
    folders = {
        suite: [folder.name for folder in task_folders(find_suite(suite).run, None)]
        for suite in ("open-llm-v1", "open-llm-v2")
    }
    assert folders["open-llm-v2"] == ["leaderboard"]
    assert folders["open-llm-v1"] == ["arc", "hellaswag", "mmlu", "truthfulqa", "winogrande", "gsm8k"]
    assert task_folders(("mmlu_virology", "mmlu_anatomy"), None) == task_folders(("mmlu",), None)
    assert task_folders(("arc_challenge", "gsm8k_of_nowhere"), None) == task_folders(("nowhere",), None) == []
    assert task_folders(("arc_challenge",), tmp_path) == [tmp_path]
