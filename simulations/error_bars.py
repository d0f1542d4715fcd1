"""Checks standard errors and rank ranges on simulated boards of `open-llm-v2`, whose true scores are known.

    python -m simulations.error_bars [--replicates 2000] [--seed 1] [--json]

Each replicate draws new questions: as many as the suite has, with its clusters (GPQA's subsets, MuSR's narratives), its
subjects and its prompts of several instructions. The same models answer them: some guess, some tie, two have the same
weights, one is trained further from another and gives most of its answers, one has no samples. Scores, standard errors
and rank ranges come from the product's own functions.

The true score of a model is the mean of its scores over all replicates. The score with infinitely many questions is
lower for a model that is hardly better than guessing, because scores below the level of guessing count as 0; the last
figures use it instead.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.graded_answers import TaskAnswers
from leaderboard.scores import score
from leaderboard.uncertainty import Z
from simulations.simulated_boards import (
    DIFFICULTY,
    INSTRUCTIONS,
    MODELS,
    QUESTION,
    SUITE,
    UNDERSTANDING,
    Boards,
    Floats,
    Model,
    questions,
    results,
    simulate,
)

TIED = 40
"""Models on a board of models that tie; there is one such board for five others."""


def limits() -> Floats:
    """The score of each model with infinitely many questions: model × (benchmarks, average)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    nodes, weights = nodes * np.sqrt(DIFFICULTY**2 + UNDERSTANDING**2 + QUESTION**2), weights / weights.sum()
    scores = []
    for model in MODELS:
        answers: dict[str, TaskAnswers] = {}
        for benchmark in SUITE.benchmarks:
            asked = questions(benchmark, np.random.default_rng(0))
            for number, task in enumerate(benchmark.tasks):
                rows = asked.task == number
                _, first, sizes = np.unique(asked.stratum[rows], return_index=True, return_counts=True)
                hard = asked.shift[rows][first][:, None] + nodes
                chance = [task.lower_bound + (1 - task.lower_bound) / (1 + np.exp(hard - a)) for a in _abilities(model)]
                shares = (1 - model.shared, model.shared)
                each_alone = sum(share * (part @ weights) for share, part in zip(shares, chance, strict=False))
                powers = [(part[:, :, None] ** np.arange(1, 4)) @ INSTRUCTIONS for part in chance]
                every = sum(share * (part @ weights) for share, part in zip(shares, powers, strict=False))
                columns = [every, each_alone] if len(benchmark.metrics) > 1 else [each_alone]
                sums: Floats = np.stack(columns, axis=1) * sizes[:, None]
                counts: Floats = np.ones_like(sums) * sizes[:, None]
                answers[task.name] = TaskAnswers([], [], sums, counts)
        scored = score(results(answers), SUITE)
        scores.append([*scored.by_name.values(), scored.average])
    return np.array(scores)


def _abilities(model: Model) -> Iterator[float]:
    yield model.ability
    if model.parent is not None:
        yield MODELS[model.parent].ability


def covered(boards: Boards, true: Floats) -> dict[str, float]:
    """The percentage of 95 percent intervals that hold the true score, by benchmark, in all, and for the average."""
    held = np.abs(boards.scores - true) <= Z * boards.errors
    names = [*(benchmark.name for benchmark in SUITE.benchmarks), "average"]
    shares = {name: 100 * float(held[:, :, number].mean()) for number, name in enumerate(names)}
    return {**shares, "all": 100 * float(held.mean())}


def ranked(boards: Boards, true: Floats, equal: NDArray[np.bool_]) -> dict[str, float]:
    """The percentage of rank ranges that hold all true ranks of the model; models that are `equal` share theirs."""
    averages = true[:, -1]
    best = 1 + ((averages[None, :] > averages[:, None]) & ~equal).sum(axis=1)
    worst = len(MODELS) - ((averages[None, :] < averages[:, None]) & ~equal).sum(axis=1)
    sampled = np.array([model.has_samples for model in MODELS])
    held = ((boards.ranges[:, :, 0] <= best) & (boards.ranges[:, :, 1] >= worst))[:, sampled]
    width = boards.ranges[:, sampled, 1] - boards.ranges[:, sampled, 0] + 1
    return {
        "all": 100 * float(held.mean()),
        "lowest of a model": 100 * float(held.mean(axis=0).min()),
        "all of a board at once": 100 * float(held.all(axis=1).mean()),
        "mean width": float(width.mean()),
    }


def figures(boards: Boards) -> dict[str, Any]:
    """All figures of simulated boards."""
    expected, limit = boards.scores.mean(axis=0), limits()
    equal = np.isclose(limit[:, None, -1], limit[None, :, -1])
    copies = [(number, model.parent) for number, model in enumerate(MODELS) if model.shared == 1.0]
    ratios = np.sqrt((boards.errors**2).mean(axis=0)) / boards.scores.std(axis=0, ddof=1)
    return {
        "replicates": len(boards.scores),
        "models": len(MODELS),
        "intervals that hold the true score, percent": covered(boards, expected),
        "rank ranges that hold the true rank, percent": ranked(boards, expected, equal),
        "identical weights tie": all(
            (boards.ranges[:, copy] == boards.ranges[:, parent]).all() for copy, parent in copies
        ),
        "smallest standard error": float(boards.errors.min()),
        "standard error by standard deviation of the average": ratios[:, -1].round(3).tolist(),
        "intervals of the average that hold the true score, percent, by model": (
            100 * (np.abs(boards.scores - expected) <= Z * boards.errors)[:, :, -1].mean(axis=0)
        )
        .round(1)
        .tolist(),
        "averages": expected[:, -1].round(2).tolist(),
        "expected less limit, of the average": (expected - limit)[:, -1].round(3).tolist(),
        "intervals that hold the limit, percent": covered(boards, limit),
        "rank ranges that hold the rank by the limit, percent": ranked(boards, limit, equal),
    }


def tied(replicates: int, seed: int) -> float:
    """The percentage of rank ranges that hold all ranks, on boards whose models have the same ability."""
    boards = simulate(replicates, seed, (Model(0.0),) * TIED)
    return 100 * float((boards.ranges == (1, TIED)).all(axis=2).mean())


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    start = time.monotonic()
    measured = figures(simulate(options.replicates, options.seed))
    measured[f"rank ranges of {TIED} tied models that hold all ranks, percent"] = tied(
        max(1, options.replicates // 5), options.seed + 1
    )
    measured["seconds"] = round(time.monotonic() - start, 1)
    for name, value in measured.items():
        print(f"{name}: {value}")
    if options.json:
        print(json.dumps(measured))


if __name__ == "__main__":
    main()
