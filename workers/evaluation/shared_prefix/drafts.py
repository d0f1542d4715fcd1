"""Guesses the next tokens of a text from what followed the same tokens earlier in it.

Small models repeat themselves, and answers quote their prompts. A model computes several tokens of a text in one step
for little more than the price of one, and confirms or rejects each guess: the text is the model's own.
"""

from __future__ import annotations

from collections.abc import Iterable

COMPARED_TOKENS = 3
"""Number of last tokens that are looked up in the text so far: a guess repeats what followed them earlier."""
FIRST_GUESS, LONGEST_GUESS = 2, 16
"""Tokens of a row's first guess, and of any. Guesses that the model confirms get longer, others shorter."""


class Draft:
    """The tokens of one text, with guesses of the next ones."""

    def __init__(self, tokens: Iterable[int]) -> None:
        self.tokens: list[int] = []
        self._next: dict[tuple[int, ...], int] = {}
        """Tokens → the index of the token that followed their latest occurrence."""
        self._length = FIRST_GUESS
        for token in tokens:
            self.append(token)

    def append(self, token: int) -> None:
        """Add the next token of the text."""
        if len(self.tokens) >= COMPARED_TOKENS:
            self._next[tuple(self.tokens[-COMPARED_TOKENS:])] = len(self.tokens)
        self.tokens.append(token)

    def guess(self, most: int) -> list[int]:
        """The tokens that followed the same last tokens earlier, at most `most`; none if these did not occur before."""
        at = self._next.get(tuple(self.tokens[-COMPARED_TOKENS:]))
        length = min(most, self._length)
        if at is None or length < 1:
            return []
        repeated = self.tokens[at:]
        guess = repeated * (length // len(repeated) + 1)  # the text may repeat fewer tokens than are guessed
        return guess[:length]

    def judge(self, guessed: int, confirmed: int) -> None:
        """Learn how many of the guessed tokens the model confirmed."""
        if guessed:
            self._length = min(LONGEST_GUESS, 2 * guessed) if confirmed == guessed else max(1, confirmed)
