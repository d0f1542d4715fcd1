"""Board files: edits of the effects that keep the rest of the text, and errors for invalid files."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.boards import BadBoard, parse_board, set_effect
from leaderboard.effects import Effect, EffectMode, Effects
from leaderboard.suites import BadSuite, parse_suite

HEAD = """\
# The board of our group; ask Ada before you change it.
name: demo   # short, for keys
title: "Demo: a board"
suite: starter

repos: {requests: o/requests, results: o/results, logs: o/logs,   # public
        community: o/space, details_namespace: o-details}
"""
LAYOUTS = {
    "nothing said": "",
    "no newline at the end": "threads: always",
    "one word": "effects: shadow   # for now\nthreads: always\n",
    "a quoted word": 'effects: "on"\n',
    "a bare on": "effects: on\n",
    "flow": "effects: {edit: on, merge: off, others: shadow}  # careful\n# the end\n",
    "empty flow": "effects: {}\n",
    "flow over lines": "effects: {\n  edit: off,   # not yet\n  others: on,\n}\n",
    "block": "effects:\n  # edits are commits\n  edit: off   # not yet\n  merge: 'off'\n\n# then\nthreads: never\n",
    "block by others": "effects:\n    others: on\n",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("kind", [Effect.EDIT, Effect.NEW_THREAD])
@pytest.mark.parametrize("mode", EffectMode)
def test_one_kind_changes_and_at_most_one_line_with_it(layout: str, kind: Effect, mode: EffectMode) -> None:
    """Setting the mode of one kind of effect changes at most one line of the board file, and no comment."""
    text = HEAD + layout
    before, changed = parse_board(text), set_effect(text, kind, mode)
    effects = Effects(modes={**before.effects.modes, kind: mode})
    assert parse_board(changed) == before.model_copy(update={"effects": effects})
    lines = [line for line in difflib.ndiff(text.splitlines(), changed.splitlines()) if line[0] in "+-"]
    assert sum(line[0] == "-" for line in lines) <= 1
    assert sum(line[0] == "+" for line in lines) <= 1
    assert text.count("#") == changed.count("#")


@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.lists(st.tuples(st.sampled_from(Effect), st.sampled_from(EffectMode)), max_size=9),
)
def test_repeated_changes_leave_the_last_mode_of_a_kind(layout: str, changes: list[tuple[Effect, EffectMode]]) -> None:
    """After any sequence of changes, the board file has the last mode of each kind of effect."""
    text = HEAD + LAYOUTS[layout]
    wanted = dict(parse_board(text).effects.modes)
    for kind, mode in changes:
        text = set_effect(text, kind, mode)
        wanted[kind] = mode
    assert dict(parse_board(text).effects.modes) == wanted


def test_what_cannot_be_changed_in_place_is_refused() -> None:
    """A change is made to effects with a YAML anchor, and refused for an alias to another value or an invalid file."""
    shared = HEAD + "effects: &same {edit: off}\n"
    assert parse_board(set_effect(shared, Effect.EDIT, EffectMode.ON)).effects.mode(Effect.EDIT) is EffectMode.ON
    twice = HEAD.replace("title:", "title: &word shadow\n#") + "effects: *word\n"
    with pytest.raises(BadBoard, match="by hand"):
        set_effect(twice, Effect.EDIT, EffectMode.ON)
    with pytest.raises(BadBoard):
        set_effect("name: [", Effect.EDIT, EffectMode.ON)


@pytest.mark.parametrize(
    "value",
    ["9" * 5_000, "2024-13-45", "0000-00-00", "2001-12-14t21:59:43.10-99:99", "[" * 3_000, "!!python/object:os.x",
     "&a [*a]", ":".join(["1"] * 2_000), '"\\ud800"', "!!binary '@'", "{[a]: 1}"],
)  # fmt: skip
def test_a_strange_file_is_refused_with_the_reason(value: str) -> None:
    """A board or suite file with a malformed value, such as a huge number, a tag or a cycle, raises an error."""
    for parse, error in ((parse_board, BadBoard), (parse_suite, BadSuite)):
        with pytest.raises(error, match="file"):
            parse(f"{HEAD}\nquestions: {value}\n")  # type: ignore[operator]


def test_no_name_in_a_file_moves_a_terminals_cursor() -> None:
    """An error message shows a question mark for each control or direction character in the name of a field."""
    for parse, error in ((parse_board, BadBoard), (parse_suite, BadSuite)):
        with pytest.raises(error, match=r"\?\[2Jx\?y: there is no such field") as refused:
            parse('"\\e[2Jx\\u202ey": 1')  # type: ignore[operator]
        assert str(refused.value).isprintable()


def test_a_file_that_grows_when_it_is_read_is_refused_at_once() -> None:
    """A small file whose YAML aliases expand to 10¹² texts is refused with a short message."""
    lists = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 13))
    for parse, error in ((parse_board, BadBoard), (parse_suite, BadSuite)):
        with pytest.raises(error) as refused:
            parse(f"x0: &x0 word\n{lists}name: *x12\nquestions: *x12\nbenchmarks: *x12\n")  # type: ignore[operator]
        assert "name: " in str(refused.value) and len(str(refused.value)) < 3_000


@pytest.mark.parametrize("name", ["é/results", "o/результаты", "o/results/more", "o/re sults", "", "o/" + "x" * 97])
def test_a_repo_is_named_as_on_the_hub(name: str) -> None:
    """A board file accepts only names of repos that the Hub allows: an owner and a name in ASCII, of limited length."""
    with pytest.raises(BadBoard, match=r"repos\.results"):
        parse_board(HEAD.replace("o/results", f'"{name}"'))
    assert parse_board(HEAD.replace("o/results", "O-1_a.b/re.sul-ts_2")).repos.results == "O-1_a.b/re.sul-ts_2"
