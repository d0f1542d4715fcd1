"""The digests of a result: what changes them, such as other questions or scoring, and what does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leaderboard.result_digests import DigestParts, asked_digest, fingerprint, prompts_digest, scored_digest
from tests.support.workers import digest_script
from tests.support.workers.digest_script import CODE, MadeUpTask, load_module, recorded
from workers.common.run_plan import CHANGED_TASKS
from workers.errors import TasksChanged
from workers.evaluation.digest_recorder import unchanged_randomness


@pytest.fixture
def code(tmp_path: Path) -> Any:
    """The module of the task's code."""
    return load_module(written(tmp_path))


def written(folder: Path, text: str = CODE) -> Path:
    """Write a task's code to a file in `folder`, and return the file."""
    folder.mkdir(exist_ok=True)
    (folder / "utils.py").write_text(text)
    return folder / "utils.py"


def digests(parts: DigestParts) -> tuple[str, str]:
    """The digests `asked` and `scored`."""
    return asked_digest(parts), scored_digest(parts, "")


def test_two_processes_make_the_same_digests(tmp_path: Path) -> None:
    """Neither the seed of hashes, nor the folder of a task's code, nor the process changes a digest."""
    printed = []
    for name in ("one", "other"):
        written(tmp_path / name)
        environment = {**os.environ, "PYTHONHASHSEED": str(len(name))}
        command = [sys.executable, digest_script.__file__, str(tmp_path / name)]
        printed.append(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)
    assert printed[0] == printed[1]
    assert str(tmp_path) not in printed[0]
    assert DigestParts.model_validate_json(printed[0]).tasks["sums"].asked.questions == 3


def test_a_changed_regular_expression_changes_how_it_is_scored(tmp_path: Path) -> None:
    """A changed regular expression in a task's code changes `scored` and the module's digest, but not `asked`."""
    before = recorded(MadeUpTask(load_module(written(tmp_path / "before")))).parts()
    changed = written(tmp_path / "after", CODE.replace("-?[0-9]+", "-?[0-9.]+"))
    after = recorded(MadeUpTask(load_module(changed))).parts()
    assert digests(before)[0] == digests(after)[0]
    assert digests(before)[1] != digests(after)[1]
    assert {name for name in before.modules if before.modules[name] != after.modules[name]} == {"utils"}


def test_a_changed_prompt_changes_what_is_asked(code: Any) -> None:
    """A changed prompt changes `asked`, but not `scored`."""
    before, after = (recorded(MadeUpTask(code, prompt)).parts() for prompt in ("{} =", "{} is"))
    assert digests(before)[0] != digests(after)[0]
    assert digests(before)[1] == digests(after)[1]
    assert before.tasks["sums"].asked.documents == after.tasks["sums"].asked.documents


def test_another_right_answer_is_another_question(code: Any) -> None:
    """Another right answer changes `asked`, although the requests to the model are the same."""
    before, after = (recorded(MadeUpTask(code, answer=answer)).parts() for answer in ("4", "5"))
    assert before.tasks["sums"].asked.requests == after.tasks["sums"].asked.requests
    assert digests(before)[0] != digests(after)[0]


def test_another_commit_of_the_same_questions_asks_the_same(code: Any) -> None:
    """The commit of the questions is recorded, but changes no digest."""
    first, other = recorded(MadeUpTask(code)), recorded(MadeUpTask(code))
    other.revisions = {"ada/sums": "d" * 40}
    assert first.parts().tasks["sums"].asked.dataset == f"ada/sums@{'c' * 40}"
    assert other.parts().tasks["sums"].asked.dataset == f"ada/sums@{'d' * 40}"
    assert digests(first.parts()) == digests(other.parts())


def test_a_chat_template_does_not_change_what_is_asked(code: Any) -> None:
    """A chat template changes the requests to the model, but not `asked`, which is computed without it."""
    task = MadeUpTask(code)
    parts = recorded(task, apply_chat_template=True, chat_template="<user>{}".format).parts()
    assert task.instances[0].args[0] == "<user>0 + 0 ="
    assert digests(parts) == digests(recorded(MadeUpTask(code)).parts())


