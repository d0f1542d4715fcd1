"""The prefix tree of token sequences, and the branches that it is computed in; pure.

Sequences that begin with the same tokens share a path of the tree. A branch is a part of the tree that one row of a
batch computes: a shared prefix whose keys and values are kept for the branches below it, or the end of one or more
sequences. A row holds a chain of tokens, or a whole small subtree where the model can mask what a token may see.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

MIN_SAVED_TOKENS = 64
"""A prefix gets a step of its own if this saves the computation of at least this number of tokens."""
MAX_SIDE_TOKENS = 256
"""Tokens of a subtree beside its longest path, up to which one row holds the whole subtree."""
_TOKEN_BYTES = array("i").itemsize

ScoredAnswer = tuple[float, bool]
"""A log-likelihood, and whether the answer is the one that the model would generate."""


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A context and its answer as one sequence: the model reads all tokens but the last, and the answer is scored.

    The answers of a question share the list of its context's tokens: many requests need little memory.
    """

    context: Sequence[int]
    answer: Sequence[int]

    @classmethod
    def from_pair(cls, context: Sequence[int], answer: Sequence[int], max_length: int) -> AnswerRequest:
        """The request for `answer` after `context`, whose beginning is cut off if the model reads fewer tokens."""
        excess = max(0, len(context) + len(answer) - (max_length + 1))
        return cls(context[excess:] if excess else context, answer[max(0, excess - len(context)) :])

    @property
    def tokens(self) -> list[int]:
        """All tokens of the sequence."""
        return [*self.context, *self.answer]

    @property
    def answer_length(self) -> int:
        """Tokens that are scored."""
        return len(self.answer)

    @property
    def input_length(self) -> int:
        """Tokens that the model reads."""
        return len(self.context) + len(self.answer) - 1

    def input_bytes(self) -> bytes:
        """The tokens that the model reads, as a key."""
        return array("i", self.tokens[:-1]).tobytes()


@dataclass(frozen=True, slots=True)
class Score:
    """One token of a request's answer, and the position of its segment where the model predicts it."""

    request: int
    index: int
    position: int
    token: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens in a row that follow each other; they continue another segment of the row, or (None) the row's cache."""

    tokens: tuple[int, ...]
    scores: tuple[Score, ...]
    parent: int | None = None

    def after(self, tokens: tuple[int, ...], scores: tuple[Score, ...]) -> Segment:
        """This segment with `tokens` and their `scores` before it."""
        shifted = (replace(score, position=score.position + len(tokens)) for score in self.scores)
        return replace(self, tokens=tokens + self.tokens, scores=(*scores, *shifted))


@dataclass(frozen=True, slots=True)
class Branch:
    """A row to compute, and the branches that continue its keys and values.

    With branches below it a row is one segment. `reach` is the greatest width of a row that computes all from this
    branch to one end below it.
    """

    segments: tuple[Segment, ...]
    below: tuple[Branch, ...]
    width: int
    reach: int

    def after(self, tokens: tuple[int, ...], scores: tuple[Score, ...]) -> Branch:
        """This branch with `tokens` and their `scores` before it."""
        first, *others = self.segments
        segments = (first.after(tokens, scores), *others)
        return replace(self, segments=segments, width=self.width + len(tokens), reach=self.reach + len(tokens))

    def without_prefix(self) -> tuple[Branch, ...]:
        """The branches below, each of which computes this branch's tokens anew; the first takes its scores."""
        (segment,) = self.segments
        return tuple(
            branch.after(segment.tokens, () if index else segment.scores) for index, branch in enumerate(self.below)
        )


class _Node:
    """A part of the tree without forks: tokens `start` to `end` of every sequence that passes through it."""

    def __init__(self, key: bytes, start: int, end: int, parent: _Node | None) -> None:
        self.key = key
        self.start = start
        self.end = end
        self.parent = parent
        self.children: list[_Node] = []
        self.scores: list[Score] = []

    def split(self, position: int) -> _Node:
        """Insert a node for the tokens before `position` above this node, the last of its parent; return it."""
        assert self.parent is not None
        upper = _Node(self.key, self.start, position, self.parent)
        self.parent.children[-1] = upper
        upper.children.append(self)
        self.start, self.parent = position, upper
        return upper

    def segment(self) -> Segment:
        """The node's tokens with their scores."""
        tokens = array("i", self.key[self.start * _TOKEN_BYTES : self.end * _TOKEN_BYTES])
        return Segment(tuple(tokens), tuple(self.scores))


