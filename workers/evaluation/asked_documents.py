"""The digests of a task's documents: what each question asks, and its right answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from leaderboard.result_digests import AskedParts

DocumentDigests: TypeAlias = dict[int, tuple[bytes, bytes]]
"""Number of a document → digests of its requests, and of the document."""


def document_digests(instances: Iterable[Any]) -> DocumentDigests:
    """The digests of the documents to which these requests of the harness, made without chat template, belong."""
    requests: dict[int, list[object]] = {}
    documents: dict[int, bytes] = {}
    text_digest = _LastText()
    for instance in instances:
        arguments = [text_digest(argument) if isinstance(argument, str) else argument for argument in instance.args]
        requests.setdefault(instance.doc_id, []).append([instance.request_type, instance.repeats, arguments])
        if instance.doc_id not in documents:
            documents[instance.doc_id] = _json_digest(instance.doc)
    return {number: (_json_digest(made), documents[number]) for number, made in requests.items()}


def asked_parts(documents: DocumentDigests, *, shots: int = 0, dataset: str = "") -> AskedParts:
    """The `asked` parts of a task's digests, from the digests of all its documents."""
    ordered = [documents[number] for number in sorted(documents)]
    return AskedParts(
        requests=hashlib.sha256(b"".join(requests for requests, _ in ordered)).hexdigest(),
        documents=hashlib.sha256(b"".join(document for _, document in ordered)).hexdigest(),
        questions=len(ordered),
        shots=shots,
        dataset=dataset,
    )


class _LastText:
    """Computes the digest of a text; remembers the last one, because the choices of a question share their context."""

    def __init__(self) -> None:
        self._text, self._digest = "", hashlib.sha256(b"").hexdigest()

    def __call__(self, text: str) -> str:
        if text is not self._text:
            self._text, self._digest = text, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return self._digest


def _json_digest(value: Any) -> bytes:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=plain_value)
    return hashlib.sha256(canonical.encode()).digest()


def plain_value(value: Any) -> Any:
    """Convert a value that JSON lacks to one that it has: of unknown types the name, as a text may hold an address."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, bytes | bytearray):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tobytes") and hasattr(value, "size"):  # a picture
        return [list(np.shape(value)), hashlib.sha256(value.tobytes()).hexdigest()]
    return f"{type(value).__module__}.{type(value).__qualname__}"
