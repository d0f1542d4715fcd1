"""Completes prompts with the model of a plan: greedy, or several samples by temperature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from workers.evaluators.code.answers import before_stops, program
from workers.evaluators.code.plan_files import refuse
from workers.evaluators.code.runner import CodeProblem
from workers.evaluators.code.suite import CodeOptions
from workers.evaluators.model_loading import CannotLoad, first_line, load_model

_REQUEST = (
    "Complete this Python function. Answer with the whole function in one code block.\n\n```python\n{prompt}\n```"
)


class CodeModel:
    """The model of a plan, which completes problems."""

    def __init__(self, plan: dict[str, Any], options: CodeOptions) -> None:
        self._plan, self._options = plan, options
        self._device, self._chat = plan["devices"]["device"], plan["model"]["use_chat_template"]
        try:
            self._tokenizer, network = load_model(plan, AutoModelForCausalLM)
        except CannotLoad as error:
            refuse("model", str(error))
        self._model = network.eval()
        self._tokenizer.padding_side = self._tokenizer.truncation_side = "left"
        padding, known = self._tokenizer.pad_token_id, self._model.get_input_embeddings().num_embeddings
        if padding is None or padding >= known:
            self._tokenizer.pad_token_id = self._tokenizer.eos_token_id or 0
        context = getattr(self._model.config, "max_position_embeddings", None)
        self._new_tokens = min(options.max_new_tokens, context // 2) if context else options.max_new_tokens
        self._prompt_tokens = context - self._new_tokens if context else None
        ends = self._model.generation_config.eos_token_id
        drawn = {"do_sample": True, "temperature": options.temperature, "top_p": options.top_p, "top_k": 0}
        # Replaces all of the model's own settings, except for the tokens that end a text.
        self._model.generation_config = GenerationConfig(
            max_new_tokens=self._new_tokens,
            eos_token_id=self._tokenizer.eos_token_id if ends is None else ends,
            pad_token_id=self._tokenizer.pad_token_id,
            **(drawn if options.temperature else {"do_sample": False}),
        )

    def answers(self, problems: Sequence[CodeProblem]) -> Iterator[tuple[CodeProblem, str]]:
        """Every problem with each of its answers, in order."""
        asked = [problem for problem in problems for _ in range(self._options.samples)]
        size = self._plan["devices"]["batch_size"]
        for start in range(0, len(asked), size):
            batch = asked[start : start + size]
            torch.manual_seed(self._plan["seed"] + start)
            yield from zip(batch, self._complete([self._text(problem) for problem in batch]), strict=True)

    def program(self, problem: CodeProblem, answer: str) -> str:
        """The whole program of an answer."""
        return program(problem, answer, chat=self._chat)

    def _text(self, problem: CodeProblem) -> str:
        if not self._chat:
            return problem.prompt
        message = {"role": "user", "content": _REQUEST.format(prompt=problem.prompt)}
        try:
            text: str = self._tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        except Exception as error:  # noqa: BLE001  # a template is an untrusted program
            refuse("model", f"its chat template fails: {first_line(error)}")
        return text

    def _complete(self, texts: list[str]) -> list[str]:
        tokens = self._tokenizer(
            texts,
            return_tensors="pt",
            padding=True,
            truncation=self._prompt_tokens is not None,
            max_length=self._prompt_tokens,
            add_special_tokens=not self._chat,
        ).to(self._device)
        length = tokens["input_ids"].shape[1]
        stops = () if self._chat else self._options.stop
        generated = self._model.generate(  # without gradients
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            stopping_criteria=StoppingCriteriaList([_Stop(self._tokenizer, length, stops)] if stops else []),
            logits_processor=LogitsProcessorList([_Finite()]),
        )
        answers = self._tokenizer.batch_decode(generated[:, length:], skip_special_tokens=True)
        return [before_stops(answer, stops) for answer in answers]


class _Stop(StoppingCriteria):  # type: ignore[misc]  # transformers is not typed
    """Ends a row that has a stop sequence."""

    def __init__(self, tokenizer: Any, length: int, stops: Sequence[str]) -> None:
        self._tokenizer, self._length, self._stops = tokenizer, length, stops
        self._tail = max(map(len, stops)) + 8  # each token adds a byte or more: enough for the longest stop sequence

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:  # noqa: ARG002  # transformers' interface
        """Whether each row has ended."""
        tails = self._tokenizer.batch_decode(input_ids[:, self._length :][:, -self._tail :])
        ended = [any(stop in tail for stop in self._stops) for tail in tails]
        return torch.tensor(ended, device=input_ids.device)


class _Finite(LogitsProcessor):  # type: ignore[misc]  # transformers is not typed
    """Refuses a model whose logits are not numbers."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002  # the same
        """Return the logits unchanged; end the evaluation if one is NaN."""
        if torch.isnan(scores).any():
            refuse("model", "its logits are not numbers (NaN)")
        return scores
