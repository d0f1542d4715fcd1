"""Influence vectors as text in results files: sums of what the questions add to the deviation of a score.

Each cluster of questions adds its influence to one of the sums, with a sign; both follow from the cluster's number. So
the squared distance between the vectors of two models is the variance of the difference of their scores, as far as they
answered the same questions: with n sums, within about √(2 / n). A vector is at most as long as the standard error.

The average's vector has 512 numbers in half precision (1,368 characters). A benchmark's has 128 in eight bits with
a common factor (176 characters), so that a results file with six of them grows by 1.3 kB.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from leaderboard.steward_block import BENCHMARK_INFLUENCE_LENGTH

Floats: TypeAlias = NDArray[np.float64]
_MOST = 127
"""The largest number of eight bits."""


def sums_of(clusters: NDArray[np.uint64], influence: Floats, length: int) -> Floats:
    """Add the influence of each cluster, with its sign, to one of `length` sums."""
    place = (clusters % np.uint64(length)).astype(np.intp)
    sign = np.where(clusters >> np.uint64(63), 1.0, -1.0)
    sums: Floats = np.bincount(place, weights=influence * sign, minlength=length).astype(float)
    return sums


def average_text(sums: Floats, length: float) -> str:
    """The vector of an average: `sums`, scaled to the Euclidean `length`."""
    return b64encode(_scaled(sums, length).astype("<f2").tobytes()).decode()


def average_vector(text: str) -> Floats:
    """The numbers in the vector of an average."""
    return np.frombuffer(b64decode(text), "<f2").astype(float)


def benchmark_text(sums: Floats, length: float) -> str:
    """The vector of a benchmark: `sums`, scaled to the Euclidean `length`."""
    most = np.abs(sums).max()
    steps = np.round(sums * (_MOST / most)).astype("i1") if most > 0 else np.zeros(len(sums), "i1")
    norm = math.sqrt(float(np.square(steps.astype(float)).sum()))
    factor = np.array(length / norm if norm > 0 else 0.0, "<f4")
    return b64encode(factor.tobytes() + steps.tobytes()).decode()


def benchmark_vector(text: str) -> Floats:
    """The numbers in the vector of a benchmark."""
    data = b64decode(text)
    return float(np.frombuffer(data, "<f4", 1)[0]) * np.frombuffer(data, "i1", BENCHMARK_INFLUENCE_LENGTH, 4)


def _scaled(sums: Floats, length: float) -> Floats:
    norm = math.sqrt(float(np.square(sums).sum()))
    return sums * (length / norm) if norm > 0 else sums
