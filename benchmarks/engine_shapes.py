"""Questions shaped like those of the real suites: as many shots, answers and tokens; the words are drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

_TEXT = (
    "the a of to in and that with for on from by at as old new small large red blue quiet early late river garden "
    "window engine letter market teacher doctor farmer singer captain village island mountain winter summer morning "
    "evening carries finds opens closes follows answers counts measures writes reads moves holds leaves reaches "
    "before after between under because seven twelve forty hundred table number order reason colour weight"
)
_WORDS = _TEXT.split()
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Question:
    """A prompt with its possible answers; the prompt holds the shots. The right answer is drawn at random, too."""

    context: str
    answers: tuple[str, ...]
    right: int = 0


@dataclass(frozen=True)
class Shape:
    """A kind of task: its questions, and how many of them the real suite has."""

    name: str
    questions: Callable[[random.Random], Iterator[Question]]
    real: int

    def first(self, count: int) -> list[Question]:
        """The first `count` questions, the same in each run."""
        rng = random.Random(f"{self.name}: right")
        questions = islice(self.questions(random.Random(self.name)), count)
        return [replace(question, right=rng.randrange(len(question.answers))) for question in questions]


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(_WORDS, k=count))


def sentence(rng: random.Random, count: int) -> str:
    return words(rng, count).capitalize() + "."


def paragraphs(rng: random.Random, count: int) -> str:
    return "\n\n".join(" ".join(sentence(rng, rng.randint(8, 20)) for _ in range(5)) for _ in range(count))


def bbh(rng: random.Random) -> Iterator[Question]:
    """Questions of six tasks in turn: three fixed shots each, two to nineteen answers, most of several tokens."""
    letters = tuple(f"({letter})" for letter in LETTERS)
    kinds = (letters[:2], ("valid", "invalid"), letters[:3], letters[:5], letters[:6], tuple(map(str, range(19))))

    def problem(answers: tuple[str, ...]) -> str:
        options = [answer for answer in answers if answer in letters]
        listed = "".join(f"\n{option} {words(rng, rng.randint(2, 6))}" for option in options)
        return f"Q: {sentence(rng, rng.randint(45, 75))}{listed}\nA:"

    starts = []
    for answers in kinds:
        shots = "\n\n".join(f"{problem(answers)} {rng.choice(answers)}" for _ in range(3))
        starts.append(f"{sentence(rng, 12)}\n\n{shots}\n\n")
    while True:
        for start, answers in zip(starts, kinds, strict=True):
            yield Question(start + problem(answers), tuple(f" {answer}" for answer in answers))


def mmlu_pro(rng: random.Random) -> Iterator[Question]:
    """Five fixed shots, ten answers of one token."""

    def problem() -> str:
        listed = "\n".join(f"{letter}. {words(rng, rng.randint(4, 18))}" for letter in LETTERS)
        return f"{sentence(rng, rng.randint(40, 110))}\n{listed}\nAnswer:"

    start = "\n\n".join(f"{problem()} {rng.choice(LETTERS)}" for _ in range(5)) + "\n\n"
    while True:
        yield Question(start + problem(), tuple(f" {letter}" for letter in LETTERS))


def gpqa(rng: random.Random) -> Iterator[Question]:
    """No shots, four answers of several tokens."""
    while True:
        listed = "\n".join(f"({letter}) {words(rng, rng.randint(3, 25))}" for letter in LETTERS[:4])
        context = f"Which answer is right? {sentence(rng, rng.randint(40, 120))}\nChoices:\n{listed}\nAnswer: "
        yield Question(context, tuple(f" ({letter})" for letter in LETTERS[:4]))


def musr(rng: random.Random) -> Iterator[Question]:
    """A story of a thousand tokens without shots, and two to five answers of several tokens."""
    while True:
        names = [words(rng, rng.randint(1, 3)) for _ in range(rng.randint(2, 5))]
        listed = "\n".join(f"{number} - {name}" for number, name in enumerate(names, 1))
        context = f"{paragraphs(rng, 12)}\n\n{sentence(rng, 12)}\n\n{listed}\nAnswer:"
        yield Question(context, tuple(f" {name}" for name in names))


def hellaswag(rng: random.Random) -> Iterator[Question]:
    """Ten shots drawn for each question, four answers of a sentence."""
    pool = [f"{sentence(rng, rng.randint(30, 60))} {sentence(rng, rng.randint(10, 25))}" for _ in range(1_000)]
    while True:
        shots = "\n\n".join(rng.sample(pool, 10))
        answers = tuple(f" {sentence(rng, rng.randint(8, 25))}" for _ in range(4))
        yield Question(f"{shots}\n\n{sentence(rng, rng.randint(30, 60))}", answers)


def arc(rng: random.Random) -> Iterator[Question]:
    """Twenty-five shots drawn for each question, four answers of some words."""
    pool = [
        f"Question: {sentence(rng, rng.randint(12, 30))}\nAnswer: {words(rng, rng.randint(1, 8))}" for _ in range(1_000)
    ]
    while True:
        shots = "\n\n".join(rng.sample(pool, 25))
        answers = tuple(f" {words(rng, rng.randint(1, 8))}" for _ in range(4))
        yield Question(f"{shots}\n\nQuestion: {sentence(rng, rng.randint(12, 30))}\nAnswer:", answers)


SHAPES = (
    Shape("bbh", bbh, 5_761),
    Shape("mmlu_pro", mmlu_pro, 12_032),
    Shape("gpqa", gpqa, 1_192),
    Shape("musr", musr, 756),
    Shape("hellaswag", hellaswag, 10_042),
    Shape("arc", arc, 1_172),
)


def instructions(rng: random.Random, count: int) -> list[str]:
    """Instructions whose answers are of very different lengths."""
    kinds = (
        "Answer with one word: is a {0} larger than a {1}?",
        "Write {2} short sentences about a {0} and a {1}.",
        "Write a letter of {3} words from a {0} to a {1}.",
        "Name {2} things that a {0} needs, separated by commas.",
    )
    nouns = ("garden", "window", "teacher", "doctor", "village", "island", "mountain", "market")
    return [
        kinds[number % len(kinds)].format(*rng.sample(nouns, 2), rng.randint(2, 12), rng.randint(40, 300))
        for number in range(count)
    ]


def word_problems(rng: random.Random, count: int) -> list[str]:
    """Prompts of 700 tokens: a word problem of 2 to 9 steps after four fixed ones with their solutions."""
    things = ("apples", "books", "coins", "tickets", "stones", "letters")

    def problem(steps: int) -> tuple[str, str]:
        total = rng.randint(10, 60)
        thing, sentences, lines = rng.choice(things), [], []
        question = f"A teacher has {total} {rng.choice(_WORDS)} {thing}."
        for step in range(1, steps + 1):
            number, more = rng.randint(2, 40), rng.random() < 0.7
            sentences.append(f"On day {step} the teacher {'buys' if more else 'sells'} {number} {thing}.")
            change = number if more else -number
            lines.append(
                f"After day {step} there are {total} {'+' if more else '-'} {number} = {total + change} {thing}."
            )
            total += change
        question = f"Problem:\n{question} {' '.join(sentences)} How many {thing} are there in the end?\n\nSolution:"
        return question, f" {' '.join(lines)} Final Answer: The final answer is ${total}$. I hope it is correct."

    shots = "".join("".join(problem(steps)) + "\n\n" for steps in (3, 6, 2, 5))
    return [shots + problem(rng.randint(2, 9))[0] for _ in range(count)]
