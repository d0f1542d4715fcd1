"""The harness's own model and task manager, watched: the same calls with the same answers, and a word of how far it is.

What the harness would take on trust is looked at here: a checkpoint before and after it is loaded, numbers that are
none, a chat template or a generation that does not end.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import lm_eval.models.huggingface
import torch
from lm_eval.api.model import CacheHook
from lm_eval.api.registry import register_model
from lm_eval.tasks import TaskManager
from transformers import BitsAndBytesConfig

from workers.common.run_plan import Report, RunPlan, RunProgress
from workers.errors import ChatTemplateBroken, ChatTemplateEndless, GenerationEndless, NotANumber, TokenizerMissing
from workers.evaluation import adapters
from workers.evaluation.padding import unread_positions
from workers.models import checkpoint

REPORTING_MODEL = "steward-hf"
"""The harness's `hf` model under a name of ours: nothing is different but that it says how far it is."""

TEMPLATE_SECONDS = 5.0
"""How long one conversation may take a chat template; a usual one takes milliseconds."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "*.model", "*.tiktoken")


class RequestCounter(CacheHook):  # type: ignore[misc]  # the harness has no types
    """Told by the model of every request that it has answered: the harness's own hook for caches, used to count."""

    def __init__(self, report: Report, dtype: str) -> None:
        super().__init__(None)
        self.report = report
        self.dtype = dtype
        self.tasks: dict[str, Any] = {}
        self.done = self._total = 0
        self._began: dict[str, float] = {}

    def begin(self, phase: str) -> None:
        """A phase of the results file begins, and with it the one before ends; `end` is the last."""
        self._began[phase] = time.monotonic()

    @property
    def seconds(self) -> dict[str, float]:
        """How long each phase took."""
        return {phase: round(end - start, 3) for (phase, start), (_, end) in pairwise(self._began.items())}

    @property
    def total(self) -> int:
        """Requests of all tasks; 0 before the prompts are made."""
        return sum(request.repeats for task in self.tasks.values() for request in task.instances or ())

    def add_partial(self, attr: str, req: Any, res: Any) -> None:  # noqa: ARG002  # named by the harness
        """One more request is answered, by text or by (log-likelihood, whether it is the likeliest).

        Raises NotANumber: the harness itself would take the first choice for the model's, and score it.
        """
        if isinstance(res, tuple) and not math.isfinite(res[0]):
            raise NotANumber(f"the log-likelihood of an answer is {res[0]} in {self.dtype}")
        if self.done == 0:
            self._total = self.total
        self.done += 1
        self.report(RunProgress("evaluate", self.done, self._total))
        if self.done == self._total:
            self.report(RunProgress("score", self.done, self._total))


