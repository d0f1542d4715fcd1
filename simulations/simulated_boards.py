"""Simulates models that answer the questions of `open-llm-v2`, and boards of these models, with known abilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from leaderboard.graded_answers import TaskAnswers
from leaderboard.ranks import RankedScore, rank_ranges
from leaderboard.scores import score
from leaderboard.suites import Benchmark, find_suite
from leaderboard.uncertainty import standard_errors

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

SUITE = find_suite("open-llm-v2")
SIZES = {
    "leaderboard_ifeval": 541,
    **dict.fromkeys((task.name for task in SUITE.benchmarks[1].tasks), 250),
    "leaderboard_bbh_causal_judgement": 187,
    "leaderboard_bbh_penguins_in_a_table": 146,
    "leaderboard_bbh_snarks": 178,
    "leaderboard_math_algebra_hard": 307,
    "leaderboard_math_counting_and_prob_hard": 123,
    "leaderboard_math_geometry_hard": 132,
    "leaderboard_math_intermediate_algebra_hard": 280,
    "leaderboard_math_num_theory_hard": 154,
    "leaderboard_math_prealgebra_hard": 193,
    "leaderboard_math_precalculus_hard": 135,
    "leaderboard_gpqa_diamond": 198,
    "leaderboard_gpqa_extended": 546,
    "leaderboard_gpqa_main": 448,
    "leaderboard_musr_murder_mysteries": 250,
    "leaderboard_musr_object_placements": 256,
    "leaderboard_musr_team_allocation": 250,
    "leaderboard_mmlu_pro": 12_032,
}
"""The number of questions of each task."""
SUBJECTS = (1351, 1299, 1132, 1101, 969, 924, 844, 818, 798, 789, 717, 499, 410, 381)
"""The number of MMLU-PRO's questions by subject."""
QUESTIONS_ON_A_PASSAGE = {"leaderboard_musr_murder_mysteries": 2, "leaderboard_musr_object_placements": 4}
INSTRUCTIONS = np.array([0.55, 0.35, 0.10])
"""The share of IFEval's prompts with one, two and three instructions."""
SAME_ANSWER = 0.8
"""How often a model gives the same answer to a question that is asked in several subsets."""
DIFFICULTY, UNDERSTANDING, QUESTION = 1.0, 0.7, 0.5
"""Standard deviations in logits: of a cluster's difficulty, of one model's luck with a cluster, of a question."""


@dataclass(frozen=True)
class Model:
    """A simulated model: its ability in logits, and the share of its answers that it has from the model at `parent`."""

    ability: float
    parent: int | None = None
    shared: float = 0.0
    has_samples: bool = True


MODELS = (
    *(Model(ability) for ability in (-6.0, -2.5, -1.5, -0.8, -0.75, -0.7, 0.0, 0.0, 0.0, 0.3, 1.2, 4.5)),
    Model(0.0, parent=6, shared=1.0),
    Model(0.1, parent=6, shared=0.7),
    Model(-0.7, has_samples=False),
)


@dataclass(frozen=True)
class Questions:
    """The questions of one benchmark, a row for each question of each task."""

    task: Integers
    cluster: Integers
    stratum: Integers
    instructions: Integers
    guessing: Floats
    shift: Floats
    """How much harder a question's subject is than the average, in logits."""

    @cached_property
    def repeated(self) -> bool:
        """Whether a cluster is one question that several tasks ask."""
        return len(np.unique(self.cluster)) < len(self.cluster) and len(np.unique(self.stratum)) == 1


