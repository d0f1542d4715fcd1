"""Encodes the texts of log-likelihood requests many at once, with the tokens that the harness would get one by one.

A fast tokenizer encodes a batch on all cores. The harness encodes a context once for each of its answers, and keeps a
list of tokens for each; here all answers of a question share one list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

CHUNK = 512
"""Requests whose texts are encoded at once."""

Tokens = list[int]


class BatchEncoder:
    """Encodes the texts of requests in the order in which the harness asks for them, some requests ahead.

    `encode_text` encodes a text as the harness does, `encode_texts` a list of texts. If the two differ for the first
    text of a list, `encode_text` encodes this list and all that follow.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[str, str]],
        encode_text: Callable[[str], Tokens],
        encode_texts: Callable[[list[str]], list[Tokens]],
    ) -> None:
        self._pairs = iter(pairs)
        self._encode_text = encode_text
        self._encode_texts = encode_texts
        self._encoded: dict[str, Tokens] = {}

    def encode(self, text: str) -> Tokens:
        """The tokens of `text`, a context or a context with its answer."""
        if text not in self._encoded:
            self._encode_ahead()
        tokens = self._encoded.get(text)
        return self._encode_text(text) if tokens is None else tokens

    def _encode_ahead(self) -> None:
        """Encode the texts of the next requests; forget those of earlier ones."""
        chunk = [(context, context + answer) for context, answer in islice(self._pairs, CHUNK) if context]
        texts = list(dict.fromkeys(text for context, whole in chunk for text in (whole, context.rstrip())))
        encoded = self._encode_texts(texts) if texts else []
        if texts and encoded[0] != self._encode_text(texts[0]):
            self._pairs = iter(())
            encoded = []
        self._encoded = dict(zip(texts, encoded, strict=False))
