"""Questions and answers of evaluations, read from details repos: what is shown, what is refused, and the pages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from bot.read_models.details_models import DetailsResponse
from bot.results import details_reader
from bot.results.details_reader import read_details
from bot.results.verb_reproduce import reproduction_text
from hub.client import Hub
from leaderboard.details import table_path
from leaderboard.results import dump, file_time, results_time
from leaderboard.steward_block import StewardBlock, with_block
from leaderboard.steward_facts import Access
from redis_state.board.messages import DetailsQuestion
from tests.support.board.board_driver import BOT, WORKER, BoardDriver
from tests.support.board.hostile_texts import TEXTS
from tests.support.board.running_board import syncing
from tests.support.board.seeded_board import entry, path_of, score
from tests.support.sizes import one_in
from tests.support.units.details_samples import results, sample
from tests.support.waiting import wait_until
from workers.publication.details import write_samples

pytestmark = one_in(3)

TASK, OTHER_TASK = "starter_navigation", "starter_web_of_lies"
RIGHT = {"acc_norm": 1.0}
WRONG = {"acc_norm": 0.0, "filtered_resps": [["-2.5", "False"], ["-1.5", "True"]]}


def evaluate(stand: BoardDriver, folder: Path, lines: list[bytes], precision: str = "float32") -> str:
    """Create a finished request of ada/good with these samples as published answers to TASK; return its path."""
    name = f"ada/good/results_2026-11-24T12-00-00.{len(precision):06}.json"
    request = entry("ada/good", "settled", "FINISHED", path=path_of("ada/good", precision), results=name)
    score(stand.context.scores, request, 50.0, "chat")  # first: a change of the request has the server read them
    stand.context.index.put(request)
    HfApi(stand.hub.url, token=WORKER).create_repo(repo_of(stand), repo_type="dataset", exist_ok=True)
    put_table(stand, request.path, table(folder, lines))
    return request.path


def table(folder: Path, lines: list[bytes]) -> bytes:
    """Return the table that a worker writes from these samples."""
    (folder / "samples.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    write_samples(folder / "samples.jsonl", folder / "table.parquet", ["acc_norm,none"])
    return (folder / "table.parquet").read_bytes()


def put_table(stand: BoardDriver, path: str, data: bytes, task: str = TASK) -> None:
    """Commit the table of `task` as the worker, for the evaluation of the request at `path`."""
    (indexed,) = stand.context.index.find([path])
    assert indexed is not None
    time = results_time(indexed.standing.results)
    assert time is not None
    adds = [CommitOperationAdd(table_path(task, file_time(time)), data)]
    gpu = HfApi(stand.hub.url, token=WORKER)
    gpu.create_commit(repo_of(stand), adds, commit_message="Add answers", repo_type="dataset")


def repo_of(stand: BoardDriver) -> str:
    """The details repo of ada/good."""
    return stand.context.board.repos.details("ada/good")


def read(stand: BoardDriver, path: str, **fields: Any) -> DetailsResponse:
    """Return the sync's answer about TASK."""
    return read_details(stand.context, DetailsQuestion(**{"path": path, "task": TASK, **fields}))


def many(right: set[int], count: int = 50) -> list[bytes]:
    """Return samples of `count` questions; the answers to those with the numbers `right` are right."""
    docs = ({"input": f"Question {at}?", "target": "Yes"} for at in range(count))
    return [sample(doc_id=at, doc=doc, **(RIGHT if at in right else WRONG)) for at, doc in enumerate(docs)]


@pytest.fixture
def evaluated(stand: BoardDriver, tmp_path: Path) -> str:
    """The request of an evaluation with fifty answers, of which the first thirty are right."""
    return evaluate(stand, tmp_path, many(set(range(30))))


@pytest.fixture
def served(stand: BoardDriver, evaluated: str, web: httpx2.Client) -> Iterator[httpx2.Client]:
    """A client of the board's web server, whose syncs run beside the test."""
    assert evaluated
    with syncing(stand):
        yield web


