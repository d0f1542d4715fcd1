"""A cache of questions in the memory of a process: successive evaluations of a suite answer the same questions.

The harness fills the templates of a task (choices, target) in for each answer. A cached question caches these texts
too.
"""

from __future__ import annotations

import json
from typing import Any

import lm_eval.utils

MAX_CHARACTERS = 64_000_000
"""Characters of cached questions above which the cache is emptied. The largest suite has 40 million."""
OWN_CODE = ("process_results", "doc_to_target", "doc_to_choice")
"""Fields of a task's configuration that may be functions, which scoring calls, and which could change a question."""

_render = lm_eval.utils.apply_template


class StoredDoc(dict[str, Any]):
    """The fields of a question, with the texts that templates gave for them."""

    __slots__ = ("rendered",)

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.rendered: dict[str, str] = {}


class StoredDocs:
    """Parses questions from their texts, and caches them."""

    def __init__(self, max_characters: int = MAX_CHARACTERS) -> None:
        self._docs: dict[str, Any] = {}
        self._max_characters = max_characters
        self._characters = 0

    def read(self, text: str) -> Any:
        """The question with this JSON text; any other JSON value as it is. Raises ValueError for invalid JSON."""
        doc = self._docs.get(text)
        if doc is None:
            fields = json.loads(text)
            if not isinstance(fields, dict):
                return fields
            self._characters += len(text)
            if self._characters > self._max_characters:
                self._docs.clear()
                self._characters = len(text)
            doc = self._docs[text] = StoredDoc(fields)
        return doc


def render_once() -> None:
    """Let the harness fill in each template of a cached question once, for the rest of this process."""
    lm_eval.utils.apply_template = _rendered


def _rendered(template: str, doc: Any) -> str:
    if type(doc) is not StoredDoc:
        return _render(template, doc)  # type: ignore[no-any-return]  # the harness has no types
    text = doc.rendered.get(template)
    if text is None:
        text = doc.rendered[template] = _render(template, doc)
    return text


def leaves_questions_alone(task: Any) -> bool:
    """Whether a task has no code of its own that could change a question, so that it may be cached."""
    # With several inputs, `doc_to_text` gives the number of the right answer.
    names = (*OWN_CODE, "doc_to_text") if getattr(task, "multiple_input", 0) else OWN_CODE
    return not any(callable(getattr(task.config, name, None)) for name in names)
