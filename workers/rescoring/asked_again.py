"""Finds out whether a task with a changed configuration still asks the same, from the stored questions and prompts.

A newer harness may spell a template differently, or add an option with a default, and ask the same. So the requests are
made again by the harness's own code, from each stored question and prompt, and compared with the digest
`asked` of the evaluation: kinds, texts, choices and arguments of generation. The text of each question, as the task
words it now, has to stand at the end of its stored prompt, where the task asked before.

Fields that choose the questions or the examples cannot be checked so, because neither data set nor examples are
stored: where one of them differs, the task counts as asking otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from leaderboard.result_digests import AskedParts
from workers.evaluation.asked_documents import DocumentDigests, asked_parts, document_digests
from workers.rescoring.stored_answers import AnswersTable

WORDING = frozenset({"doc_to_text", "doc_to_choice", "use_prompt", "description", "gen_prefix"})
"""Fields on which the text of questions depends, and that of examples in the same way."""
ARGUMENTS = frozenset({"output_type", "generation_kwargs", "repeats", "doc_to_image", "doc_to_audio"})
"""Fields on which the other arguments of requests depend."""
EXAMPLES = frozenset({"target_delimiter", "fewshot_delimiter", "fewshot_config", "fewshot_split", "training_split"})
"""Fields on which examples depend: they do not matter to a task without examples."""


def can_compare(fields: Collection[str], shots: int) -> bool:
    """Whether the requests of a task show if these differing fields of its configuration matter."""
    return set(fields) <= WORDING | ARGUMENTS | (frozenset() if shots else EXAMPLES)


def asked_otherwise(name: str, task: Any, table: AnswersTable, recorded: AskedParts) -> str:
    """A sentence that says what the task would ask otherwise than the evaluation did; "" if it asks the same."""
    digests: DocumentDigests = {}
    try:
        for question, doc, prompt in _rows(table):
            wording = _wording(task, doc)
            if not _ends_with(prompt, wording, task.config.num_fewshot or 0):
                return f"question {question} of {name} is worded otherwise: {_shown(wording)}"
            meta = (name, question, task.config.repeats)
            made = task.construct_requests(doc=doc, ctx=prompt, metadata=meta, apply_chat_template=False)
            digests |= document_digests(made if isinstance(made, list) else [made])
    except Exception as error:  # noqa: BLE001  # whatever the task's own code raises
        return f"the requests of {name} cannot be made again ({type(error).__name__}: {str(error)[:200]})"
    now = asked_parts(digests)
    if now.documents != recorded.documents:
        return f"the stored questions of {name} are not those that its digest names"
    if now.requests != recorded.requests:
        return f"the choices or the arguments of the requests of {name} differ"
    return ""


def _rows(table: AnswersTable) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Number, question and prompt of each question."""
    columns = ["doc_id", "doc", "prompt", "filter"]
    with pq.ParquetFile(table.path, pre_buffer=False) as file:
        for group in table.groups:
            for batch in file.iter_batches(100, row_groups=[group], columns=columns, use_threads=False):
                for row in batch.filter(pc.equal(batch["filter"], table.filter)).to_pylist():
                    yield row["doc_id"], json.loads(row["doc"]), row["prompt"]


def _wording(task: Any, doc: Mapping[str, Any]) -> tuple[str, str]:
    """The beginning of the prompt, which describes the task, and its end: the question itself."""
    whole = task.fewshot_context(doc, 0)
    if not isinstance(whole, str):
        raise TypeError("a question has several prompts")
    description = task.resolve_field(doc, task.config.description) or ""
    return (description, whole[len(description) :]) if whole.startswith(description) else ("", whole)


def _ends_with(prompt: str, wording: tuple[str, str], shots: int) -> bool:
    description, question = wording
    if not shots:
        return prompt == description + question
    return prompt.startswith(description) and prompt.endswith(question.lstrip("\n"))


def _shown(wording: tuple[str, str]) -> str:
    text = json.dumps(wording[1])
    return text if len(text) <= 80 else f"{text[:80]} …"
