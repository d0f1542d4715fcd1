"""Pages, JSON and `/reproduce` show the questions and answers of evaluations, and how to repeat one."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from bot.results.verb_reproduce import reproduction_text
from leaderboard.results import dump
from leaderboard.steward_block import StewardBlock, with_block
from steward.testing.board import BOT, BoardDriver
from steward.testing.running import syncing
from steward.testing.waiting import wait_until
from tests.support.board.hostile_texts import TEXTS
from tests.support.board.published_answers import OTHER_TASK, TASK, evaluate, many, put_table, read, table
from tests.support.units.details_samples import results, sample


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
