"""The search language: a table of queries, and robustness against any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.search import (
    COLUMNS,
    MAX_CHARS,
    MAX_SUGGESTIONS,
    MAX_TERMS,
    SearchRow,
    fold,
    near_names,
    parse,
)


def row(name: str, **values: str | float | bool | None) -> SearchRow:
    """A row of the table."""
    defaults: dict[str, str | float | bool | None] = {"precision": "bfloat16", "weights": "Original"}
    defaults |= {"status": "FINISHED", "flagged": False}
    return SearchRow(name, {**defaults, "organisation": name.partition("/")[0], **values})


COMMIT = "5f6b6d1a3a1f0a3f6f8e5b8b5c9d9a4f1c2e3d4b"
ROWS = (
    row("01-ai/Yi-34B", licence="apache-2.0", category="pretrained", average=29.6, parameters=34.39, submitter="Ada"),
    row("mistralai/Mixtral-8x7B", licence="apache-2.0", category="pretrained", average=23.84, parameters=46.7),
    row("ada/Mixtral-chat", licence="cc-by-sa-4.0", category="chat", average=30.41, base="mistralai/Mixtral-8x7B"),
    row("bob/permissive", licence="permit-all", category="merge", average=40.0, parameters=7.24, flagged=True),
    row("bob/tiny.v1", licence="MIT", category="fine-tuned", precision="float16", revision=COMMIT),
    row("bob/tiny-v1", licence="mit, bsd-3-clause", category="fine-tuned", status="FAILED", average=None),
    row("élan/Café", licence="cc-by-4.0", category="continuously pretrained", weights="Adapter", parameters=1.5),
    row("gpt2", licence="other", category="", architecture="GPT2LMHeadModel", average=5.0, submitter="ada-fan"),
)
YI, MIX, CHAT, PERMIT, DOT, DASH, CAFE, GPT2 = (entry.name for entry in ROWS)
ALL = [entry.name for entry in ROWS]

QUERIES = [
    # the four queries of the FAQ
    ("Yi-34B", [YI]),
    ("Yi-34B;tiny.v1", [YI, DOT]),
    ("Hub License: MIT", [DOT, DASH]),
    ("mixtral; Hub License: cc-by-sa-4.0", [CHAT]),
    # names
    ("", ALL),
    ("   ", ALL),
    (";;;", ALL),
    ("yi", [YI]),
    ("YI-34b", [YI]),
    ("mixtral", [MIX, CHAT]),
    ("mixtral;yi", [YI, MIX, CHAT]),
    (" yi ; mixtral ; ", [YI, MIX, CHAT]),
    ("bob/", [PERMIT, DOT, DASH]),
    ("mistralai/Mixtral-8x7B", [MIX]),
    ("https://huggingface.co/01-ai/Yi-34B", [YI]),
    ("huggingface.co/01-ai/Yi-34B; gpt2", [YI, GPT2]),
    ('"tiny.v1"', [DOT]),
    ("nothing like it", []),
    ("nothing; gpt2", [GPT2]),
    # no character has a special meaning
    ("tiny.v1", [DOT]),
    ("tiny*", []),
    (".*", []),
    ("^gpt2$", []),
    ("(yi|gpt2)", []),
    ("[a-z]", []),
    ("\\", []),
    ("%", []),
    # without regard to case, accents and variants of characters
    ("cafe", [CAFE]),
    ("CAFÉ", [CAFE]),
    ("cafe\u0301", [CAFE]),
    ("Ｙｉ－３４Ｂ", [YI]),
    ("yi–34b", [YI]),
    ("yi\u200b-34b", [YI]),
    ("yi；gpt2", [YI, GPT2]),
    ("Hub License： mit", [DOT, DASH]),
    ("hub\u00a0license:\tmit", [DOT, DASH]),
    # columns
    ("hub license: apache-2.0", [YI, MIX]),
    ("License: apache", [YI, MIX]),
    ("licence: cc-by", [CHAT, CAFE]),
    ("license: cc-by-4.0", [CAFE]),
    ("license: bsd", [DASH]),
    ("license: perm", []),
    ("license: .*", []),
    ("License: mit; Precision: float16", [DOT]),
    ("Precision: float16", [DOT]),
    ("Precision: bfloat16; Status: finished; mixtral", [MIX, CHAT]),
    ("type: pretrained", [YI, MIX, CAFE]),
    ("Type: continuously pretrained", [CAFE]),
    ("Type: merge", [PERMIT]),
    ("type: chat; type: merge", []),
    ("weight type: adapter", [CAFE]),
    ("Status: FAILED", [DASH]),
    ("Submitted by: ada", [YI, GPT2]),
    ("org: bob; license: mit", [DOT, DASH]),
    ("Base model: mistralai/Mixtral-8x7B", [CHAT]),
    ("base: mixtral", [CHAT]),
    (f"Model sha: {COMMIT}", [DOT]),
    ("sha: 5f6b6d1a3a1f", [DOT]),
    ("Model sha: 5F6B6D1", [DOT]),
    ("sha: 5f6b6d", []),
    ("sha: 6b6d1a3a1f", []),
    ("sha: 5f6b6d2", []),
    ("Architecture: gpt2lmheadmodel", [GPT2]),
    # numbers, as they are shown, compared, or between two
    ("Average: 30", [YI, CHAT]),
    ("Average: 30.41", [CHAT]),
    ("Average: 30.42", []),
    ("Average: >= 30", [CHAT, PERMIT]),
    ("average: ≥30", [CHAT, PERMIT]),
    ("Average: > 40", []),
    ("Average: <24", [MIX, GPT2]),
    ("Average ⬆️: <= 5", [GPT2]),
    ("Average: 20..30", [YI, MIX]),
    ("Average: 30-20", [YI, MIX]),
    ("#Params (B): 7", [PERMIT]),
    ("params: > 30b; license: apache-2.0", [YI, MIX]),
    ("size: 1 to 8", [PERMIT, CAFE]),
    # yes and no
    ("Flagged: yes", [PERMIT]),
    ("flagged: No; license: mit", [DOT, DASH]),
    # invalid terms find nothing, and are reported
    ("Colour: red", []),
    ("Average: many", []),
    ("Flagged: perhaps", []),
    ("Hub License:", []),
    ("yi; Colour: red", []),
    (";".join(["yi"] * (MAX_TERMS + 1)), []),
    ("y" * (MAX_CHARS + 1), []),
]


@pytest.mark.parametrize(("query", "names"), QUERIES)
def test_each_query_finds_what_is_meant_in_the_order_of_the_table(query: str, names: list[str]) -> None:
    """Each query finds the expected rows, in the order of the table."""
    assert [entry.name for entry in ROWS if parse(query).finds(entry)] == names


@pytest.mark.parametrize(
    ("query", "why", "near"),
    [
        ("Hub Lisence: mit", "column", ("Hub License",)),
        ("Averige: 3", "column", ("Average ⬆️", "Average")),
        ("zork: 1", "column", ()),
        ("Average: 1..", "number", ()),
        ("Flagged: si", "yes-no", ()),
        ("Type:", "empty", ()),
        ("x" * 2_000, "too-long", ()),
    ],
)
def test_what_was_misread_says_why_and_what_was_meant(query: str, why: str, near: tuple[str, ...]) -> None:
    """An invalid term is reported with a reason, and an unknown column with the names of similar columns."""
    (misread,) = parse(query).misread
    assert misread.why == why
    assert set(misread.near) <= set(near)
    assert bool(misread.near) == bool(near)


@given(st.text(max_size=80), st.permutations(["mixtral", "Hub License: cc-by-sa-4.0", "Type: chat"]))
def test_any_text_is_a_query_and_the_order_of_terms_does_not_matter(noise: str, terms: list[str]) -> None:
    """Any text is accepted as a query, and the same terms find the same row in any order."""
    assert all(parse(noise).finds(row) in (True, False) for row in ROWS)
    assert [entry.name for entry in ROWS if parse("; ".join(terms)).finds(entry)] == [CHAT]


@given(st.text(st.characters(exclude_characters=";:；：;"), min_size=1, max_size=20))
def test_a_name_is_found_by_itself(name: str) -> None:
    """A name is found by its own characters, none of which has a special meaning."""
    wanted = fold(name).strip("\"'").strip()
    hits = [row for row in (SearchRow(name, {}), SearchRow("\x00other", {})) if parse(name).finds(row)]
    assert not wanted or hits[0].name == name


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(text: str) -> None:
    """Folded text stays unchanged by folding."""
    assert fold(fold(text)) == fold(text)


def test_names_like_the_one_that_was_not_found() -> None:
    """Close names are suggested, with or without their organisation, and only where a name was asked for."""
    assert near_names(ALL, parse("mixtrel-chat")) == [CHAT]
    assert near_names(ALL, parse("01-ai/Yi-34C")) == [YI]
    assert near_names(ALL, parse("license: mit")) == []


def test_names_are_suggested_for_the_first_of_many_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suggestions are searched only for the first few names of a query, so that thirty names cost no more."""
    compared: list[str] = []
    monkeypatch.setattr("difflib.get_close_matches", lambda word, *_, **__: compared.append(word) or [])  # type: ignore[func-returns-value]
    near_names(ALL, parse("; ".join(f"nobody-{n}" for n in range(30))))
    assert compared == [f"nobody-{n}" for n in range(MAX_SUGGESTIONS)]


def test_every_column_answers_to_its_title_and_each_of_its_names() -> None:
    """Every column is found by its title and by each of its other names, and no two columns share a name."""
    names = [fold(name) for column in COLUMNS for name in {column.title, *column.also}]
    assert len(names) == len(set(names))
    for column in COLUMNS:
        value = {"words": "x", "number": "1", "yes-no": "yes"}[column.kind]
        for name in (column.title, *column.also):
            (term,) = parse(f"{name}: {value}").terms
            assert term.column is column
