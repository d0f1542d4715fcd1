"""Datasets in the shape of those of `open-llm-v2` and `open-llm-v1`: as many questions, shots, answers and tokens.

All words are drawn at random, the same in each run; no text of a real dataset is copied. A dataset is a map from
(config, split) to rows.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from benchmarks.engine_shapes import LETTERS, paragraphs, sentence, words
from leaderboard.suites import find_suite

Rows = list[dict[str, Any]]
Splits = dict[tuple[str, str], Rows]
Maker = Callable[[int | None], Splits]
"""Makes a dataset with that many questions in each task, at most as many as the real one has; None: as many."""

GPQA_REAL = {"gpqa_diamond": 198, "gpqa_extended": 546, "gpqa_main": 448}
MATH_REAL = {
    "algebra": 307,
    "counting_and_probability": 123,
    "geometry": 132,
    "intermediate_algebra": 280,
    "number_theory": 154,
    "prealgebra": 193,
    "precalculus": 135,
}
"""Questions of level 5."""
MUSR_REAL = {"murder_mysteries": (250, 2), "object_placements": (256, 5), "team_allocation": (250, 3)}
"""Questions, and answers to choose from."""
BBH_REAL = {"causal_judgement": 187, "penguins_in_a_table": 146, "snarks": 178}
BBH_OTHERS = 250
MMLU_PRO_REAL, IFEVAL_REAL = 12_032, 541


def files(splits: Splits) -> dict[str, bytes]:
    """The files of a dataset repo that holds (config, split) → rows."""
    configs: dict[str, list[dict[str, str]]] = {}
    contents: dict[str, bytes] = {}
    for (config, split), rows in splits.items():
        path = f"data/{config}/{split}.jsonl"
        configs.setdefault(config, []).append({"split": split, "path": path})
        contents[path] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    head = yaml.safe_dump(
        {"configs": [{"config_name": name, "data_files": splits} for name, splits in configs.items()]}
    )
    return {"README.md": f"---\n{head}---\n".encode(), **contents}


def shipped() -> Path:
    """The folder with the harness's own `leaderboard` tasks."""
    spec = find_spec("lm_eval")
    assert spec is not None
    return Path(spec.origin or "").parent / "tasks/leaderboard"


class _Loader(yaml.SafeLoader):
    """Reads task files, and ignores their functions."""


_Loader.add_constructor("!function", lambda _loader, _node: None)


def bbh_tasks() -> Iterator[dict[str, Any]]:
    """The harness's task files of BBH."""
    for file in sorted((shipped() / "bbh_mc").glob("[a-z]*.yaml")):
        yield yaml.load(file.read_text(), Loader=_Loader)  # noqa: S506  # a safe loader


def _few(count: int | None, real: int) -> int:
    return real if count is None else min(count, real)


def _sentences(rng: random.Random, count: int) -> str:
    """About `count` words in sentences."""
    ends = [rng.randint(8, 20) for _ in range(max(1, round(count / 14)))]
    scale = count / sum(ends)
    return " ".join(sentence(rng, max(1, round(end * scale))) for end in ends)


# --- the second suite


def bbh(count: int | None) -> Splits:
    """Questions about as long as the three examples in each task file, whose answers the file names."""
    splits: Splits = {}
    for task in bbh_tasks():
        name = task["dataset_name"]
        rng = random.Random(f"bbh {name}")
        choices = [str(choice) for choice in task["doc_to_choice"]]
        examples = [example["input"] for example in task["fewshot_config"]["samples"]]
        splits[name, "test"] = [
            {"input": _like(rng, rng.choice(examples), choices), "target": rng.choice(choices)}
            for _ in range(_few(count, BBH_REAL.get(name, BBH_OTHERS)))
        ]
    return splits


def _like(rng: random.Random, example: str, choices: list[str]) -> str:
    """A question with about as many words and options as `example`; it is longer if it has more options."""
    text, _, options = example.partition("Options:")
    length = size(text) * rng.uniform(0.85, 1.15)
    listed = [line for line in options.splitlines() if line.strip()]
    if not listed:
        return _sentences(rng, round(length))
    length *= (1 + len(choices) / len(listed)) / 2
    if not choices[0].startswith("("):
        lines = [f"- {choice}" for choice in choices]
    else:
        sizes = [size(line) - 3 for line in listed]
        lines = [f"{choice} {words(rng, max(1, rng.choice(sizes)))}" for choice in choices]
    return "\n".join([_sentences(rng, round(length)), "Options:", *lines])