@register_model(REPORTING_MODEL)
class ReportingModel(lm_eval.models.huggingface.HFLM):  # type: ignore[misc]  # the harness has no types
    """The harness's `hf` model, watched. Raises BadCheckpoint and EvaluationFailed beside what the harness raises."""

    AUTO_MODEL_CLASS: Any
    longest_answer = 0
    """Tokens of the longest answer whose likelihood is asked for now; 0 before anything is asked."""

    def __init__(self, *, counter: RequestCounter, plan: RunPlan, **arguments: Any) -> None:
        counter.begin("load")
        _examine(plan)
        if not arguments.get("tokenizer") and not has_tokenizer(plan.weights_path):
            raise TokenizerMissing("there is neither tokenizer.json nor another file of a tokenizer")
        self.plan = plan
        super().__init__(**arguments)
        self.counter = counter
        self.set_cache_hook(counter)
        if plan.copies > 1:  # the harness itself does this for copies on GPUs alone
            self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes

    def _create_model(self, *arguments: Any, **options: Any) -> None:
        loader: Any = self.AUTO_MODEL_CLASS
        self.AUTO_MODEL_CLASS = _CheckedLoader(loader, self.plan.quantisation)
        try:
            with adapters.require_whole_adapter():
                super()._create_model(*arguments, **options)
        finally:
            self.AUTO_MODEL_CLASS = loader
        if self.plan.weight_type == "Delta":
            adapters.add_delta(self._model, self.plan.model_path)
        checkpoint.check_numbers(self._model.named_parameters())

    def apply_chat_template(self, *arguments: Any, **options: Any) -> Any:
        """Write a conversation down. Raises ChatTemplateEndless, ChatTemplateBroken."""
        if not getattr(self.tokenizer, "chat_template", None):
            return super().apply_chat_template(*arguments, **options)  # which says so
        try:
            with _time_limit(TEMPLATE_SECONDS):
                return super().apply_chat_template(*arguments, **options)
        except ChatTemplateEndless:
            raise
        except Exception as error:  # boundary: a template is a program of a stranger's, and raises what it likes
            raise ChatTemplateBroken(f"{type(error).__name__}: {error}") from error

    def _loglikelihood_tokens(self, requests: Any, *arguments: Any, **options: Any) -> Any:
        self.longest_answer = max((len(answer) for _, _, answer in requests), default=0)
        return super()._loglikelihood_tokens(requests, *arguments, **options)

    def _model_call(self, inps: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        logits = super()._model_call(inps, *arguments, **options)
        if self.backend != "causal" or not self.longest_answer:
            return logits
        return logits[:, unread_positions(inps, self.longest_answer) :]

    def _model_generate(self, context: Any, max_length: int, stop: list[str], **options: Any) -> Any:
        guard = _GenerationGuard(max(max_length, self.max_length), self.counter.dtype)
        return super()._model_generate(context, max_length, stop, logits_processor=[guard], **options)

    def get_model_info(self) -> Any:
        """What the harness asks for right after its evaluation: the end of that, to the clock."""
        self.counter.begin("end")
        return super().get_model_info()


class ReportingTaskManager(TaskManager):  # type: ignore[misc]  # the harness has no types
    """The harness's task manager; the watch learns which tasks were loaded, and so how many requests there are.

    `shots` are the suite's: task → examples, as the command's --num_fewshot would set them task by task.
    """

    def __init__(self, counter: RequestCounter, shots: dict[str, int], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.counter = counter
        self.shots = shots

    def load(self, task_list: Any) -> Any:
        """Load tasks with their questions."""
        self.counter.report(RunProgress("prepare"))
        self.counter.begin("prepare")
        loaded = super().load(task_list)
        self.counter.tasks = loaded["tasks"]
        for name, task in loaded["tasks"].items():
            if name in self.shots:
                task.set_config(key="num_fewshot", value=self.shots[name])
        self.counter.begin("evaluate")
        return loaded


class _CheckedLoader:
    """A class of models whose `from_pretrained` quantises, and does not fill in what the checkpoint lacks."""

    def __init__(self, loader: Any, quantisation: dict[str, str | bool]) -> None:
        self.loader = loader
        self.quantisation = quantisation

    def from_pretrained(self, *arguments: Any, **options: Any) -> Any:
        """The model, where all its weights are there. Raises WeightsIncomplete, WeightsOfWrongShape."""
        # Told of wrong shapes instead of dying of them: the library prints which, and raises without a word of it.
        told = {"output_loading_info": True, "ignore_mismatched_sizes": True}
        if self.quantisation:
            options["quantization_config"] = BitsAndBytesConfig(**self.quantisation)
        model, info = self.loader.from_pretrained(*arguments, **options, **told)
        checkpoint.check_loaded(info)
        return model


class _GenerationGuard:
    """Looks on as a text is generated, and changes nothing: are the first numbers numbers, and does it end?"""

    def __init__(self, most: int, dtype: str) -> None:
        self.most = most
        self.dtype = dtype
        self.looked = False

    def __call__(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores as they are. Raises NotANumber, GenerationEndless."""
        if not self.looked:
            self.looked = True
            if bool(torch.isnan(scores).any()) or bool(torch.isposinf(scores).any()):
                raise NotANumber(f"the first token of an answer has scores that are NaN or infinite in {self.dtype}")
        if tokens.shape[1] > self.most:
            raise GenerationEndless(f"an answer has more than the {self.most} tokens of the model's context")
        return scores


def has_tokenizer(folder: Path) -> bool:
    """Whether there are files of a tokenizer in `folder`."""
    return any(found for pattern in TOKENIZER_FILES for found in folder.glob(pattern))


def _examine(plan: RunPlan) -> None:
    """Look at the files of a model, and of what it changes. Raises BadCheckpoint."""
    checkpoint.check_model_files(plan.weights_path)
    if plan.weight_type == "Adapter":
        checkpoint.check_adapter_files(plan.model_path)
    elif plan.weight_type == "Delta":
        checkpoint.check_model_files(plan.model_path)


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises ChatTemplateEndless in the middle of the block where it takes longer. For the main thread alone."""

    def ring(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as handlers are called
        raise ChatTemplateEndless(f"one conversation took it more than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
