"""The harness's model and task manager, extended to report progress and to check models; answers stay the same.

The model makes checks that the harness does not: of the checkpoint before and after it is loaded, of NaN and infinity,
and of chat templates and generations that do not end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs

from leaderboard.result_digests import fingerprint
from workers.common.run_plan import CHANGED_TASKS, JOURNAL, RunPlan
from workers.errors import TasksChanged, TokenizerMissing
from workers.evaluation import adapters
from workers.evaluation.chat_template_checks import checked_conversation
from workers.evaluation.model_checks import CheckedLoader, GenerationGuard, check_files, has_tokenizer
from workers.evaluation.padding import unread_positions
from workers.evaluation.request_counter import RequestCounter
from workers.evaluation.shared_prefix.journal import AnswerJournal
from workers.evaluation.shared_prefix.model import SharedPrefixModel
from workers.evaluation.shared_prefix.portable_answers import (
    MAX_VALUE_BYTES,
    SCORES,
    TEXTS,
    PortableAnswers,
    epsilon_of,
    scores_differ,
    texts_differ,
)
from workers.evaluation.shared_prefix.trust import EngineRecord, add_up
from workers.models import checkpoint

REPORTING_MODEL = "steward-worker"
"""The name under which `ReportingModel` is registered with the harness."""


@register_model(REPORTING_MODEL)
class ReportingModel(SharedPrefixModel):
    """The harness's `hf` model with an engine, checks and progress. Raises BadCheckpoint and EvaluationFailed too."""

    AUTO_MODEL_CLASS: Any
    longest_answer = 0
    """Tokens of the longest answer of the requests under way; 0 before the first request."""

    def __init__(self, *, counter: RequestCounter, plan: RunPlan, **arguments: Any) -> None:
        counter.begin("load")
        check_files(plan)
        if not arguments.get("tokenizer") and not has_tokenizer(plan.weights_path):
            raise TokenizerMissing("there is neither tokenizer.json nor another file of a tokenizer")
        self.plan = plan
        super().__init__(engine=plan.engine, **arguments)
        self.counter = counter
        self.set_cache_hook(counter)
        if plan.copies > 1:  # the harness does this only for copies on GPUs
            self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
        self._asked: Sequence[Any] = ()
        self._tasks_checked = False
        counter.digests.softmax_dtype = str(self.softmax_dtype or "").removeprefix("torch.")
        if plan.journal:
            self.journal = AnswerJournal(JOURNAL + self.rank, plan.journal, plan.journal_bytes)
        if plan.answers:
            self.portable_answers = open_portable_answers(plan, self.rank)
        counter.journal, counter.portable_answers = self.journal, self.portable_answers

    def _create_model(self, *arguments: Any, **options: Any) -> None:
        loader: Any = self.AUTO_MODEL_CLASS
        self.AUTO_MODEL_CLASS = CheckedLoader(loader, self.plan.quantisation)
        try:
            with adapters.require_whole_adapter():
                super()._create_model(*arguments, **options)
        finally:
            self.AUTO_MODEL_CLASS = loader
        if self.plan.weight_type == "Delta":
            adapters.add_delta(self._model, self.plan.model_path)
        checkpoint.check_numbers(self._model.named_parameters())

    def apply_chat_template(self, *arguments: Any, **options: Any) -> Any:
        """Format a conversation. Raises ChatTemplateEndless, ChatTemplateBroken."""
        if not getattr(self.tokenizer, "chat_template", None):
            return super().apply_chat_template(*arguments, **options)  # which reports that the template is missing
        apply = super().apply_chat_template
        return checked_conversation(lambda: apply(*arguments, **options), *arguments)

    def _check_tasks(self) -> None:
        """Compare the tasks with the accepted ones, before the first answer. All copies call this at the same time.

        Raises TasksChanged, and writes the parts of the digests to the spool.
        """
        if self._tasks_checked or not self.plan.accepted:
            return
        self._tasks_checked, digests = True, self.counter.digests
        self._gather_digests()
        parts = digests.parts()
        if fingerprint(parts, self.plan.rules) not in self.plan.accepted:
            if self.rank == 0:
                (self.plan.spool / CHANGED_TASKS).write_text(parts.model_dump_json())
            if self.world_size > 1:  # the first copy that fails ends all others
                self.accelerator.wait_for_everyone()
            raise TasksChanged("the tasks ask or score otherwise than the board's results")

    def _gather_digests(self) -> None:
        """Add the digests that the copies of the model recorded; all copies call this at the same time."""
        if self.world_size > 1:
            states: list[Any] = [None] * self.world_size
            torch.distributed.all_gather_object(states, self.counter.digests.state())
            self.counter.digests.merge(states)

    def loglikelihood(self, requests: Any, *arguments: Any, **options: Any) -> Any:
        """Compute log-likelihoods, and record the tokens of the requests."""
        self._check_tasks()
        self._asked = requests
        try:
            return super().loglikelihood(requests, *arguments, **options)
        finally:
            self._asked = ()

    def generate_until(self, requests: Any, *arguments: Any, **options: Any) -> Any:
        """Generate texts, and record the tokens of their prompts."""
        self._check_tasks()
        compute = super().generate_until
        prompts = [request.args[0] for request in requests]

        def differ(offered: Mapping[int, str], computed: Mapping[int, str]) -> str:
            tokens = [self._prompt_of(requests[index]) for index in computed]
            return texts_differ(
                self, [prompts[index] for index in computed], tokens,
                [offered[index] for index in computed], list(computed.values()),
            )  # fmt: skip

        texts = self.portable_answers.complete(
            TEXTS,
            [request.args for request in requests],
            [str(request.task_name) for request in requests],
            compute=lambda chosen: compute([requests[index] for index in chosen], *arguments, **options),
            differ=differ,
            report=lambda index, text: self.cache_hook.add_partial(TEXTS, requests[index].args, text),
        )
        self.counter.digests.add_prompts(requests, ((self._prompt_of(request), ()) for request in requests))
        return texts

    def _prompt_of(self, request: Any) -> list[int]:
        """The tokens of a generation request's prompt, as the model gets them."""
        options = normalize_gen_kwargs(request.args[1], self.max_gen_toks)
        room = self.max_length - (options["max_gen_toks"] if self.backend == "causal" else 0)
        tokens, _ = self.tok_batch_encode([request.args[0]], left_truncate_len=room, truncation=self.truncation)
        prompt: list[int] = tokens[0].tolist()
        return prompt

    def _loglikelihood_tokens(self, requests: Any, *arguments: Any, **options: Any) -> Any:
        if len(self._asked) == len(requests):
            asked, self._asked = self._asked, ()
            pairs = ((context, answer) for _, context, answer in requests)
            limit = self.max_length + 1 if self.backend == "causal" else None
            self.counter.digests.add_prompts(asked, (last_tokens(*pair, limit) for pair in pairs))
        self.longest_answer = max((len(answer) for _, _, answer in requests), default=0)
        compute, tasks = super()._loglikelihood_tokens, self._task_names
        if not self.portable_answers.offered or len(tasks) != len(requests):
            return compute(requests, *arguments, **options)

        def compute_some(indexes: list[int]) -> Any:
            self._task_names = [tasks[index] for index in indexes]
            return compute([requests[index] for index in indexes], *arguments, **options)

        return self.portable_answers.complete(
            SCORES,
            [texts for texts, _, _ in requests],
            tasks,
            compute=compute_some,
            differ=lambda offered, computed: scores_differ(offered, computed, epsilon_of(self)),
            report=lambda index, answer: self.cache_hook.add_partial(SCORES, requests[index][0], answer),
        )

    def _model_call(self, inps: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        logits = super()._model_call(inps, *arguments, **options)
        if self.backend != "causal" or not self.longest_answer:
            return logits
        return logits[:, unread_positions(inps, self.longest_answer) :]

    def _model_generate(self, context: Any, max_length: int, stop: list[str], **options: Any) -> Any:
        guard = GenerationGuard(max(max_length, self.max_length), self.counter.dtype)
        return super()._model_generate(context, max_length, stop, logits_processor=[guard], **options)

    def withdraw(self, count: int) -> None:
        """Subtract `count` from the answered requests, so that progress shows while these are computed again."""
        self.counter.done -= count

    def barrier(self) -> None:
        """Wait for the other copies, and add up their engine records; all call this after each kind of requests."""
        super().barrier()
        records: list[EngineRecord | None] = [None] * self.world_size
        torch.distributed.all_gather_object(records, self.engine_record)
        self.counter.engine_record = add_up([record for record in records if record is not None])
        self._gather_digests()

    def get_model_info(self) -> Any:
        """End the last phase: the harness calls this right after its evaluation."""
        self.counter.begin("end")
        if self.world_size == 1:
            self.counter.engine_record = self.engine_record
        return super().get_model_info()


def open_portable_answers(plan: RunPlan, rank: int) -> PortableAnswers:
    """Open the answers by request of this copy of the model, and those that `plan` offers, by the child's files."""
    bounds: dict[str, Any] = {"identity": plan.answers, "max_value_bytes": MAX_VALUE_BYTES}
    first = JOURNAL + plan.copies
    offered = [
        AnswerJournal(first + plan.copies + number, is_writable=False, **bounds) for number in range(plan.offered)
    ]
    return PortableAnswers(AnswerJournal(first + rank, max_bytes=plan.answers_bytes, **bounds), offered)


def last_tokens(context: list[int], answer: list[int], limit: int | None) -> tuple[list[int], list[int]]:
    """The last `limit` tokens of a context and its answer, all that the model gets of a long request."""
    excess = len(context) + len(answer) - limit if limit is not None else 0
    if excess <= 0:
        return context, answer
    return context[excess:], answer[max(0, excess - len(context)) :]