def size(text: str) -> int:
    """About the number of tokens: words, digits and signs."""
    return len(re.findall(r"\d|[^\W\d]+|[^\w\s]", text))


def gpqa(count: int | None) -> Splits:
    """Four answers of some words to long questions; the smaller sets are parts of the larger ones."""
    rng = random.Random("gpqa")
    names = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Correct Answer")
    rows = [
        {"Question": _sentences(rng, rng.randint(40, 160)), **{name: words(rng, rng.randint(3, 25)) for name in names}}
        for _ in range(max(GPQA_REAL.values()))
    ]
    return {(name, "train"): rows[: _few(count, real)] for name, real in GPQA_REAL.items()}


def musr(count: int | None) -> Splits:
    """Stories of about a thousand tokens; four questions about each story of `object_placements`."""
    splits: Splits = {}
    for split, (real, answers) in MUSR_REAL.items():
        rng = random.Random(f"musr {split}")
        rows: Rows = []
        per_story = 4 if split == "object_placements" else 1
        for at in range(_few(count, real)):
            story = rows[-1]["narrative"] if at % per_story else paragraphs(rng, rng.randint(11, 14))
            choices = [words(rng, rng.randint(1, 3)).title() for _ in range(answers)]
            right = rng.randrange(answers)
            rows.append(
                {"narrative": story, "question": sentence(rng, rng.randint(8, 20)), "choices": str(choices),
                 "answer_index": right, "answer_choice": choices[right]}
            )  # fmt: skip
        splits["default", split] = rows
    return splits


def mmlu_pro(count: int | None) -> Splits:
    """Ten options, and five examples of each of fourteen subjects."""
    rng = random.Random("mmlu pro")
    subjects = [f"subject {number}" for number in range(14)]

    def row(number: int, subject: str) -> dict[str, Any]:
        right = rng.randrange(len(LETTERS))
        return {
            "question_id": number,
            "question": _sentences(rng, rng.randint(30, 90)),
            "options": [words(rng, rng.randint(3, 15)) for _ in LETTERS],
            "answer": LETTERS[right],
            "answer_index": right,
            "cot_content": "",
            "category": subject,
            "src": "generated",
        }

    examples = [row(5 * number + each, subject) for number, subject in enumerate(subjects) for each in range(5)]
    tested = [row(70 + number, subjects[number % 14]) for number in range(_few(count, MMLU_PRO_REAL))]
    return {("default", "test"): tested, ("default", "validation"): examples}


def math(count: int | None) -> Splits:
    """Questions of level 5 with boxed answers, and as many of other levels, which the harness leaves out."""
    splits: Splits = {}
    for name, real in MATH_REAL.items():
        rng = random.Random(f"math {name}")
        levels = [level for _ in range(_few(count, real)) for level in (5, rng.randint(1, 4))]
        splits[name, "test"] = [_problem(rng, name, level) for level in levels]
        splits[name, "train"] = [_problem(rng, name, 5) for _ in range(5)]
    return splits


def _problem(rng: random.Random, name: str, level: int) -> dict[str, str]:
    a, b, c = (rng.randint(2, 40) for _ in range(3))
    answer = rng.choice([str(a), rf"\frac{{{a}}}{{{b}}}", rf"[{a},{a + b})", rf"{a}\sqrt{{{b}}}", f"{a}x^2 - {b}"])
    steps = " ".join(f"{_sentences(rng, rng.randint(15, 45))} Then ${a}x^2 + {b * n}x = {c + n}$." for n in (1, 2, 3))
    return {
        "problem": f"{_sentences(rng, rng.randint(20, 80))} Find $x$ such that ${a}x^2 + {b}x - {c} = 0$.",
        "level": f"Level {level}",
        "type": name.replace("_", " ").title(),
        "solution": rf"{steps} So the answer is $\boxed{{{answer}}}$.",
    }


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
    for at in range(_few(count, IFEVAL_REAL)):
        others = [kind for kind in kinds if kind != kinds[at % len(kinds)]]
        chosen = [kinds[at % len(kinds)], *rng.sample(others, rng.choice((0, 0, 0, 1, 1, 2)))]
        asked = [INSTRUCTIONS[kind](rng) for kind in chosen]
        request = f"Write {rng.choice(('a letter', 'a poem', 'an essay', 'an advertisement'))} about {words(rng, 3)}."
        prompt = " ".join([request, _sentences(rng, rng.randint(5, 30)), *(text for text, _ in asked)])
        arguments = [
            dict.fromkeys(_ARGUMENT_NAMES.split())
            | found
            | ({"prompt_to_repeat": prompt} if kind.endswith("repeat_prompt") else {})
            for kind, (_, found) in zip(chosen, asked, strict=True)
        ]
        rows.append({"key": 1000 + at, "prompt": prompt, "instruction_id_list": chosen, "kwargs": arguments})
    return {("default", "train"): rows}


