"""Find names with a similar spelling among a hundred thousand by comparing a few hundred.

The index sorts all names twice, by the whole name and by the part after the organisation, each reduced to letters and
digits: `Qwen-3_8B` is next to `Qwen3-8B`. A query is compared with the names around its own position in each order.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain

from leaderboard.search import MAX_SUGGESTIONS, Query, near_names

MAX_NEIGHBOURS = 100
"""Names on either side of the query's position that are compared, in each order."""


class FuzzyNameIndex:
    """An index of models' names, each with its folded form."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        unique = dict(names)
        self._names, self._folded = list(unique), list(unique.values())
        numbers = range(len(self._names))
        self._orders = {key: array("L", sorted(numbers, key=partial(self._sort_key, key))) for key in SORT_KEYS}

    def near(self, query: Query) -> list[str]:
        """The names most similar to the first names of the query."""
        similar = (near_names(self._neighbours(name), Query(names=(name,))) for name in query.names[:MAX_SUGGESTIONS])
        return list(dict.fromkeys(chain.from_iterable(similar)))[:MAX_SUGGESTIONS]

    def _neighbours(self, name: str) -> Iterator[str]:
        numbers = dict[int, None]()
        for key, order in self._orders.items():
            position = bisect_left(order, key(name), key=partial(self._sort_key, key))
            numbers |= dict.fromkeys(order[max(0, position - MAX_NEIGHBOURS) : position + MAX_NEIGHBOURS])
        return (self._names[number] for number in numbers)

    def _sort_key(self, key: Callable[[str], str], number: int) -> str:
        return key(self._folded[number])


def letters_and_digits(name: str) -> str:
    """The letters and digits of a name."""
    return "".join(filter(str.isalnum, name))


def model_letters_and_digits(name: str) -> str:
    """The letters and digits of a name, after the organisation."""
    return letters_and_digits(name.rpartition("/")[2])


SORT_KEYS = (letters_and_digits, model_letters_and_digits)