def test_copies_record_what_one_process_records(code: Any) -> None:
    """The shares of two copies give the digests of all questions, whichever copy gathers them."""
    shares = [recorded(task := MadeUpTask(code), rank=rank, world_size=2) for rank in range(2)]
    whole = recorded(task := MadeUpTask(code))
    whole.add_prompts(task.instances, [([1, 2], ()), ([3], ()), ([4], ())])
    for rank, share in enumerate(shares):
        tokens = [[1, 2], [3], [4]][rank::2]
        share.add_prompts(share.tasks["sums"].instances, [(prompt, ()) for prompt in tokens])
    shares[0].merge([share.state() for share in shares])
    assert shares[0].parts() == whole.parts()


def test_copies_ask_each_question_with_the_examples_of_one_process(code: Any) -> None:
    """Each copy of the model asks its share of the questions with the examples that a single process would draw."""
    tasks = [MadeUpTask(code) for _ in range(3)]
    for task in tasks:
        task.config.num_fewshot = 2
    whole, *shares = tasks
    recorded(whole)
    for rank, share in enumerate(shares):
        recorded(share, rank=rank, world_size=2)
        assert [request.doc_id for request in share.instances] == ([0, 2], [1])[rank]
    asked = {request.doc_id: request.args for share in shares for request in share.instances}
    assert asked == {request.doc_id: request.args for request in whole.instances}


def test_prompts_are_token_lists(code: Any) -> None:
    """The digest of prompts changes with a token and with the end of the context; it is empty without tokens."""
    digests_of_prompts = []
    for context, answer in (([1, 2], [3]), ([1], [2, 3]), ([1, 2], [4])):
        recorder = recorded(task := MadeUpTask(code))
        recorder.add_prompts(task.instances, [(context, answer)] * 3)
        digests_of_prompts.append(prompts_digest(recorder.parts()))
    assert len(set(digests_of_prompts)) == 3
    assert prompts_digest(recorded(MadeUpTask(code)).parts()) == ""


def test_packages_count_by_their_version(code: Any) -> None:
    """The digest parts have the versions of packages that the task's code imports, but not of general ones."""
    parts = recorded(MadeUpTask(code)).parts()
    assert "pydantic" in parts.versions
    assert "numpy" not in parts.versions
    assert {"lm_eval.evaluator", "utils"} <= set(parts.tasks["sums"].scored.modules)


def test_drawing_examples_for_the_digest_draws_none_away() -> None:
    """Random numbers drawn inside `unchanged_randomness` leave the harness's random generators as before."""
    import random

    task = SimpleNamespace(sampler=SimpleNamespace(rnd=random.Random(1)), fewshot_rnd=random.Random(2))
    states = [task.sampler.rnd.getstate(), task.fewshot_rnd.getstate(), random.getstate()]
    with unchanged_randomness(task):
        task.sampler.rnd.random(), task.fewshot_rnd.random(), random.random()
    assert [task.sampler.rnd.getstate(), task.fewshot_rnd.getstate(), random.getstate()] == states


def test_tasks_that_are_not_accepted_are_refused_before_the_first_answer(code: Any, tmp_path: Path) -> None:
    """If the plan does not accept the child's tasks, the child does not answer, and writes the tasks' digest parts."""
    from workers.evaluation.harness_model import ReportingModel

    recorder = recorded(MadeUpTask(code))
    own, other = fingerprint(recorder.parts(), "r"), f"{'0' * 16}-{'0' * 16}"
    for accepted in ((), (other, own), (other,)):
        model = ReportingModel.__new__(ReportingModel)
        model.plan = SimpleNamespace(accepted=accepted, rules="r", spool=tmp_path)
        model.counter = SimpleNamespace(digests=recorder)
        model._tasks_checked, model._rank, model._world_size = False, 0, 1
        if own in accepted or not accepted:
            model._check_tasks()
            assert not (tmp_path / CHANGED_TASKS).exists()
            continue
        for answer in (model.loglikelihood, model.generate_until):
            model._tasks_checked = False
            with pytest.raises(TasksChanged):
                answer([])
        assert DigestParts.model_validate_json((tmp_path / CHANGED_TASKS).read_text()) == recorder.parts()


def test_only_the_tokens_that_the_model_gets_are_recorded() -> None:
    """A long request is cut from its beginning, as the harness cuts it."""
    from workers.evaluation.harness_model import last_tokens

    assert last_tokens([1, 2, 3], [4, 5], None) == ([1, 2, 3], [4, 5])
    assert last_tokens([1, 2, 3], [4, 5], 5) == ([1, 2, 3], [4, 5])
    assert last_tokens([1, 2, 3], [4, 5], 4) == ([2, 3], [4, 5])
    assert last_tokens([1, 2, 3], [4, 5], 1) == ([], [5])