def questions(benchmark: Benchmark, random: np.random.Generator) -> Questions:
    """New questions of a benchmark."""
    sizes = [SIZES[task.name] for task in benchmark.tasks]
    task = np.repeat(np.arange(len(sizes)), sizes)
    if benchmark.name == "GPQA":
        cluster = np.concatenate([np.arange(size) for size in sizes])
    else:
        groups = [QUESTIONS_ON_A_PASSAGE.get(task.name, 1) for task in benchmark.tasks]
        within = [np.arange(size) // group for size, group in zip(sizes, groups, strict=True)]
        cluster = np.concatenate([part + 100_000 * number for number, part in enumerate(within)])
    stratum = np.repeat(np.arange(len(SUBJECTS)), SUBJECTS) if benchmark.stratum else np.zeros(len(task), int)
    count = (
        random.choice([1, 2, 3], len(task), p=INSTRUCTIONS) if len(benchmark.metrics) > 1 else np.ones(len(task), int)
    )
    guessing = np.array([task.lower_bound for task in benchmark.tasks])[task]
    shift = 0.8 * np.sin(stratum) + 0.5 * np.sin(2.0 * task)
    return Questions(task, np.unique(cluster, return_inverse=True)[1], stratum, count, guessing, shift)


def grades(asked: Questions, models: tuple[Model, ...], random: np.random.Generator) -> tuple[Floats, Floats]:
    """How many of each question's instructions each model follows, and whether it follows all: model × question."""
    clusters, size = int(asked.cluster.max()) + 1, len(asked.task)
    hard = random.normal(0, DIFFICULTY, clusters)[asked.cluster]
    hard = (
        hard
        + random.normal(0, QUESTION, clusters if asked.repeated else size)[asked.cluster if asked.repeated else ...]
    )
    followed = np.zeros((len(models), size))
    for number, model in enumerate(models):
        luck = random.normal(0, UNDERSTANDING, clusters)[asked.cluster]
        chance = asked.guessing + (1 - asked.guessing) / (1 + np.exp(hard + asked.shift + luck - model.ability))
        draws = random.random((size, 3))
        if asked.repeated:
            draws = np.where(random.random((size, 1)) < SAME_ANSWER, random.random((clusters, 3))[asked.cluster], draws)
        followed[number] = ((draws < chance[:, None]) & (np.arange(3) < asked.instructions[:, None])).sum(axis=1)
        if model.parent is not None:
            copied = random.random(clusters)[asked.cluster] < model.shared
            followed[number] = np.where(copied, followed[model.parent], followed[number])
    return followed, (followed == asked.instructions).astype(float)


@dataclass(frozen=True)
class Answered:
    """One benchmark as all models answered it."""

    benchmark: Benchmark
    asked: Questions
    followed: Floats
    whole: Floats

    def answers(self, model: int) -> dict[str, TaskAnswers]:
        """The graded questions of each task."""
        sums = np.stack([self.whole[model], self.followed[model]], axis=1)
        counts = np.stack([np.ones(len(sums)), self.asked.instructions], axis=1)
        width, offset = len(self.benchmark.metrics), SUITE.benchmarks.index(self.benchmark) << 32
        return {
            task.name: TaskAnswers(
                (self.asked.cluster[rows] + offset).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15),
                self.asked.stratum[rows].astype(np.uint64),
                sums[rows, :width],
                counts[rows, :width],
            )
            for number, task in enumerate(self.benchmark.tasks)
            for rows in [self.asked.task == number]
        }


def results(answers: Mapping[str, TaskAnswers]) -> dict[str, dict[str, float]]:
    """The harness's results for these answers: each task, and each group weighted by size."""
    entries: dict[str, dict[str, float]] = {}
    for benchmark in SUITE.benchmarks:
        parts = [answers[task.name] for task in benchmark.tasks]
        sums, counts = (np.concatenate([getattr(part, name) for part in parts]) for name in ("sums", "counts"))
        named = [*zip((task.name for task in benchmark.tasks), parts, strict=True)]
        for name, part in [*named, (benchmark.source, TaskAnswers([], [], sums, counts))]:
            means = np.asarray(part.sums).sum(axis=0) / np.asarray(part.counts).sum(axis=0)
            entries[name] = dict(zip(benchmark.metrics, map(float, means), strict=True))
    return entries


@dataclass(frozen=True)
class Boards:
    """Simulated boards: replicate × model × (benchmarks, average), and replicate × model × (best, worst)."""

    scores: Floats
    errors: Floats
    ranges: Integers


def simulate(replicates: int, seed: int, models: tuple[Model, ...] = MODELS) -> Boards:
    """Simulate boards with new questions each."""
    random, shape = np.random.default_rng(seed), (replicates, len(models), len(SUITE.benchmarks) + 1)
    boards = Boards(np.zeros(shape), np.zeros(shape), np.zeros((*shape[:2], 2), int))
    for replicate in range(replicates):
        board = []
        for benchmark in SUITE.benchmarks:
            asked = questions(benchmark, random)
            board.append(Answered(benchmark, asked, *grades(asked, models, random)))
        rows = []
        for number, model in enumerate(models):
            answers = {name: task for part in board for name, task in part.answers(number).items()}
            scored = score(results(answers), SUITE)
            errors = standard_errors(answers, scored, SUITE).normalised
            assert errors.average is not None
            boards.scores[replicate, number] = [*scored.by_name.values(), scored.average]
            boards.errors[replicate, number] = [*errors.benchmarks.values(), errors.average]
            known = RankedScore(scored.average, errors.average, errors.influence)
            rows.append(known if model.has_samples else RankedScore(scored.average))
        boards.ranges[replicate] = rank_ranges(rows)
    return boards