def test_a_part_of_the_answers_is_read_with_its_counts(stand: BoardDriver, evaluated: str) -> None:
    """The sync reads answers in parts, all or only wrong ones, with prompt, choices, log-likelihoods and counts."""
    part = read(stand, evaluated, limit=20)
    assert (part.state, part.counts) == ("done", {"all": 50, "right": 30, "wrong": 20})
    assert [question.id for question in part.questions] == list(range(20))
    first = part.questions[0]
    assert (first.question, first.prompt, first.choices) == ("Question 0?", "Q: Is it?\nA:", [" Yes", " No"])
    (mine,) = first.answers
    assert (first.target_choice, mine.chosen, mine.likelihoods, mine.right) == (0, 0, [-0.5, -1.5], True)
    wrong = read(stand, evaluated, show="wrong", offset=10)
    assert [question.id for question in wrong.questions] == list(range(40, 50))
    assert {(question.answers[0].chosen, question.answers[0].right) for question in wrong.questions} == {(1, False)}
    assert read(stand, evaluated, show="wrong", offset=100).questions == []


def test_a_generated_answer_is_shown_as_it_came(stand: BoardDriver, tmp_path: Path) -> None:
    """A question without choices has the generated text, cut where it is long; the end of a long prompt is shown."""
    arguments = {"gen_args_0": {"arg_0": "x" * 9_000 + "Which?", "arg_1": {"until": ["\n"]}}}
    long = {"resps": [["word " * 5_000]], "filtered_resps": ["word"], "arguments": arguments, "target": "word"}
    path = evaluate(stand, tmp_path, [sample(**long)])
    (question,) = read(stand, path).questions
    assert (question.choices, question.answers[0].likelihoods, question.target) == ([], [], "word")
    assert question.answers[0].text.startswith("word word") and len(question.answers[0].text) < 3_100
    assert question.prompt.endswith("xWhich?") and len(question.prompt) < 4_100


def test_two_evaluations_differ_where_one_is_right(stand: BoardDriver, evaluated: str, tmp_path: Path) -> None:
    """A comparison lists the questions that exactly one of the two got right, except those whose texts differ."""
    other = many({*range(5, 30), 40, 41}, count=49)
    other[10] = sample(doc_id=10, doc={"input": "Another question?"}, **WRONG)
    second = evaluate(stand, tmp_path, other, "bfloat16")
    part = read(stand, evaluated, other=second)
    assert part.counts == {"all": 7, "right": 5, "wrong": 2, "common": 48}
    assert [question.id for question in part.questions] == [0, 1, 2, 3, 4, 40, 41]
    assert [each.right for each in part.questions[0].answers] == [True, False]
    assert [question.id for question in read(stand, evaluated, other=second, show="wrong").questions] == [40, 41]


def restrict(stand: BoardDriver) -> None:
    """Mark the benchmark of TASK as restricted."""
    suite = stand.context.suite
    benchmarks = tuple(each.model_copy(update={"restricted": each.source == TASK}) for each in suite.benchmarks)
    stand.context.suite = suite.model_copy(update={"benchmarks": benchmarks})


def test_restricted_benchmarks_and_unknown_tasks_are_not_read(stand: BoardDriver, evaluated: str) -> None:
    """The sync refuses restricted benchmarks, unknown tasks and unknown requests without a call to the Hub."""
    restrict(stand)
    calls = len(stand.calls)
    assert read(stand, evaluated).code == "restricted"
    assert read(stand, evaluated, task="../x").code == "no-task"
    assert read(stand, "ada/none.json", task=OTHER_TASK).code == "no-request"
    assert len(stand.calls) == calls


def test_models_that_are_not_public_are_not_read(stand: BoardDriver, evaluated: str) -> None:
    """Answers of a gated model stay hidden though their repo is public; a private model's request counts as unknown."""
    cases: tuple[tuple[Access, str], ...] = (("gated", "gated-model"), ("private", "no-request"))
    for access, code in cases:
        (indexed,) = stand.context.index.find([evaluated])
        assert indexed is not None
        stand.context.index.put(indexed.changed(standing=indexed.standing.with_access(access)))
        assert read(stand, evaluated).code == code


