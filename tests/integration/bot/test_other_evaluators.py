"""A board whose suite names an evaluator other than lm-eval: what its pages say, and which rules apply."""

from __future__ import annotations

from pathlib import Path

import yaml

from bot.core.settings import BotSettings
from steward.testing.board import BOARD, SECRET
from steward.testing.running import client_of
from steward.valkey import Valkey
from tests.support.board.page_client import page
from tests.support.evaluators.suites import suite_fields


def test_the_page_about_the_board_names_its_evaluator(valkey: Valkey, tmp_path: Path) -> None:
    """`/about` names the evaluator and the board's precisions, and lists no rule that the evaluator does not need."""
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite_fields(needs={"causal": False, "tokenizer": True})))
    board = {**yaml.safe_load(BOARD), "suite": str(tmp_path / "suite.yaml"), "admission": {"off": ["vocabulary"]}}
    board["precisions"] = ["bfloat16"]
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(board))
    settings = BotSettings(redis_url=valkey.url, board=tmp_path / "board.yaml", webhook_secret=SECRET, port=0)
    with client_of(settings) as client:
        text = page(client, "/about")
        assert "is evaluated by <code>pairs</code> 1.0, a program of this leaderboard" in text
        assert "The evaluator measures a raw score" in text and "<code>accuracy</code>" in text
        assert "One of bfloat16, in upper or lower case." in text
        held = {rule["name"] for rule in client.get("/api/about").json()["rules"]}
    assert "tokenizer-loads" in held
    assert not held & {"causal", "vocabulary"}, "no rule that the evaluator does not need or that is off"
