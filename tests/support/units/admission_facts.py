"""A submission that every rule accepts, and changes that make rules refuse it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import yaml

from leaderboard.admission.facts import (
    AdapterFacts,
    BoardFacts,
    ConfigFacts,
    EarlierRequest,
    ModelCard,
    ModelFacts,
    ModelFile,
    TokenizerFacts,
    Weights,
)
from leaderboard.admission.submission import Submission
from leaderboard.boards import Board, parse_board
from leaderboard.request_paths import RequestPath
from leaderboard.requests import Request, parse_request

SHA = "a" * 40
NOW = 1_764_000_000.0
BILLION = 1_000_000_000
BOARD = """
name: demo
title: Demo
suite: starter
repos: {requests: o/requests, results: o/results, logs: o/logs, community: o/space, details_namespace: o-details}
"""
CONFIG = ConfigFacts(
    "loaded",
    architecture="LlamaForCausalLM",
    model_type="llama",
    transformers="5.24.0",
    is_causal=True,
    vocabulary=32_000,
    context=4_096,
    dtype="bfloat16",
    special_tokens={"bos": (1,), "eos": (2, 3)},
    layers=32,
)
TOKENIZER = TokenizerFacts("loaded", 32_000, 31_999, {"bos": 1, "eos": 2}, "works")
WEIGHTS = Weights(("model.safetensors",), dtypes={"BF16": 7 * BILLION}, parameters=7 * BILLION, layers=(32,))
CARD = ModelCard(True, 900, "apache-2.0", base_models=("meta-llama/Llama-2-7b",), relation="finetune", tags=("text",))
FILES = tuple(
    ModelFile(name) for name in ("README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer.model")
)
MODEL = ModelFacts("found", SHA, CONFIG, FILES, "ada/tiger", tokenizer=TOKENIZER, weights=WEIGHTS, card=CARD)
BASE = replace(MODEL, id="meta-llama/Llama-2-7b", sha="b" * 40)
LORA = Weights(("adapter_model.safetensors",), dtypes={"F32": 20_000_000}, parameters=20_000_000, layers=(32,))
ADAPTER = ModelFacts(
    "found",
    SHA,
    ConfigFacts("missing"),
    (ModelFile("adapter_config.json"), ModelFile("adapter_model.safetensors"), ModelFile("README.md")),
    "ada/tiger",
    tokenizer=TokenizerFacts("missing"),
    weights=LORA,
    card=CARD,
    adapter=AdapterFacts("meta-llama/Llama-2-7b", "LORA"),
    base_name="meta-llama/Llama-2-7b",
    base=BASE,
)
DELTA = replace(MODEL, base_name="meta-llama/Llama-2-7b", base=BASE)
MERGED = replace(CARD, is_merge=True, merge_traces=("the tag merge",), tags=("merge",), relation="merge")


def unreadable(availability: Any) -> ModelFacts:
    """Facts about a model of which only this problem is known."""
    return ModelFacts(availability)


def config(**changes: Any) -> ModelFacts:
    """Facts about a valid model, with these changes to its config."""
    return replace(MODEL, config=replace(CONFIG, **changes))


def tokenizer(**changes: Any) -> ModelFacts:
    """Facts about a valid model, with these changes to its tokenizer."""
    return replace(MODEL, tokenizer=replace(TOKENIZER, **changes))


def weights(**changes: Any) -> ModelFacts:
    """Facts about a valid model, with these changes to its weights."""
    return replace(MODEL, weights=replace(WEIGHTS, **changes))


def card(**changes: Any) -> ModelFacts:
    """Facts about a valid model, with these changes to its card."""
    return replace(MODEL, card=replace(CARD, **changes))


def files(*names: str, **changes: Any) -> ModelFacts:
    """Facts about a valid model with other files in its repo, and with these changes."""
    return replace(MODEL, files=tuple(ModelFile(name) for name in names), **changes)


def earlier(status: str, model: str = "ada/tiger", address: str = "https://hub.example/requests/1") -> EarlierRequest:
    """Return a request that the board already has."""
    return EarlierRequest(f"{model}_eval_request_False_bfloat16_Original.json", model, status, address)


@cache
def _board(section: str) -> Board:
    return parse_board(BOARD + section)


@dataclass(frozen=True)
class Case:
    """A submission, and the codes of the reasons against it in order; none if it is accepted."""

    name: str
    codes: tuple[str, ...] = ()
    model: ModelFacts = MODEL
    precision: str = "bfloat16"
    weight_type: str = "Original"
    private: bool = False
    org: str = "ada"
    asked: Mapping[str, Any] = field(default_factory=dict)
    board_facts: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    precisions: tuple[str, ...] = ()

    def board(self) -> Board:
        """Return the board of the submission."""
        more = {"precisions": list(self.precisions)} if self.precisions else {}
        return _board(yaml.safe_dump({"admission": dict(self.policy), **more}))

    def request(self) -> Request:
        """The parsed request file of the submission."""
        path = RequestPath(self.org, "tiger", self.private, self.precision, self.weight_type)
        fields = {"model": path.model, "status": "PENDING", "revision": "main", "model_type": "🔶 : 🔶 fine-tuned"}
        parsed = parse_request(str(path), json.dumps({**fields, **self.asked}).encode())
        assert isinstance(parsed, Request)
        return parsed

    def submission(self) -> Submission:
        """Everything that the rules read: the request, the model, the board and its facts."""
        return Submission(self.request(), self.model, self.board(), BoardFacts(NOW, **self.board_facts))
