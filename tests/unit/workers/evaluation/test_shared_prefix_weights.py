"""The engine of shared prefixes with each kind of weights: on several devices, with adapters, quantised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.long import long_except
from tests.support.models.families import random_model
from tests.support.models.shared_prefix import harness_model, instances

LONGEST = 120


def weights_in_parts(folder: Path) -> Any:
    """A model whose layers are spread over memory and a disk, as accelerate spreads them over devices."""
    from accelerate import dispatch_model

    model = random_model("llama")
    places = {"model.layers.1": "disk", "model.layers.2": "disk"}
    others = ("model.embed_tokens", "model.layers.0", "model.norm", "model.rotary_emb", "lm_head")
    return dispatch_model(model, dict.fromkeys(others, "cpu") | places, offload_dir=folder)


def with_adapter(config: Any) -> Any:
    """A model with an adapter of random weights."""
    from peft import get_peft_model

    return get_peft_model(random_model("llama"), config).eval()


def low_rank(_: Path) -> Any:
    from peft import LoraConfig

    targets = ["q_proj", "v_proj"]
    return with_adapter(LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=targets, init_lora_weights=False))


def prompt_tuning(_: Path) -> Any:
    from peft import PromptTuningConfig

    return with_adapter(PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))


def activated(_: Path) -> Any:
    from peft import LoraConfig

    targets, tokens = ["q_proj", "v_proj"], harness_model(random_model("llama"), max_length=LONGEST).tok_encode("a")
    return with_adapter(
        LoraConfig(
            task_type="CAUSAL_LM",
            r=2,
            target_modules=targets,
            init_lora_weights=False,
            alora_invocation_tokens=tokens,
        )
    )


def quantised(bits: int) -> Any:
    """A model that is marked as quantised to `bits` bits; real quantisation by bitsandbytes needs a GPU."""
    model = random_model("llama")
    setattr(model, f"is_loaded_in_{bits}bit", True)
    return model


WEIGHTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "parts": (weights_in_parts, ""),
    "low-rank": (low_rank, ""),
    "prompt-tuning": (prompt_tuning, "its adapter adds tokens to the prompt"),
    "activated": (activated, "its adapter begins at certain tokens of the prompt"),
    "8-bit": (lambda _: quantised(8), "its 8-bit weights compute other numbers in other batches"),
    "4-bit": (lambda _: quantised(4), ""),
    "float16": (lambda _: random_model("llama").half(), ""),
}


@pytest.mark.parametrize(
    "weights", long_except({"parts", "low-rank", "8-bit"}, WEIGHTS, "another reason, or another number of bits")
)
def test_weights_of_each_kind_give_the_harness_answers(weights: str, tmp_path: Path) -> None:
    """All kinds of weights give the harness's answers; the record says why if the engine does not compute them."""
    make, reason = WEIGHTS[weights]
    model, requests = make(tmp_path), instances(40)
    expected = harness_model(model, max_length=LONGEST, logits_cache=False).loglikelihood(requests, disable_tqdm=True)
    harness = harness_model(model, max_length=LONGEST, engine="shared-prefix")
    actual = harness.loglikelihood(requests, disable_tqdm=True)
    assert harness.engine_record.reason == reason
    tolerance = 0.1 if str(model.dtype) == "torch.float16" else 1e-4
    assert [value for value, _ in actual] == pytest.approx([value for value, _ in expected], abs=tolerance)
