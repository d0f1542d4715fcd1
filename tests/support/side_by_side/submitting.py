"""Submits to a board in every way: form, command in a discussion, pull request, and commit of a front end."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi

from leaderboard.predictions import predictions_place
from tests.support.side_by_side.boards import BOT_NAME, RunningBoard, SideBySide
from tests.support.side_by_side.kinds import (
    BROKEN,
    BY_COMMAND,
    BY_FORM,
    BY_PULL,
    INCOMPLETE,
    PREDICTED,
    PREDICTIONS,
    predicted,
)


def submit_all(boards: SideBySide) -> dict[str, int]:
    """Submit everything to every board; return board → the number of the discussion with the command."""
    numbers = {}
    for board in boards.running:
        by_form(boards, board)
        numbers[board.kind.name] = by_command(boards, board)
        by_pull(board, BY_PULL, boards.person(owner(BY_PULL)))
        broken(boards, board)
    return numbers


def owner(model: str) -> str:
    """Return the account that owns the model."""
    return model.partition("/")[0]


def by_form(boards: SideBySide, board: RunningBoard) -> None:
    """Sign in as Ada, send the board's form, and wait until the page says that it was submitted."""
    browser = board.browser(owner(BY_FORM))
    form = browser.get("/submit", follow_redirects=True)
    fields = {"csrf": browser.form_token, "key": "k"}
    if board.kind.takes_predictions:
        assert form.url.path == f"/{PREDICTIONS}"
        file = {"file": ("answers.jsonl", predicted(PREDICTED[BY_FORM]), "application/octet-stream")}
        name = BY_FORM.partition("/")[2]
        answer = browser.post(f"/{PREDICTIONS}", data={**fields, "name": name}, files=file)
    else:
        chosen = {"model": BY_FORM, "precision": board.kind.precision, "weight_type": "Original"}
        chosen |= {"model_type": "pretrained", "do": "submit"}
        if 'name="chat_template"' in form.text:
            chosen["chat_template"] = "no"
        answer = browser.post("/submit", data={**fields, **chosen})
    assert answer.status_code == 303, answer.text
    boards.wait(lambda: "submitted" in outcome(browser.get(answer.headers["location"])))


def outcome(answer: httpx2.Response) -> str:
    """Return the page's message about a submission; "submitted" if it redirects to the page of the request."""
    if answer.status_code == 303:
        return "submitted" if answer.headers["location"].startswith("/requests/") else ""
    assert "not submitted" not in answer.text, answer.text
    return "submitted" if "<h2>Submitted</h2>" in answer.text else ""


def by_command(boards: SideBySide, board: RunningBoard) -> int:
    """Open a discussion in the community as Bob, and submit by a command; return the discussion's number.

    A board of predictions refuses the command, so its form commits Bob's files instead.
    """
    bob = boards.person(owner(BY_COMMAND))
    precision = "" if board.kind.takes_predictions else f" precision={board.kind.precision}"
    opened = bob.create_discussion(
        board.kind.repo("leaderboard"), "My model", description=f"/submit {BY_COMMAND}{precision}", repo_type="space"
    )
    number = int(opened.num)
    boards.wait(lambda: answers_in(board, bob, number))
    if board.kind.takes_predictions:
        commit_predictions(board, BY_COMMAND, predicted(PREDICTED[BY_COMMAND]))
    return number


def answers_in(board: RunningBoard, reader: HfApi, number: int) -> list[str]:
    """Return the bot's final answers in a discussion of the board's community; provisional comments are shorter."""
    thread = reader.get_discussion_details(board.kind.repo("leaderboard"), number, repo_type="space")
    texts = [event.content for event in thread.events if event.type == "comment" and event.author == BOT_NAME]
    plain = [text.replace("\\", "").replace("\u200b", "") for text in texts]
    return [text for text in plain if len(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).strip()) > 40]


def request_fields(board: RunningBoard, model: str) -> dict[str, object]:
    """Return a request file as people write it."""
    more: dict[str, object] = {"model_type": "pretrained", "base_model": ""}
    if board.kind.takes_predictions:
        more = {PREDICTIONS: predictions_place(model)}
    return {
        "model": model,
        "revision": "main",
        "precision": board.kind.precision,
        "weight_type": "Original",
        "status": "PENDING",
        "submitted_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **more,
    }


def by_pull(board: RunningBoard, model: str, person: HfApi) -> int:
    """Open a pull request with the request and its predictions; return its number."""
    files = {board.kind.path(model): json.dumps(request_fields(board, model)).encode()}
    if board.kind.takes_predictions:
        files[predictions_place(model)] = predicted(PREDICTED[model])
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    made = person.create_commit(
        board.kind.repo("requests"), operations, commit_message=f"Add {model}", repo_type="dataset", create_pr=True
    )
    return int(made.pr_num or 0)


def commit_predictions(board: RunningBoard, model: str, data: bytes) -> None:
    """Commit predictions in the name of their owner, as the board's form does."""
    fields = {**request_fields(board, model), "sender": owner(model)}
    files = {board.kind.path(model): json.dumps(fields).encode(), predictions_place(model): data}
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    board.form.create_commit(
        board.kind.repo("requests"), operations, commit_message=f"Add {model}", repo_type="dataset"
    )


def broken(boards: SideBySide, board: RunningBoard) -> None:
    """Commit a submission that must fail, as the board's form does."""
    if board.kind.takes_predictions:
        commit_predictions(board, BROKEN, INCOMPLETE)
        return
    fields = {**request_fields(board, BROKEN), "sender": owner(BROKEN)}
    operation = CommitOperationAdd(board.kind.path(BROKEN), json.dumps(fields).encode())
    board.form.create_commit(
        board.kind.repo("requests"), [operation], commit_message=f"Add {BROKEN}", repo_type="dataset"
    )