# --- the first suite

POOL = 1_000
"""Questions from which shots are drawn where the real pool is larger: only their number and length cost anything."""
V1_REAL = {"arc": 1_172, "hellaswag": 10_042, "truthfulqa": 817, "winogrande": 1_267, "gsm8k": 1_319}
_MMLU_COUNTS = (
    "abstract_algebra 100 anatomy 135 astronomy 152 business_ethics 100 clinical_knowledge 265 college_biology 144 "
    "college_chemistry 100 college_computer_science 100 college_mathematics 100 college_medicine 173 "
    "college_physics 102 computer_security 100 conceptual_physics 235 econometrics 114 electrical_engineering 145 "
    "elementary_mathematics 378 formal_logic 126 global_facts 100 high_school_biology 310 high_school_chemistry 203 "
    "high_school_computer_science 100 high_school_european_history 165 high_school_geography 198 "
    "high_school_government_and_politics 193 high_school_macroeconomics 390 high_school_mathematics 270 "
    "high_school_microeconomics 238 high_school_physics 151 high_school_psychology 545 high_school_statistics 216 "
    "high_school_us_history 204 high_school_world_history 237 human_aging 223 human_sexuality 131 "
    "international_law 121 jurisprudence 108 logical_fallacies 163 machine_learning 112 management 103 marketing 234 "
    "medical_genetics 100 miscellaneous 783 moral_disputes 346 moral_scenarios 895 nutrition 306 philosophy 311 "
    "prehistory 324 professional_accounting 282 professional_law 1534 professional_medicine 272 "
    "professional_psychology 612 public_relations 110 security_studies 245 sociology 201 us_foreign_policy 100 "
    "virology 166 world_religions 171"
)
MMLU_REAL = {subject: int(count) for subject, count in re.findall(r"(\w+) (\d+)", _MMLU_COUNTS)}
MMLU_LONG = ("high_school_european_history", "high_school_us_history", "high_school_world_history", "professional_law",
             "professional_medicine", "security_studies")  # fmt: skip
"""Subjects that ask about a text of some hundred words."""


def arc(count: int | None) -> Splits:
    """Four answers of some words; enough examples to draw 25 shots."""
    rng = random.Random("arc")

    def row(number: int) -> dict[str, Any]:
        answers = [words(rng, rng.randint(1, 9)) for _ in range(4)]
        return {"id": f"Q_{number}", "question": _sentences(rng, rng.randint(10, 35)),
                "choices": {"text": answers, "label": list("ABCD")}, "answerKey": rng.choice("ABCD")}  # fmt: skip

    train, test = map(row, range(POOL)), map(row, range(POOL, POOL + _few(count, V1_REAL["arc"])))
    return {("ARC-Challenge", "train"): [*train], ("ARC-Challenge", "test"): [*test]}


def hellaswag(count: int | None) -> Splits:
    """Four endings of a sentence or two; enough examples to draw ten shots."""
    rng = random.Random("hellaswag")

    def row(number: int) -> dict[str, Any]:
        endings = [_sentences(rng, rng.randint(8, 35)) for _ in range(4)]
        return {"ind": number, "activity_label": words(rng, 2).title(), "ctx_a": _sentences(rng, rng.randint(15, 70)),
                "ctx_b": words(rng, rng.randint(1, 6)), "endings": endings, "label": str(rng.randrange(4))}  # fmt: skip

    train, tested = map(row, range(POOL)), map(row, range(POOL, POOL + _few(count, V1_REAL["hellaswag"])))
    return {("default", "train"): [*train], ("default", "validation"): [*tested]}


