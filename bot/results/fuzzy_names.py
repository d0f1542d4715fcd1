"""Names that are spelt like another one, found among a hundred thousand by looking at a few hundred.

All names stand in two orders, by the whole name and by what follows the organisation, of which letters and digits count
alone: `Qwen-3_8B` stands beside `Qwen3-8B`. Whoever asks is compared with those around the place where they would be.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain

from leaderboard.search import MAX_SUGGESTIONS, Query, near_names

AROUND = 100
"""Names on either side that are looked at, in each order."""


class FuzzyNameIndex:
    """Names of models, each with its folded form."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        known = dict(names)
        self._names, self._folded = list(known), list(known.values())
        every = range(len(self._names))
        self._orders = {key: array("L", sorted(every, key=partial(self._spelt, key))) for key in KEYS}

    def near(self, query: Query) -> list[str]:
        """The likest of those that are like the first names that the query asks for."""
        found = (near_names(self._around(one), Query(names=(one,))) for one in query.names[:MAX_SUGGESTIONS])
        return list(dict.fromkeys(chain.from_iterable(found)))[:MAX_SUGGESTIONS]

    def _around(self, name: str) -> Iterator[str]:
        among = dict[int, None]()
        for key, order in self._orders.items():
            at = bisect_left(order, key(name), key=partial(self._spelt, key))
            among |= dict.fromkeys(order[max(0, at - AROUND) : at + AROUND])
        return (self._names[at] for at in among)

    def _spelt(self, key: Callable[[str], str], at: int) -> str:
        return key(self._folded[at])


def whole(name: str) -> str:
    """What of a name counts."""
    return "".join(filter(str.isalnum, name))


def last(name: str) -> str:
    """What of it counts behind the organisation."""
    return whole(name.rpartition("/")[2])


KEYS = (whole, last)
