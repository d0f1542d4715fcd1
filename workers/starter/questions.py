"""Generators of six kinds of questions in the style of BIG-Bench Hard: short, with one exact answer.

A maker takes a random number generator and the number of the question, and returns one question. Where few answers are
possible (yes or no, four letters) the number decides which one is right, so that all are right equally often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random


@dataclass(frozen=True)
class StarterQuestion:
    """One question: `input` is its text, `target` the only right answer."""

    input: str
    target: str


Maker = Callable[[Random, int], StarterQuestion]


# --- the words from which questions are built


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    "Ada Ben Cleo Dario Elena Farid Greta Hugo Ines Jonas Kemal Lena Milo Nora Oskar Petra Quinn Rosa Sami Tara"
)

KINDS = {
    "fruits": _words("apple banana cherry fig grape lemon mango nectarine orange peach pear plum"),
    "vegetables": _words("cabbage carrot cucumber eggplant leek onion potato radish turnip zucchini"),
    "animals": _words("bear cat cow dog duck frog goat horse lion owl rabbit snake tiger"),
    "musical instruments": _words("accordion clarinet drum flute guitar harp saxophone trumpet violin"),
    "pieces of furniture": _words("armchair bed bench bookcase chair couch desk dresser stool table"),
}

WORDS = _words(
    "amber anchor arrow basket beacon bridge candle canyon castle cedar clover copper dragon ember engine fabric "
    "falcon feather forest garden ginger glacier hammer harbor helmet island ivory jacket jungle kettle lantern "
    "lemon marble meadow mirror nectar needle ocean olive orbit paper pebble pillow planet quartz ribbon river "
    "saddle shadow silver tablet temple thunder tunnel umbrella valley velvet violet walnut window winter yellow zebra"
)


# --- boolean expressions


def boolean_expression(random: Random, number: int) -> StarterQuestion:
    """`not ( True and False ) or False is`: True and False take turns."""
    wanted = number % 2 == 0
    while True:
        text, value = _expression(random, depth=3)
        if value is wanted and 6 <= len(text.split()) <= 12:
            return StarterQuestion(f"{text} is", str(value))


def _expression(random: Random, depth: int) -> tuple[str, bool]:
    """An expression and its value, with brackets around each part."""
    if depth == 0 or random.random() < 0.3:
        value = random.random() < 0.5
        return str(value), value
    if random.random() < 0.35:
        text, value = _expression(random, depth - 1)
        return f"not {_bracketed(text)}", not value
    (left, a), (right, b) = _expression(random, depth - 1), _expression(random, depth - 1)
    if random.random() < 0.5:
        return f"{_bracketed(left)} and {_bracketed(right)}", a and b
    return f"{_bracketed(left)} or {_bracketed(right)}", a or b


def _bracketed(text: str) -> str:
    return text if text in ("True", "False") else f"( {text} )"


# --- navigation

Walk = list[tuple[int, int]]
"""Steps as (distance, axis): axis 0 goes right where the distance is positive, axis 1 forward."""


def navigation(random: Random, number: int) -> StarterQuestion:
    """Steps without turning; every second walk ends where it began, in the others one step is too long."""
    back = number % 2 == 0
    walk = _round_trip(random)
    if not back:
        changed = random.randrange(len(walk))
        distance, axis = walk[changed]
        walk[changed] = (distance + random.randint(1, 3) * (1 if distance > 0 else -1), axis)
    steps = " ".join(_step(*step) for step in walk)
    return StarterQuestion(f"{steps} Are you back at the start?", "Yes" if back else "No")


def _round_trip(random: Random) -> Walk:
    """Three or four steps that end at the start."""
    while True:
        walk = [
            (random.choice((-1, 1)) * random.randint(1, 9), random.randrange(2)) for _ in range(random.randint(2, 3))
        ]
        for axis in (0, 1):
            missing = -sum(distance for distance, step_axis in walk if step_axis == axis)
            walk += [(missing, axis)] if missing else []
        if 3 <= len(walk) <= 4:
            random.shuffle(walk)
            return walk


def _step(distance: int, axis: int) -> str:
    ahead, behind = (("right", "left"), ("forward", "backward"))[axis]
    return f"Go {abs(distance)} {ahead if distance > 0 else behind}."


# --- web of lies


def web_of_lies(random: Random, number: int) -> StarterQuestion:
    """Each speaks about the one before; truth and lie take turns as the last one's nature."""
    wanted = number % 2 == 0
    people = random.sample(NAMES, 3)
    honest = [random.random() < 0.5 for _ in people[:-1]] + [wanted]
    statements = [f"{people[0]} {'tells the truth' if honest[0] else 'lies'}."]
    for before, speaker in enumerate(people[1:]):
        claim = honest[before] if honest[before + 1] else not honest[before]
        statements.append(f"{speaker} says {people[before]} {'tells the truth' if claim else 'lies'}.")
    return StarterQuestion(f"{' '.join(statements)} Does {people[-1]} tell the truth?", "Yes" if wanted else "No")


