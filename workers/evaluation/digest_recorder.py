"""Computes the parts of a result's digests; `leaderboard.result_digests` says what they mean.

Everything is computed from what the harness really used: the requests that it made, the documents that its tasks
prepared, the tokens that the model got, and the source files of the modules that were loaded. So a task's own code may
come from any folder, and the digests show what shuffles, samples and a stale cache of the `datasets` library did.

    asked     one digest per document, from its requests (kind, texts, generation arguments, repeats) and from the
              document itself; then one over all documents in order
    scored    the task's metrics, filters and targets as its configuration names them; the modules that hold their
              functions, and the modules of task code that these import, each by the digest of its source file; the
              versions of the packages that these use
    prompts   one digest per request, from its tokens; then one over all requests in order

A digest holds no path, address or time, and does not depend on the order of a dictionary or of the tasks: it is the
same in each process and on each machine. The commit of a dataset is recorded beside `asked`, but not part of it: the
documents themselves are, and a commit that only edits the dataset's README asks the same.
"""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from leaderboard.result_digests import DigestParts, ScoredParts, TaskDigests
from workers.evaluation.asked_documents import DocumentDigests, asked_parts, document_digests
from workers.evaluation.scoring_code import scored_parts


@contextmanager
def unchanged_randomness(task: Any) -> Iterator[None]:
    """Restore, after the block, the random generators from which the harness draws examples and shuffles."""
    sampler = getattr(task, "sampler", None)
    draws = [rnd for rnd in (getattr(sampler, "rnd", None), getattr(task, "fewshot_rnd", None)) if rnd is not None]
    states, random_state, numpy_state = [rnd.getstate() for rnd in draws], random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        for rnd, state in zip(draws, states, strict=True):
            rnd.setstate(state)
        random.setstate(random_state)
        np.random.set_state(numpy_state)


class DigestRecorder:
    """Records the parts of the result's digests while the harness evaluates."""

    def __init__(self, revisions: Mapping[str, str] | None = None, moved: Mapping[str, str] | None = None) -> None:
        """`revisions`: dataset → commit; `moved`: dataset that a task names → the one that holds its questions here."""
        self.revisions, self.moved = revisions or {}, moved or {}
        self.softmax_dtype = ""
        self.tokens: dict[int, list[int]] | None = None
        """Number of a document → tokens of its context; None: they are not needed."""
        self.tasks: dict[str, Any] = {}
        self._scored: dict[str, tuple[ScoredParts, dict[str, str], dict[str, str]]] = {}
        self._documents: dict[str, DocumentDigests] = {}
        self._prompts: dict[str, dict[tuple[int, int], bytes]] = {}

    def watch(self, tasks: Mapping[str, Any]) -> None:
        """Record how `tasks` score answers, and their requests when the harness makes them."""
        for name, task in tasks.items():
            self.tasks[name], self._scored[name] = task, scored_parts(task)
            task.build_all_requests = partial(self._build, name, task, task.build_all_requests)

    def _build(self, name: str, task: Any, build: Callable[..., None], **options: Any) -> None:
        """Make the requests of a task; with a chat template, first those without it, to record them.

        Examples may be drawn from one random sequence for all questions. So a copy of the model that answers a share of
        them makes the requests of all, and keeps its share: a question then has the examples that one copy would draw.
        """
        rank, copies = options.get("rank", 0), options.get("world_size", 1)
        draws = copies > 1 and (task.config.num_fewshot or 0) > 0
        if draws:
            options |= {"rank": 0, "world_size": 1}
        if options.get("apply_chat_template"):
            plain = {"apply_chat_template": False, "fewshot_as_multiturn": False, "chat_template": None}
            with unchanged_randomness(task):
                build(**{**options, **plain, "tokenizer_name": ""})
            self._documents[name] = document_digests(task.instances)
            build(**options)
        else:
            build(**options)
            self._documents[name] = document_digests(task.instances)
        if draws:
            task._instances = [request for request in task.instances if request.doc_id % copies == rank]

    def add_prompts(self, requests: Sequence[Any], tokens: Iterable[tuple[Sequence[int], Sequence[int]]]) -> None:
        """Record the tokens of requests: of the context, and of the scored answer (empty where a text is generated)."""
        last: Sequence[int] = ()
        context_bytes = b""
        for request, (context, answer) in zip(requests, tokens, strict=True):
            if context is not last:
                last, context_bytes = context, array("i", context).tobytes()
            digest = hashlib.sha256(context_bytes)
            digest.update(b"|" + array("i", answer).tobytes())
            if self.tokens is not None:
                self.tokens.setdefault(request.doc_id, list(context))
            prompts = self._prompts.setdefault(str(request.task_name), {})
            prompts[request.doc_id, request.idx] = digest.digest()[:16]

    def state(self) -> tuple[Any, Any]:
        """The records of this process, for the process that gathers the shares of all copies."""
        return self._documents, self._prompts

    def merge(self, states: Iterable[tuple[Any, Any]]) -> None:
        """Add the records that the copies of the model made of their shares of the questions."""
        for documents, prompts in states:
            for own, others in ((self._documents, documents), (self._prompts, prompts)):
                for task, digests in others.items():
                    own.setdefault(task, {}).update(digests)

    def parts(self) -> DigestParts:
        """The parts of the result's digests."""
        tasks: dict[str, TaskDigests] = {}
        modules: dict[str, str] = {}
        versions: dict[str, str] = {}
        for name, task in self.tasks.items():
            scored, used, packages = self._scored[name]
            modules |= used
            versions |= packages
            tasks[name] = TaskDigests(
                asked=asked_parts(
                    self._documents[name], shots=task.config.num_fewshot or 0, dataset=self._dataset_of(task)
                ),
                scored=scored,
                prompts=self._prompts_of(name),
            )
        return DigestParts(
            tasks=tasks,
            modules=dict(sorted(modules.items())),
            versions=dict(sorted(versions.items())),
            softmax_dtype=self.softmax_dtype,
        )

    def _prompts_of(self, task: str) -> str:
        prompts = self._prompts.get(task, {})
        return hashlib.sha256(b"".join(prompts[key] for key in sorted(prompts))).hexdigest() if prompts else ""

    def _dataset_of(self, task: Any) -> str:
        """The source of the questions as repo@commit; "" if they are not from the Hub."""
        path = task.DATASET_PATH or ""
        repo = self.moved.get(path, path)
        revision = self.revisions.get(repo, "")
        return f"{repo}@{revision}" if revision else ""