@pytest.mark.parametrize("change", [{"private": True}, {"gated": "manual"}, {"gated": "auto"}])
def test_repos_that_are_not_public_are_refused(stand: BoardDriver, evaluated: str, change: dict[str, Any]) -> None:
    """The sync refuses answers in a private or gated repo, though the bot's own token could read them."""
    gpu = HfApi(stand.hub.url, token=WORKER)
    gpu.update_repo_settings(repo_of(stand), repo_type="dataset", **change)
    part = read(stand, evaluated)
    assert (part.state, part.code, part.questions) == ("refused", "not-public", [])
    assert repo_of(stand) in part.message


def test_a_table_is_downloaded_once_and_read_as_long_as_it_is_public(
    stand: BoardDriver, evaluated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A further part costs one call and no download; a stored table is not shown after its repo becomes gated."""
    put_table(stand, evaluated, table(tmp_path, many({3, 5, 11})))  # a table that no other test has stored
    saved = list[str]()
    for name in ("save_file", "file_id"):
        real = getattr(Hub, name)
        monkeypatch.setattr(Hub, name, lambda *a, _real=real, _name=name, **k: (saved.append(_name), _real(*a, **k))[1])
    assert read(stand, evaluated).counts == read(stand, evaluated, show="wrong").counts
    assert saved == ["file_id", "save_file", "file_id"]
    HfApi(stand.hub.url, token=WORKER).update_repo_settings(repo_of(stand), repo_type="dataset", gated="auto")
    assert read(stand, evaluated).code == "not-public"


def test_a_table_that_needs_gigabytes_is_refused_and_the_sync_goes_on(
    stand: BoardDriver, evaluated: str, tmp_path: Path
) -> None:
    """The sync refuses a small file whose rows take gigabytes, and answers the next question."""
    whole = pq.read_table(io.BytesIO(table(tmp_path, many(set(), count=200))))
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 200), pa.array(["x" * 30_000_000]))
    large = io.BytesIO()
    pq.write_table(whole.set_column(whole.column_names.index("doc"), "doc", text), large, store_schema=False)
    assert len(large.getvalue()) < 4_000_000
    put_table(stand, evaluated, large.getvalue(), OTHER_TASK)
    assert read(stand, evaluated, task=OTHER_TASK).code in ("too-large", "unreadable")
    assert read(stand, evaluated).state == "done"


def test_invalid_tables_of_answers_are_refused(
    stand: BoardDriver, evaluated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync refuses a missing, broken or too large table of answers, and says so if `pyarrow` is not installed."""
    assert read(stand, evaluated, task=OTHER_TASK).code == "no-table"
    strange = io.BytesIO()
    pq.write_table(pa.table({"doc_id": [["nested"]]}), strange)
    for data in (b"PAR1 and nothing", strange.getvalue()):
        put_table(stand, evaluated, data, OTHER_TASK)
        assert read(stand, evaluated, task=OTHER_TASK).code == "unreadable"
    put_table(stand, evaluated, table(tmp_path, many({7})))  # a new table: the sync stores a table that it has read
    for bound in ("MAX_TABLE", "MAX_ROWS", "MAX_GROUP"):
        with monkeypatch.context() as patch:
            patch.setattr(details_reader, bound, 40)
            assert read(stand, evaluated).code == "too-large", bound
    monkeypatch.setattr(details_reader, "can_write", lambda: False)
    assert "pyarrow" in read(stand, evaluated).message


def get(client: httpx2.Client, address: str, **params: Any) -> httpx2.Response:
    """Request `address` about TASK until the sync has read the table; return the last response."""
    answers: list[httpx2.Response] = []

    def is_read() -> bool:
        answers.append(client.get(address, params={"task": TASK, **params}))
        return answers[-1].status_code != 202 and "Look again" not in answers[-1].text

    wait_until(is_read, seconds=120)
    return answers[-1]


def test_the_page_shows_questions_and_answers(served: httpx2.Client, evaluated: str) -> None:
    """The page lists twenty questions, filtered by a form, with links to the next page and to the JSON."""
    text = get(served, f"/details/{evaluated}", show="right").text
    assert "50 questions: <strong>30</strong> right, <strong>20</strong> wrong." in text
    assert (text.count("<h2>Question "), "Page 1 of 2" in text, "Question 0?" in text) == (20, True, True)
    after = get(served, f"/details/{evaluated}", show="right", page="9").text
    assert ("Page 2 of 2" in after, after.count("<h2>Question ")) == (True, 10)
    answer = get(served, f"/api/details/{evaluated}", offset=49)
    assert (answer.status_code, [question["id"] for question in answer.json()["questions"]]) == (200, [49])


def test_the_page_says_whether_verdicts_are_those_of_newer_scores(
    stand: BoardDriver, evaluated: str, served: httpx2.Client, tmp_path: Path
) -> None:
    """The page shows the table of the newer scores; until it exists, it shows the earlier one and says so."""
    (indexed,) = stand.context.index.find([evaluated])
    assert indexed is not None
    newer = "ada/good/results_2026-12-01T12-00-00.000000.json"
    names = {"results": newer, "rescored_from": indexed.standing.results}
    stand.context.index.put(indexed.changed(standing=indexed.standing.model_copy(update=names)))
    text = get(served, f"/details/{evaluated}").text
    assert "Right and wrong are as" in text and "on 2026-12-01 from the same answers" in text
    assert f"board/results/blob/main/{newer}" in text and "<strong>30</strong> right" in text
    put_table(stand, evaluated, table(tmp_path, many(set(range(40)))))
    part = read(stand, evaluated)
    assert (part.counts["right"], [each.is_shown for each in part.rescorings if each]) == (40, [True])
    text = get(served, f"/details/{evaluated}", show="right").text
    assert "scores that were computed again" in text and "<strong>40</strong> right" in text


def put_results(stand: BoardDriver, path: str, **changes: Any) -> None:
    """Commit the results file of the evaluation of the request at `path`."""
    (indexed,) = stand.context.index.find([path])
    assert indexed is not None
    template = results()
    block = StewardBlock.model_validate({**template.block.model_dump(), "model": "ada/good", **changes})
    add = CommitOperationAdd(indexed.standing.results, dump(with_block(template.data, block)))
    HfApi(stand.hub.url, token=BOT).create_commit(
        stand.context.results.id, [add], commit_message="Add results", repo_type="dataset"
    )


def reply_to_reproduce(stand: BoardDriver, path: str) -> str:
    """What `/reproduce` answers about the request at `path`."""
    (indexed,) = stand.context.index.find([path])
    assert indexed is not None
    return reproduction_text(stand.context, indexed)


def test_page_and_command_show_how_to_repeat_an_evaluation(
    stand: BoardDriver, evaluated: str, served: httpx2.Client
) -> None:
    """The page, the JSON and the reply to `/reproduce` show the same command line, without markup from users."""
    put_results(stand, evaluated, datasets={"ada/questions": "c" * 40}, hardware="one <b>@GPU</b>")
    answer = get(served, f"/api/details/{evaluated}").json()["reproduction"]
    assert "lm_eval --tasks starter --model hf --model_args pretrained=ada/good," in answer["command"]
    page, reply = get(served, f"/details/{evaluated}").text, reply_to_reproduce(stand, evaluated)
    assert f"<code>{escape(answer['command'])}</code>" in page.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")
    assert f"```sh\n{answer['command']}\n```" in reply
    assert all("steward reproduce 0123456789ab-01234567-1" in text for text in (page, reply))
    assert "<b>" not in reply and "@GPU" not in reply and "<b>@GPU" not in page
    assert f'href="/details/{evaluated}#reproduce"' in served.get(f"/requests/{evaluated}").text
    assert get(served, f"/api/details/{evaluated}", offset=20).json()["reproduction"] is None


def test_an_evaluation_that_has_no_command_line_says_why(stand: BoardDriver, evaluated: str) -> None:
    """Without a results file, a dataset's commit or the current suite, the reply says why it has no command line."""
    assert "is not in the results repo" in reply_to_reproduce(stand, evaluated)
    put_results(stand, evaluated)
    assert "do not name the dataset and the commit of the questions" in reply_to_reproduce(stand, evaluated)
    put_results(stand, evaluated, suite_digest="0" * 64)
    reply = reply_to_reproduce(stand, evaluated)
    assert "There is no command line" in reply and "of an earlier suite" in reply
    reproduction = read(stand, evaluated).reproduction
    assert reproduction is not None and reproduction.message in reply


def test_the_page_says_why_nothing_is_shown(
    served: httpx2.Client, evaluated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page explains a refusal and the API answers an error; while answers are being read, the page has a link."""
    for params, code, status in (({"task": OTHER_TASK}, "no-table", 404), ({"task": "none"}, "no-task", 404)):
        answer = get(served, f"/api/details/{evaluated}", **params)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        page = served.get(f"/details/{evaluated}", params=params)
        assert (page.status_code, escape(answer.json()["message"], quote=False) in unescape(page.text)) == (200, True)
    assert served.get("/details/ada/none.json").status_code == 404
    assert served.get("/api/compare/questions", params={"pin": [evaluated]}).status_code == 422
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    monkeypatch.setattr("bot.web.asking.SyncAsker.send", lambda *_: None)
    waiting = served.get(f"/details/{evaluated}", params={"task": TASK, "show": "wrong"})
    assert (waiting.status_code, "being read" in waiting.text, "Look again" in waiting.text) == (200, True, True)
    answer = served.get(f"/api/details/{evaluated}", params={"task": TASK, "show": "wrong"})
    assert (answer.status_code, answer.json()["state"], answer.headers["retry-after"]) == (202, "under-way", "3")


def test_two_evaluations_are_compared_question_by_question(
    stand: BoardDriver, evaluated: str, tmp_path: Path, web: httpx2.Client
) -> None:
    """The page of two evaluations shows both answers, and the page of their scores links to it."""
    second = evaluate(stand, tmp_path, many({*range(30), 45}), "bfloat16")
    with syncing(stand):
        pins = {"pin": [evaluated, second]}
        text = get(web, "/compare/questions", **pins).text
        assert "Both answered the same 50 questions" in text
        assert ("<strong>0</strong> only the first" in text, "<strong>1</strong> only the second" in text) == (
            True,
            True,
        )
        assert (text.count("<h2>Question "), "Question 45?" in text) == (1, True)
        answer = get(web, "/api/compare/questions", **pins).json()
        assert [[each["right"] for each in question["answers"]] for question in answer["questions"]] == [[False, True]]
        # The server's table follows the scores a moment later.
        compared = wait_until(
            lambda: text if "where they differ" in (text := unescape(web.get("/compare", params=pins).text)) else ""
        )
        assert f"/details/{evaluated}" in compared
        (address,) = {
            part.partition('"')[0] for part in compared.split('href="') if part.startswith("/compare/questions")
        }
        assert web.get(address).status_code == 200


def test_hostile_texts_stay_texts(stand: BoardDriver, tmp_path: Path, web: httpx2.Client) -> None:
    """Markup in questions, prompts, choices, answers and targets is escaped on both pages."""
    texts = [text for text in TEXTS if "<" in text or "&" in text][:15]
    generated = {"arguments": {"gen_args_0": {"arg_0": "<b>prompt</b>", "arg_1": {}}}}
    lines = [
        sample(
            doc_id=at,
            doc={"input": text},
            target=text,
            resps=[[text]],
            filtered_resps=[text],
            **({} if at % 2 else generated),
        )
        for at, text in enumerate(texts)
    ]
    choices = {f"gen_args_{at}": {"arg_0": text, "arg_1": text} for at, text in enumerate(texts)}
    lines.append(sample(doc_id=99, arguments=choices, filtered_resps=[["nan", "x"]] * len(texts), target="<i>"))
    path = evaluate(stand, tmp_path, lines)
    with syncing(stand):
        page = get(web, f"/details/{path}")
    assert (page.status_code, page.text.count("<h2>Question ")) == (200, len(lines))
    for text in [*texts, "<b>prompt</b>", "<i>"]:
        assert text[:100] not in page.text
    assert "<script>" not in page.text and "&lt;b&gt;prompt" in page.text


def test_a_client_that_asks_too_often_waits(
    served: httpx2.Client, evaluated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new part counts towards a client's limit; a part that was read already does not."""
    monkeypatch.setattr("bot.web.checks.DETAILS_PER_CLIENT", 2)
    address = f"/api/details/{evaluated}"
    asked = [get(served, address, offset=at) for at in range(4)]
    assert [response.status_code for response in asked] == [200, 200, 429, 429]
    assert asked[2].headers["retry-after"]
    assert served.get(address, params={"task": TASK, "offset": 0}).status_code == 200
