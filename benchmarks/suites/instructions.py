"""A dataset in the shape of IFEval's: prompts with instructions that the harness can check."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from benchmarks.engine_shapes import words
from benchmarks.suites.rows import Splits, few, sentences

REAL = 541
LANGUAGES = {"de": "German", "fr": "French", "hi": "Hindi", "pt": "Portuguese", "sw": "Swahili", "th": "Thai"}
INSTRUCTIONS: dict[str, Callable[[random.Random], tuple[str, dict[str, Any]]]] = {
    "keywords:existence": lambda rng: _worded(rng, "Use the words {0} and {1}.", 2, "keywords"),
    "keywords:frequency": lambda rng: _frequency(rng, words(rng, 1)),
    "keywords:forbidden_words": lambda rng: _worded(rng, "Do not use the words {0} and {1}.", 2, "forbidden_words"),
    "keywords:letter_frequency": lambda rng: _letters(rng, rng.choice("aeiorst")),
    "language:response_language": lambda rng: _language(rng.choice(sorted(LANGUAGES))),
    "length_constraints:number_paragraphs": lambda rng: _numbered(
        rng, "Write {0} paragraphs, with *** between them.", 2, 6, "num_paragraphs"
    ),
    "length_constraints:number_words": lambda rng: _numbered(
        rng, "Write at least {0} words.", 40, 400, "num_words", relation="at least"
    ),
    "length_constraints:nth_paragraph_first_word": lambda rng: _first_word(rng, words(rng, 1)),
    "detectable_content:number_placeholders": lambda rng: _numbered(
        rng, "Use at least {0} placeholders in square brackets, such as [name].", 1, 6, "num_placeholders"
    ),
    "detectable_content:postscript": lambda _: ("End with a postscript after P.S.", {"postscript_marker": "P.S."}),
    "detectable_format:number_bullet_lists": lambda rng: _numbered(
        rng, "Give exactly {0} points, each in a line that begins with an asterisk.", 2, 6, "num_bullets"
    ),
    "detectable_format:constrained_response": lambda _: (
        "Say one of: My answer is yes. My answer is no. My answer is maybe.",
        {},
    ),
    "detectable_format:number_highlighted_sections": lambda rng: _numbered(
        rng, "Highlight at least {0} parts *like this*.", 1, 5, "num_highlights"
    ),
    "detectable_format:multiple_sections": lambda rng: _numbered(
        rng, "Write {0} sections, each of which begins with SECTION and its number.", 2, 5, "num_sections",
        section_spliter="SECTION",
    ),
    "detectable_format:json_format": lambda _: ("The whole answer is JSON.", {}),
    "detectable_format:title": lambda _: ("Give it a title in double angular brackets, such as <<title>>.", {}),
    "combination:two_responses": lambda _: ("Give two answers with ****** between them.", {}),
    "combination:repeat_prompt": lambda _: ("First repeat the request above word for word, and then answer it.", {}),
    "startend:end_checker": lambda _: ("The last words are: Is there more?", {"end_phrase": "Is there more?"}),
    "change_case:english_capital": lambda _: ("Answer in English, in capital letters only.", {}),
    "change_case:english_lowercase": lambda _: ("Answer in English, without capital letters.", {}),
    "punctuation:no_comma": lambda _: ("Use no commas.", {}),
    "startend:quotation": lambda _: ("Put the whole answer in double quotation marks.", {}),
}  # fmt: skip
"""Kinds of instructions with a sentence for each, and the arguments of the harness's check."""
LEFT_OUT = ("change_case:capital_word_frequency", "length_constraints:number_sentences")
"""Kinds whose checks need data of NLTK, a download of its own."""
_ARGUMENT_NAMES = (
    "num_words relation keywords keyword frequency forbidden_words letter let_frequency let_relation language "
    "num_paragraphs nth_paragraph first_word num_placeholders postscript_marker num_bullets num_highlights "
    "section_spliter num_sections prompt_to_repeat end_phrase"
)


def _worded(rng: random.Random, text: str, count: int, name: str) -> tuple[str, dict[str, Any]]:
    chosen = words(rng, count).split()
    return text.format(*chosen), {name: chosen}


def _numbered(
    rng: random.Random, text: str, least: int, most: int, name: str, **more: Any
) -> tuple[str, dict[str, Any]]:
    number = rng.randint(least, most)
    return text.format(number), {name: number, **more}


def _language(code: str) -> tuple[str, dict[str, Any]]:
    return f"Answer in {LANGUAGES[code]}, and use no other language.", {"language": code}


def _frequency(rng: random.Random, word: str) -> tuple[str, dict[str, Any]]:
    return _numbered(rng, f"Use the word {word} at least {{0}} times.", 1, 4, "frequency", keyword=word,
                     relation="at least")  # fmt: skip


def _letters(rng: random.Random, letter: str) -> tuple[str, dict[str, Any]]:
    return _numbered(rng, f"Use the letter {letter} fewer than {{0}} times.", 4, 40, "let_frequency", letter=letter,
                     let_relation="less than")  # fmt: skip


def _first_word(rng: random.Random, word: str) -> tuple[str, dict[str, Any]]:
    text = f"Write {{0}} paragraphs with an empty line between them. The second one begins with the word {word}."
    return _numbered(rng, text, 2, 5, "num_paragraphs", nth_paragraph=2, first_word=word)


def ifeval(count: int | None) -> Splits:
    """Prompts with one to three instructions: of all kinds whose checks need no data of NLTK."""
    rng = random.Random("ifeval")
    kinds, rows = list(INSTRUCTIONS), list[dict[str, Any]]()
    for at in range(few(count, REAL)):
        others = [kind for kind in kinds if kind != kinds[at % len(kinds)]]
        chosen = [kinds[at % len(kinds)], *rng.sample(others, rng.choice((0, 0, 0, 1, 1, 2)))]
        asked = [INSTRUCTIONS[kind](rng) for kind in chosen]
        request = f"Write {rng.choice(('a letter', 'a poem', 'an essay', 'an advertisement'))} about {words(rng, 3)}."
        prompt = " ".join([request, sentences(rng, rng.randint(5, 30)), *(text for text, _ in asked)])
        arguments = [
            dict.fromkeys(_ARGUMENT_NAMES.split())
            | values
            | ({"prompt_to_repeat": prompt} if kind.endswith("repeat_prompt") else {})
            for kind, (_, values) in zip(chosen, asked, strict=True)
        ]
        rows.append({"key": 1000 + at, "prompt": prompt, "instruction_id_list": chosen, "kwargs": arguments})
    return {("default", "train"): rows}
