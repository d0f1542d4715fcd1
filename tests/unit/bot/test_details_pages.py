"""Page numbers of answers beyond the last page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient

from bot.read_models.details_models import DetailsResponse
from bot.web.checks import PublishedAnswers
from bot.web.frame import Frame
from bot.web.pages import details
from redis_state.board.messages import DetailsQuestion


@pytest.mark.parametrize(("page", "offset"), [(3, 40), (500_001, 10_000_000), (9_999_999, 10_000_000)])
def test_a_page_far_behind_the_last_one_is_no_error(page: int, offset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page number beyond the last one is answered with status 200, and its offset is limited to 10,000,000."""
    asked: list[int] = []

    async def ask(question: DetailsQuestion, _client: str) -> DetailsResponse:
        asked.append(question.offset)
        return DetailsResponse(state="done", paths=[question.path], task="task", show="all", offset=question.offset)

    def nothing(*_: object, **__: object) -> Any:
        return None

    monkeypatch.setattr(details, "visible_entry", nothing)
    monkeypatch.setattr(details, "visible_benchmark", nothing)
    suite = SimpleNamespace(benchmarks=(), tasks=("task",))
    answers = cast(PublishedAnswers, SimpleNamespace(context=SimpleNamespace(suite=suite), ask=ask))
    frame = cast(Frame, SimpleNamespace(page=lambda *_, **__: Response()))
    app = FastAPI()
    app.include_router(details.details_routes(answers, frame))
    answer = TestClient(app).get(f"/details/ada/m_eval_request_False_float16_Original.json?page={page}")
    assert (answer.status_code, asked) == (200, [offset])
