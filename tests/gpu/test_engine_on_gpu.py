"""The engine of shared prefixes on a real GPU: precisions, texts, lack of memory, two devices by parts, two copies.

Skipped with a reason on a machine without a GPU. `make long` runs the same on the CPU, too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leaderboard.steward_block import engine_use
from tests.support.models.families import random_model
from tests.support.models.shared_prefix import harness_model, instances
from tests.support.workers import evaluation_script
from tests.support.workers.child_runs import evaluate_by_prefix
from workers.evaluation import machine

GPUS = machine.gpus()
LONGEST = 120
NO_GPU = pytest.mark.skipif(not GPUS, reason="no GPU here: there is no nvidia-smi, or it lists none")
NO_TWO = pytest.mark.skipif(len(GPUS) < 2, reason=f"two GPUs are needed, this machine has {len(GPUS)}")
ON_CPU = pytest.mark.long("the test on a CPU")
one_device = pytest.mark.parametrize(
    "device", [pytest.param("cuda:0", marks=NO_GPU), pytest.param("cpu", marks=ON_CPU)]
)


def difference(actual: Sequence[Any], expected: Sequence[Any]) -> float:
    """The largest difference of a log-likelihood."""
    return max(abs(ours - theirs) for (ours, _), (theirs, _) in zip(actual, expected, strict=True))


@one_device
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float16", 0.2), ("bfloat16", 1.0)])
def test_log_likelihoods_are_the_harness_ones(device: str, dtype: str, tolerance: float) -> None:
    """In each precision the comparison accepts the engine, and no log-likelihood is far from the harness's."""
    import torch

    model, requests = random_model("llama").to(device, getattr(torch, dtype)), instances()
    expected = harness_model(model, max_length=LONGEST, logits_cache=False).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    assert difference(harness.loglikelihood(requests, disable_tqdm=True), expected) < tolerance
    assert (harness.engine_record.engine, harness.engine_record.reason) == ("shared-prefix", "")


@one_device
@pytest.mark.parametrize(("dtype", "others"), [("float32", 0), ("bfloat16", 4)])
def test_texts_are_the_harness_ones(device: str, dtype: str, others: int) -> None:
    """The engine writes the harness's texts; in half precision a few may differ from a near tie on."""
    import torch

    model = random_model("llama").to(device, getattr(torch, dtype))
    options = {"until": ["h"], "max_gen_toks": 12}
    requests = [
        SimpleNamespace(args=(instance.args[0], options), task_name="texts") for instance in instances(40)[2::4]
    ]
    expected = harness_model(model, max_length=LONGEST).generate_until(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    texts = harness.generate_until(requests, disable_tqdm=True)
    record = harness.engine_record.generation
    assert (record.answers, record.reasons) == (len(requests), ())
    assert sum(ours != theirs for ours, theirs in zip(texts, expected, strict=True)) <= others


@one_device
@pytest.mark.parametrize("room", [200, 0])
def test_a_device_without_memory_gives_the_same_answers(
    device: str, room: int, caplog: pytest.LogCaptureFixture
) -> None:
    """With little memory the engine takes smaller steps, with none the harness goes on; the answers are the same."""
    import torch

    model, requests = random_model("llama").to(device), instances()
    expected = harness_model(model, max_length=LONGEST, logits_cache=False).loglikelihood(requests, disable_tqdm=True)

    def fill(_: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        if "logits_to_keep" in options and arguments[0].numel() > max(room, 60):  # only the engine passes it
            torch.empty(1 << 62, dtype=torch.uint8, device=device)

    model.register_forward_pre_hook(fill, with_kwargs=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    assert difference(harness.loglikelihood(requests, disable_tqdm=True), expected) < 1e-4
    assert "out of memory: the rest is computed with" in caplog.text
    assert harness.engine_record.reason.startswith("" if room else "out of memory")


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(("cuda:0", "cuda:1"), marks=NO_TWO),
        pytest.param(("cuda:0", "cpu"), marks=NO_GPU),
        pytest.param(("cpu", "disk"), marks=ON_CPU),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_layers_on_two_devices_give_the_harness_answers(places: tuple[str, str], dtype: str, tmp_path: Path) -> None:
    """The engine gives the harness's answers for a model whose layers accelerate distributes over two devices."""
    import torch
    from accelerate import dispatch_model

    first, second = places
    layers = {"model.layers.1": second, "model.layers.2": second}
    others = ("model.embed_tokens", "model.layers.0", "model.norm", "model.rotary_emb", "lm_head")
    model = random_model("llama").to(getattr(torch, dtype))
    model = dispatch_model(model, dict.fromkeys(others, first) | layers, main_device=first, offload_dir=tmp_path)
    requests = instances()
    expected = harness_model(model, max_length=LONGEST, logits_cache=False).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    assert difference(harness.loglikelihood(requests, disable_tqdm=True), expected) < (
        1e-4 if dtype == "float32" else 0.2
    )
    assert (harness.engine_record.engine, harness.engine_record.reason) == ("shared-prefix", "")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=NO_TWO), pytest.param("cpu", marks=ON_CPU)])
@pytest.mark.parametrize("spread", ["copies", pytest.param("parts", marks=NO_TWO)])
def test_two_devices_find_what_one_finds(device: str, spread: str, tmp_path: Path) -> None:
    """Two copies of a model, or one with its layers on two devices, give the results of one device, by the engine."""
    together: dict[str, Any] = {"device": device, "spread": spread, "copies": 2 if spread == "copies" else 1}
    alone = {"device": "cpu" if device == "cpu" else "cuda:0"}
    spools = evaluate_by_prefix(tmp_path, (evaluation_script.__file__,), alone=alone, together=together)
    results = {name: json.loads((spool / "results.json").read_text()) for name, spool in spools.items()}
    assert results["together"]["results"] == results["alone"]["results"]
    use = engine_use(results["together"])
    assert use and (use.engine, use.reason) == ("shared-prefix", "")