def mmlu(count: int | None) -> Splits:
    """Four choices and five fixed examples for each of 57 subjects, six of which have long questions."""
    splits: Splits = {}
    for subject, real in MMLU_REAL.items():
        rng = random.Random(f"mmlu {subject}")
        least, most = (120, 300) if subject in MMLU_LONG else (12, 60)

        def row(rng: random.Random = rng, least: int = least, most: int = most) -> dict[str, Any]:
            choices = [words(rng, rng.randint(1, 14)) for _ in range(4)]
            return {"question": _sentences(rng, rng.randint(least, most)), "choices": choices,
                    "answer": rng.randrange(4)}  # fmt: skip

        for split, size in (("dev", 5), ("test", _few(count, real)), ("validation", 5)):
            splits[subject, split] = [row() for _ in range(size)]
    return splits


def truthfulqa(count: int | None) -> Splits:
    """Four to twelve true and false answers."""
    rng = random.Random("truthfulqa")

    def targets(right: int, wrong: int) -> dict[str, Any]:
        choices = [_sentences(rng, rng.randint(5, 14)) for _ in range(right + wrong)]
        return {"choices": choices, "labels": [1] * right + [0] * wrong}

    rows = [
        {"question": sentence(rng, rng.randint(6, 18)), "mc1_targets": targets(1, rng.randint(2, 6)),
         "mc2_targets": targets(rng.randint(2, 5), rng.randint(2, 7))}
        for _ in range(_few(count, V1_REAL["truthfulqa"]))
    ]  # fmt: skip
    return {("multiple_choice", "validation"): rows}


def winogrande(count: int | None) -> Splits:
    """A sentence with a gap and two options; enough examples to draw five shots."""
    rng = random.Random("winogrande")

    def row(_: int) -> dict[str, str]:
        first, second = rng.sample(("Ann", "Tom", "the garden", "the letter", "the window", "Mary", "Paul"), 2)
        text = f"{words(rng, rng.randint(6, 12)).capitalize()} _ {words(rng, rng.randint(3, 8))}."
        return {"sentence": text, "option1": first, "option2": second, "answer": rng.choice("12")}

    train, tested = map(row, range(POOL)), map(row, range(_few(count, V1_REAL["winogrande"])))
    return {("winogrande_xl", "train"): [*train], ("winogrande_xl", "validation"): [*tested]}


def gsm8k(count: int | None) -> Splits:
    """Sums in words, with their steps, and the result after four signs."""
    rng = random.Random("gsm8k")

    def row(_: int) -> dict[str, str]:
        numbers = [rng.randint(2, 90) for _ in range(rng.randint(3, 6))]
        steps = [f"{_sentences(rng, 12)} {one}*{two}=<<{one}*{two}={one * two}>>{one * two}."
                 for one, two in pairwise(numbers)]  # fmt: skip
        question = f"{_sentences(rng, rng.randint(25, 70))} How many is {' and '.join(map(str, numbers))}?"
        return {"question": question, "answer": "\n".join([*steps, f"#### {numbers[-1] * numbers[-2]}"])}

    train, tested = map(row, range(POOL)), map(row, range(_few(count, V1_REAL["gsm8k"])))
    return {("main", "train"): [*train], ("main", "test"): [*tested]}


MAKERS: dict[str, Maker] = {
    "SaylorTwift/bbh": bbh,
    "wis-k/instruction-following-eval": ifeval,
    "DigitalLearningGmbH/MATH-lighteval": math,
    "Idavidrein/gpqa": gpqa,
    "TAUR-Lab/MuSR": musr,
    "TIGER-Lab/MMLU-Pro": mmlu_pro,
    "allenai/ai2_arc": arc,
    "Rowan/hellaswag": hellaswag,
    "cais/mmlu": mmlu,
    "truthfulqa/truthful_qa": truthfulqa,
    "allenai/winogrande": winogrande,
    "openai/gsm8k": gsm8k,
}
"""Dataset repo → its rows."""
GATED = ("Idavidrein/gpqa",)


def datasets_of(suite: str, count: int | None) -> Iterable[tuple[str, Splits]]:
    """The datasets of a suite that ships with Steward: repo and rows, with `count` questions in each task."""
    return ((source.repo, MAKERS[source.repo](count)) for source in find_suite(suite).datasets)