# --- date arithmetic

LETTERS = ("A", "B", "C", "D")


def date_arithmetic(random: Random, number: int) -> StarterQuestion:
    """A date some days or weeks from another; four options, the right letter alternates."""
    today = date(2023, 1, 1) + timedelta(days=random.randrange(365))
    unit, count = random.choice((("day", random.randint(2, 30)), ("week", random.randint(1, 5))))
    later = random.random() < 0.5
    step = timedelta(days=count * (7 if unit == "week" else 1))
    answer = today + step if later else today - step
    options = _near(random, answer, today)
    options.insert(number % 4, answer)
    question = f"Today is {_named(today)}. Which date is {count} {unit}{'s' * (count > 1)} "
    choices = " ".join(f"({letter}) {_named(day)}" for letter, day in zip(LETTERS, options, strict=True))
    return StarterQuestion(f"{question}{'later' if later else 'earlier'}? {choices}", LETTERS[number % 4])


def _near(random: Random, answer: date, today: date) -> list[date]:
    """Three plausible wrong days: off by a day, a week, a month, or in the other direction."""
    wrong = {answer + timedelta(days=off) for off in (-30, -7, -2, -1, 1, 2, 7, 31)} | {today - (answer - today)}
    return random.sample(sorted(wrong - {answer, today}), 3)


def _named(day: date) -> str:
    return f"{day.strftime('%B')} {day.day}"


# --- object counting

SMALL_NUMBERS = ("a", "two", "three")


def object_counting(random: Random, number: int) -> StarterQuestion:  # noqa: ARG001  # every maker has the same two
    """Things of one kind, to be counted among things of another."""
    kind, other = random.sample(sorted(KINDS), 2)
    counted = [(thing, random.randint(1, 3)) for thing in random.sample(KINDS[kind], random.randint(2, 3))]
    distractors = [(thing, random.randint(1, 3)) for thing in random.sample(KINDS[other], random.randint(0, 1))]
    things = counted + distractors
    random.shuffle(things)
    counts = [f"{_article(thing, count)} {thing if count == 1 else _plural(thing)}" for thing, count in things]
    total = sum(count for _, count in counted)
    return StarterQuestion(f"I have {', '.join(counts[:-1])} and {counts[-1]}. How many {kind} do I have?", str(total))


def _article(thing: str, count: int) -> str:
    return "an" if count == 1 and thing[0] in "aeiou" else SMALL_NUMBERS[count - 1]


def _plural(thing: str) -> str:
    if thing.endswith(("ch", "sh", "s", "x", "o")):
        return f"{thing}es"
    return f"{thing[:-1]}ies" if thing.endswith("y") and thing[-2] not in "aeiou" else f"{thing}s"


# --- word sorting


def word_sorting(random: Random, number: int) -> StarterQuestion:  # noqa: ARG001  # every maker has the same two
    """Three words, to be put in alphabetical order."""
    words = random.sample(WORDS, 3)
    if words == sorted(words):
        words.reverse()
    return StarterQuestion(f"Sort these words alphabetically: {', '.join(words)}", ", ".join(sorted(words)))


MAKERS: dict[str, Maker] = {
    "boolean_expressions": boolean_expression,
    "navigation": navigation,
    "web_of_lies": web_of_lies,
    "date_arithmetic": date_arithmetic,
    "object_counting": object_counting,
    "word_sorting": word_sorting,
}
