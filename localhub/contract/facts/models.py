"""The info of a model, from which Steward decides whether it can evaluate it, and scores on models' pages."""

from __future__ import annotations

import json
import struct
from typing import Any

from localhub.contract.checks import NotTried, check, check_equal, described, only, part
from localhub.contract.facts.files import upload_large
from localhub.contract.registry import FactGroup
from localhub.contract.scratch import ScratchRepo
from localhub.contract.workspace import BENCHMARK, Workspace, act_in_thread, commit, committed, open_pull

models = FactGroup("models")

_CARD = b"---\nlicense: mit\ntags:\n- scratch\n---\n# A scratch model\n"
_MOST_READS = 6
_TASK = "mmlu_pro"
"""The task of BENCHMARK in the files of scores; they lie in a private model, so that no leaderboard shows them."""


def _safetensors() -> bytes:
    """A file of one tensor of six parameters."""
    head = json.dumps({"weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(24)


def _scores(value: object) -> bytes:
    return f"- dataset:\n    id: {BENCHMARK}\n    task_id: {_TASK}\n  value: {value}\n".encode()


def _model(ws: Workspace) -> ScratchRepo:
    """A private model with weights, a config and a card."""

    def make() -> ScratchRepo:
        config = b'{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}'
        repo = ws.repo("model", {"README.md": _CARD, "config.json": config})
        upload_large(ws, repo, "model.safetensors", _safetensors())
        return repo

    return ws.once("model", make)


def _info(ws: Workspace) -> Any:
    return ws.client.get(f"{_model(ws).api}/revision/main", params={"blobs": "true"}).expect(200).json()


def _results(ws: Workspace) -> list[Any]:
    answer = ws.client.get(_model(ws).api, params={"expand": "evalResults"}).expect(200).json()
    return list(answer.get("evalResults") or [])


def _results_of(ws: Workspace, path: str) -> Any:
    """The entry of one file of scores, as soon as the Hub shows it; None if it does not."""
    return ws.eventually(lambda: next((it for it in _results(ws) if it.get("filename") == path), None), _MOST_READS)


@models.fact(calls=1)
def card(ws: Workspace) -> None:
    """The info of a model gives its card's metadata in `cardData`, and its `tags`."""
    fields = _info(ws)
    check_equal("cardData.license", part(fields, "cardData", "license"), "mit")
    check("tags", "scratch" in part(fields, "tags"), expected="scratch among them", got=fields["tags"])


@models.fact(calls=_MOST_READS)
def parameters(ws: Workspace) -> None:
    """The info of a model gives the number of its parameters in `safetensors`, in all and by data type."""
    tensors = ws.eventually(lambda: _info(ws).get("safetensors"), _MOST_READS)
    check_equal("total", part(tensors, "total"), 6)
    check_equal("parameters", part(tensors, "parameters"), {"F32": 6})


@models.fact(calls=1)
def gated_and_disabled(ws: Workspace) -> None:
    """The info of a model gives `gated` and `private`."""
    fields = _info(ws)
    check_equal("gated", part(fields, "gated"), False)
    check_equal("private", part(fields, "private"), True)


@models.fact(calls=1)
def search(ws: Workspace) -> None:
    """`GET /api/models?search=&limit=&sort=downloads` gives at most `limit` models, each with `id` and `private`."""
    params = {"search": "a", "limit": "2", "sort": "downloads"}
    items = ws.client.get("/api/models", params=params).expect(200).json()
    check("models", len(items) <= 2, expected="at most 2", got=described(items))
    for item in items:
        check("private", isinstance(part(item, "private"), bool), expected="true or false", got=item["private"])
        check("id", isinstance(part(item, "id"), str), expected="text", got=item["id"])


@models.fact(calls=_MOST_READS + 1)
def scores(ws: Workspace) -> None:
    """`expand=evalResults` shows the entries of `.eval_results/*.yaml`: `filename`, `data.dataset`, `data.value`."""
    path = ".eval_results/on-main.yaml"
    committed(ws, _model(ws), {path: _scores(0.5)}, "Add a score")
    entry = _results_of(ws, path)
    check_equal("dataset", part(entry, "data", "dataset", "id"), BENCHMARK)
    check_equal("task_id", part(entry, "data", "dataset", "task_id"), _TASK)
    check_equal("value", part(entry, "data", "value"), 0.5)
    check("pullRequest", entry.get("pullRequest") is None, expected="absent on main", got=entry)


@models.fact(calls=2 * _MOST_READS + 2)
def scores_in_pull(ws: Workspace) -> None:
    """Scores in an open pull request are shown, with its number; those of a closed one are not."""
    repo, path = _model(ws), ".eval_results/in-pull.yaml"
    number = open_pull(ws, repo, {path: _scores(0.25)}, "Add a score by a pull request")
    check_equal("pullRequest", part(_results_of(ws, path), "pullRequest"), number)
    act_in_thread(ws, repo, number, "status", {"status": "closed"}).expect(200)

    def is_gone() -> bool | None:
        return None if any(it.get("filename") == path for it in _results(ws)) else True

    check("scores of a closed pull request", ws.eventually(is_gone, _MOST_READS) is True, expected="none", got="shown")


@models.choice(calls=_MOST_READS + 1)
def invalid_scores(ws: Workspace) -> None:
    """A commit of an invalid `.eval_results/*.yaml` is accepted, and `evalResults` shows the error for this file."""
    path = ".eval_results/invalid.yaml"
    commit(ws, _model(ws), {path: b"- dataset: {id: 5}\n"}).expect(200)
    entry = _results_of(ws, path)
    check("error", bool(part(entry, "error")), expected="a message", got=entry)


@models.choice(calls=1)
def leaderboard_order(ws: Workspace) -> None:
    """A benchmark's leaderboard is ordered by value, the highest first."""
    answer = ws.client.get(f"/api/datasets/{ws.benchmark}/leaderboard")
    if answer.status == 404 or len(rows := answer.expect(200).json()) < 2:
        raise NotTried(f"{ws.benchmark} has no leaderboard with several models here; name another with --benchmark")
    values = [part(row, "value") for row in rows]
    check("values", values == sorted(values, reverse=True), expected="the highest first", got=values)


@models.fact(calls=1)
def leaderboard_row(ws: Workspace) -> None:
    """A row of a benchmark's leaderboard gives `rank`, `modelId`, `value` and `filename`."""
    answer = ws.client.get(f"/api/datasets/{ws.benchmark}/leaderboard")
    if answer.status == 404 or not (rows := answer.expect(200).json()):
        raise NotTried(f"{ws.benchmark} has no leaderboard here; name another with --benchmark")
    row = only("rows of rank 1", rows[:1], lambda _: True)
    for name in ("rank", "modelId", "value", "filename"):
        part(row, name)