def build_branches(requests: Sequence[AnswerRequest], *, trees_in_rows: bool) -> tuple[Branch, ...]:
    """The branches at the root of the prefix tree of `requests`; with `trees_in_rows` a row may hold a subtree."""
    root = _build_tree(requests)
    top_down, branches = [root], dict[_Node, tuple[Branch, ...]]()
    for node in top_down:
        top_down += node.children
    for node in reversed(top_down):
        below = tuple(branch for child in node.children for branch in branches.pop(child))
        branches[node] = below if node is root else _join(node.segment(), below, trees_in_rows=trees_in_rows)
    return branches[root]


def _build_tree(requests: Sequence[AnswerRequest]) -> _Node:
    """The root of the prefix tree of the requests' inputs, with all scores at its nodes."""
    by_input: dict[bytes, list[int]] = {}
    for index, request in enumerate(requests):
        by_input.setdefault(request.input_bytes(), []).append(index)
    root = node = _Node(b"", 0, 0, None)
    last_nodes: dict[bytes, _Node] = {}
    for key in sorted(by_input):  # a sequence comes after its own beginnings, and neighbours share the most tokens
        shared = _common_tokens(node.key, key)
        while node.start >= shared and node.parent is not None:
            node = node.parent
        if node.end > shared:
            node = node.split(shared)
        leaf = last_nodes[key] = _Node(key, shared, len(key) // _TOKEN_BYTES, node)
        node.children.append(leaf)
        node = leaf
    for key, indexes in by_input.items():
        for index in indexes:
            _add_scores(last_nodes[key], index, requests[index])
    return root


def _common_tokens(first: bytes, second: bytes) -> int:
    """The number of tokens at the beginning that both sequences share."""
    limit = min(len(first), len(second)) // _TOKEN_BYTES

    def differ(tokens: int) -> bool:
        return first[: tokens * _TOKEN_BYTES] != second[: tokens * _TOKEN_BYTES]

    return bisect_left(range(limit + 1), True, key=differ) - 1


def _add_scores(node: _Node, index: int, request: AnswerRequest) -> None:
    """Add the scores of a request, whose input ends at `node`, to this node and to those above it."""
    first = len(request.context) - 1
    end = request.input_length
    above: _Node | None = node
    while above is not None and end > first:
        start = max(first, above.start)
        above.scores += [
            Score(index, place - first, place - above.start, request.answer[place - first])
            for place in range(start, end)
        ]
        end, above = start, above.parent


def _join(segment: Segment, below: tuple[Branch, ...], *, trees_in_rows: bool) -> tuple[Branch, ...]:
    """The branches for `segment` and those `below` it: one row with all, a prefix of them, or a copy in each."""
    width = len(segment.tokens)
    if not below:
        return (Branch((segment,), (), width, width),)
    if trees_in_rows and not any(branch.below for branch in below):
        segments = (segment, *_under(0, below))
        total = sum(len(part.tokens) for part in segments)
        if total - _longest_path(segments) <= MAX_SIDE_TOKENS:
            return (Branch(segments, (), total, total),)
    branch = Branch((segment,), below, width, width + max(branch.reach for branch in below))
    return (branch,) if (len(below) - 1) * width >= MIN_SAVED_TOKENS else branch.without_prefix()


def _under(parent: int, rows: Iterable[Branch]) -> Iterator[Segment]:
    """The segments of all rows as segments of one row, where they continue segment `parent`."""
    offset = parent + 1
    for row in rows:
        for segment in row.segments:
            yield replace(segment, parent=parent if segment.parent is None else segment.parent + offset)
        offset += len(row.segments)


def _longest_path(segments: Sequence[Segment]) -> int:
    """Tokens of the longest path through the segments of a row; each comes after the one that it continues."""
    ends: list[int] = []
    for segment in segments:
        ends.append((0 if segment.parent is None else ends[segment.parent]) + len(segment.tokens))
    return max(ends)
