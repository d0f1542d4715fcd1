"""Loads the model of a plan by inspect-ai's provider for transformers: from its folder, safetensors alone, no code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import torch
import transformers
from inspect_ai.model import Model, get_model
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
)

from workers.evaluators.inspect_tasks.settings import CannotEvaluate, InspectOptions, leave_failure, one_line


class CheckedCausalLM:
    """Loads as AutoModelForCausalLM does, and refuses a model that lacks weights."""

    @classmethod
    def from_pretrained(cls, folder: str, **settings: Any) -> Any:
        """The model. Raises CannotEvaluate."""
        loaded, info = AutoModelForCausalLM.from_pretrained(  # nosec B615  # a folder: there is no network
            folder, output_loading_info=True, use_safetensors=True, **settings
        )
        if missing := info["missing_keys"]:
            raise CannotEvaluate("model", f"weights are missing, such as {min(missing)}")
        return loaded.eval()


transformers.CheckedCausalLM = CheckedCausalLM
"""inspect-ai's provider looks its loader up in transformers, by name."""


def load_model(plan: dict[str, Any], options: InspectOptions) -> Model:
    """The model of the plan, ready for questions. Raises CannotEvaluate."""
    model, devices = plan["model"], plan["devices"]
    if model["weight_type"] != "Original":
        raise CannotEvaluate("model", f"only whole models are evaluated, and this is an {model['weight_type']}")
    quantised = model["quantisation"]
    settings = {"quantization_config": BitsAndBytesConfig(**quantised)} if quantised else {}
    try:
        loaded = get_model(
            f"hf/{model['name']}",
            memoize=False,
            model_path=model["folder"],
            auto_model_class=CheckedCausalLM.__name__,
            device="auto" if devices["spread"] == "parts" else devices["device"],
            dtype=getattr(torch, model["dtype"]),
            use_chat_template=model["use_chat_template"],
            tokenizer_call_args={},
            do_sample=bool(options.temperature),
            trust_remote_code=False,
            **settings,
        )
    except (ValueError, KeyError, OSError, SafetensorError) as error:
        raise CannotEvaluate("model", f"transformers cannot load it: {one_line(error)}") from error
    _prepare(loaded.api, options, chat=model["use_chat_template"])
    return loaded


def _prepare(provider: Any, options: InspectOptions, *, chat: bool) -> None:
    """Replace the model's own settings, except for the tokens that end a text; cut prompts so that answers fit."""
    network, tokenizer = provider.model, provider.tokenizer
    if chat and not tokenizer.chat_template:
        raise CannotEvaluate("model", "it has no chat template, and the request asks for it")
    known = network.get_input_embeddings().num_embeddings
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= known:
        tokenizer.pad_token_id = 0  # padding is masked, so any token will do
    ends = network.generation_config.eos_token_id
    network.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id if ends is None else ends,
        pad_token_id=tokenizer.pad_token_id,
        **({"top_k": 0} if options.temperature else {}),
    )
    network.generate = _guarded(network.generate)
    tokenizer.truncation_side = "left"
    provider.tokenizer_call_args["add_special_tokens"] = not chat  # a chat template writes them itself
    if context := context_of(network):
        prompt_tokens = context - answer_tokens(network, options)
        provider.tokenizer_call_args |= {"truncation": True, "max_length": prompt_tokens}


def context_of(network: Any) -> int | None:
    """The tokens that a model can take; None where its config does not say."""
    context = getattr(network.config, "max_position_embeddings", None)
    return context if isinstance(context, int) and context > 1 else None


def answer_tokens(network: Any, options: InspectOptions) -> int:
    """The tokens of an answer: at most half of the context."""
    context = context_of(network)
    return min(options.max_tokens, context // 2) if context else options.max_tokens


def _guarded(generate: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `generate` so that this process ends on errors that every question would meet."""
    processors = LogitsProcessorList([_FiniteLogits()])

    def guarded(**settings: Any) -> Any:
        try:
            return generate(**settings, logits_processor=processors)
        except torch.OutOfMemoryError:  # the worker finds it in the log, and tries a smaller batch
            traceback.print_exc()
            _end()

    return guarded


def _end() -> NoReturn:
    """End from a thread of the provider, where an exception would be an error of each question."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class _FiniteLogits(LogitsProcessor):  # type: ignore[misc]  # transformers is not typed
    """Ends the evaluation of a model whose logits are not numbers."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002  # transformers' interface
        """Return the logits unchanged; end the evaluation if one is NaN."""
        if torch.isnan(scores).any():
            leave_failure("model", "its logits are not numbers (NaN)")
            _end()
        return scores
