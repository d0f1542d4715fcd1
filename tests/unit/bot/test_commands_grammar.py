"""What counts as a command in a comment, and how its arguments are parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.commands.grammar import MAX_PARAGRAPH, MAX_VERBS, MOST, Word, commands_in
from bot.core.commands.model import Verb
from bot.core.commands.registry import BadArguments, bind, model_in
from bot.model_facts.checking import as_request
from bot.read_models.submit_models import SubmissionBody
from bot.requests.api_submission import arguments_of
from bot.requests.verb_submit import SUBMIT
from bot.threads.verbs import REGISTRY
from leaderboard.options import precision_named
from leaderboard.reasons import Problem
from leaderboard.requests import Request

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=80)
WRAPS = {
    "a fence": "```\n{}\n```",
    "an indented block": "    {}",
    "a code span": "`{}`",
    "a quote": "> {}",
    "a quote in a quote": "> > {}",
    "a list": "- {}",
    "a numbered list": "1. {}",
    "a heading": "# {}",
    "an HTML comment": "<!--\n{}\n-->",
    "an HTML block": "<div>\n{}\n</div>",
    "a fold": "<details>\n{}\n</details>",
    "a link's words": "[{}](https://example.org)",
    "a table": "| a |\n|---|\n| {} |",
    "emphasis": "**{}**",
    "the middle of a line": "please {}",
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_what_stands_in_a_container_is_no_command(wrap: str) -> None:
    """The bot reads commands from plain lines only, not from code, quotes, lists, tables and the like."""
    assert commands_in(wrap.format("/status org/model")) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/status", []),
        ("  /status", []),
        ("/status.", []),
        ("/Status: org/model", [(None, "org/model")]),
        ("/STATUS org/my_model__x", [(None, "org/my_model__x")]),
        ("/status org/model precision=bfloat16", [(None, "org/model"), ("precision", "bfloat16")]),
        ('/hold reason="two words" x', [("reason", "two words"), (None, "x")]),
        ("/hold 'two words'", [(None, "two words")]),
        ("/hold “two words”", [(None, "two words")]),
        ("/hold `org/model` now", [(None, "org/model"), (None, "now")]),
        ("/hold it's \"odd", [(None, "it's"), (None, '"odd')]),
        ("/hold a=b=c =d e=", [("a", "b=c"), (None, "=d"), ("e", "")]),
        (
            "/hold **really** [so](https://x.example) <b>it</b> is",
            [(None, word) for word in ("really", "so", "it", "is")],
        ),
        ("/hold <!-- unseen --> ![seen](x.png) yes", [(None, "yes")]),
        ("/hold a\\_b &amp; c", [(None, "a_b"), (None, "&"), (None, "c")]),
    ],
)
def test_a_line_is_split_into_arguments(line: str, words: list[tuple[str | None, str]]) -> None:
    """Blanks separate arguments, quotes and backticks group them, `key=` names them; an unclosed quote is text."""
    (command,) = commands_in(f"Hello,\n{line}\nThanks")
    assert [(word.key, word.text) for word in command.words] == words


@given(text=WORDS)
def test_whatever_is_written_is_read_without_an_error(text: str) -> None:
    """The parser reads any text without an error: alone, as a verb, or as a verb's arguments."""
    for written in (text, f"/status {text}", f"/{text}", f"/status\n{text}\n/status"):
        for command in commands_in(written):
            verb = REGISTRY.find(command.verb)
            if verb is not None:
                bind(verb, command)


@given(text=WORDS, wrap=st.sampled_from(["```\n{}\n```", "~~~\n{}\n~~~", "`{}`", "<!-- {} -->"]))
def test_no_text_breaks_out_of_code(text: str, wrap: str) -> None:
    """A command inside code or an HTML comment is not run, whatever text is beside it."""
    inner = text.replace("`", "").replace("~", "").replace("-", "").replace("<", "").replace(">", "")
    inner = " ".join(inner.split())
    assert commands_in(wrap.format(f"{inner}\n/status") if "\n" in wrap else wrap.format(f"{inner} /status")) == []


@given(
    lines=st.lists(WORDS.map(lambda text: " ".join(text.split())), max_size=5),
    sign=st.sampled_from(["> ", ">", "> > "]),
)
def test_no_text_breaks_out_of_a_quote(lines: list[str], sign: str) -> None:
    """Commands inside a quote are not run, whatever else is quoted."""
    quoted = [*lines, "/status", *lines, "/relaunch org/model"]
    assert commands_in("\n".join(sign + line for line in quoted)) == []


PLAIN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789.:/-", min_size=1, max_size=20)
KEYS = st.sampled_from(["precision", "weight_type", "reason", "x"])
SPACED = st.lists(PLAIN, min_size=1, max_size=4).map(" ".join)
IN_CODE = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=40
).filter(lambda text: "`" not in text and "=" not in text and text == text.strip() and "\0" not in text)
WRITTEN = st.one_of(
    PLAIN.map(lambda text: (Word(text), text)),
    SPACED.map(lambda text: (Word(text, quoted=True), f'"{text}"')),
    SPACED.map(lambda text: (Word(text, quoted=True), f"“{text}”")),
    IN_CODE.map(lambda text: (Word(text, quoted=True), f"`{text}`")),
    st.tuples(KEYS, PLAIN).map(lambda it: (Word(it[1], key=it[0]), f"{it[0]}={it[1]}")),
    st.tuples(KEYS, SPACED).map(lambda it: (Word(it[1], key=it[0], quoted=True), f'{it[0]}="{it[1]}"')),
)


@given(
    verb=st.sampled_from(REGISTRY.verbs),
    words=st.lists(WRITTEN, max_size=6),
    around=st.sampled_from(["", "Hi,\n", "Hi\n\n"]),
)
def test_what_is_written_is_what_is_read(verb: Verb, words: list[tuple[Word, str]], around: str) -> None:
    """Any command parses to the arguments that it was written with: plain, quoted, in backticks or named."""
    line = " ".join([f"/{verb.name}", *(text for _, text in words)])
    (command,) = commands_in(f"{around}{line}")
    assert (command.verb, command.words) == (verb.name, tuple(word for word, _ in words))


def test_only_the_start_of_an_overlong_paragraph_is_read() -> None:
    """Only the start of an overlong paragraph is read, because its markup could take quadratic time."""
    hostile = "![[]()" * (MAX_PARAGRAPH // 6)
    commands = commands_in(f"/status\n{hostile}\n/why\n\n/help")
    assert [command.verb for command in commands] == ["status", "help"]


def test_what_a_command_says_can_be_kept_in_a_file() -> None:
    """Half of a surrogate pair and a null byte in a command become U+FFFD, so that the line can be stored as UTF-8."""
    (command,) = commands_in("/reject a\ud800b \0")
    assert command.line == "/reject a\ufffdb \ufffd"


def test_a_long_reason_is_taken_as_a_whole_or_refused() -> None:
    """A reason of many short words is kept whole up to 500 characters; a longer one is refused with a message."""
    verb = REGISTRY.find("reject")
    assert verb is not None
    for reason, is_taken in (("so I say " * 55, True), ("so I say " * 60, False), ("so I say " * 5_000, False)):
        (command,) = commands_in(f"/reject {reason}")
        bound = bind(verb, command)
        refusal = BadArguments("The reason must have 1 to 500 characters.")
        assert bound == ({"reason": reason.strip()} if is_taken else refusal)


def test_a_comment_of_many_commands_is_read_to_the_limit() -> None:
    """Of 500 commands, the parser returns one more than the bot runs, so that the reply can mention the limit."""
    assert len(commands_in("/status\n" * 500)) == MOST + 1


def test_lines_that_only_look_like_commands_do_not_use_up_the_limit() -> None:
    """Lines such as `/usr lib` do not count as commands, and only a limited number of different words is looked up."""
    asked = list[str]()

    def is_verb(word: str) -> bool:
        asked.append(word)
        return word == "status"

    paths = "\n".join("/usr lib\n/etc hosts" for _ in range(25))
    assert [command.verb for command in commands_in(f"{paths}\n/status org/model\n/usr", is_verb)] == ["status"]
    assert asked == ["usr", "etc", "status"]

    words = "\n".join(f"/word-{number}" for number in range(500))
    asked.clear()
    assert commands_in(f"{words}\n/status", is_verb) == []
    assert len(asked) == MAX_VERBS


@pytest.mark.parametrize("verb", REGISTRY.verbs, ids=lambda verb: verb.name)
def test_every_example_is_understood(verb: Verb) -> None:
    """Each verb's examples parse as that verb with valid arguments, and to the same ones if all are named."""
    assert REGISTRY.find(verb.name) is verb
    assert verb.examples
    for example in verb.examples:
        (command,) = commands_in(example)
        arguments = bind(verb, command)
        assert not isinstance(arguments, BadArguments)
        anew = " ".join([f"/{verb.name}", *(f'{name}="{value}"' for name, value in arguments.items())])
        (again,) = commands_in(anew)
        assert bind(verb, again) == arguments
    assert verb.usage.startswith(f"/{verb.name}")


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("org/model", "org/model"),
        ("gpt2", "gpt2"),
        ("https://huggingface.co/org/model", "org/model"),
        ("https://huggingface.co/org/model/tree/main?x=1", "org/model"),
        ("https://hf.co/org/model/discussions/3#abc", "org/model"),
        ("https://huggingface.co/datasets/org/data", None),
        ("https://huggingface.co/org/model/", "org/model"),
        ("https://github.com/org/model", None),
        ("https://huggingface.co@other.example/org/model", None),
        ("https://huggingface.co.other.example/org/model", None),
        ("huggingface.co.other.example/org/model", None),
        ("../etc", None),
        ("a/b/c", None),
        ("<b>/x", None),
        ("{{7*7}}/x", None),
        ("", None),
    ],
)
def test_a_model_is_named_by_its_id_or_address(text: str, model: str | None) -> None:
    """A model can be named by its id or its Hub address; other text and addresses of other sites are no model."""
    assert model_in(text) == model


@pytest.mark.parametrize("line", ["/submit http://hub.example/org/model", "/status https://huggingface.co/docs/a/b/c"])
def test_an_address_that_is_no_model_is_answered_with_what_to_write(line: str) -> None:
    """An address that is not of a model on this Hub is refused with an explanation; the board's own Hub counts."""
    (command,) = commands_in(line)
    verb = REGISTRY.find(command.verb)
    assert verb is not None
    address = command.words[0].text
    (bound, own) = (bind(verb, command), bind(verb, command, "http://hub.example"))
    assert isinstance(bound, BadArguments)
    assert bound.why == (
        f"“{address}” is not the address of a model on this leaderboard's Hub. Only models of this Hub can be named: "
        "write the model's id, such as org/model."
    )
    assert own == ({"model": "org/model"} if command.verb == "submit" else bound)
    if verb is SUBMIT:
        body = SubmissionBody(model=address)
        assert (arguments_of(body), dict(arguments_of(body, "http://hub.example"))["model"]) == (bound, "org/model")


def question_of(line: str) -> str:
    """What the reply to an incomplete command asks for."""
    (command,) = commands_in(line)
    verb = REGISTRY.find(command.verb)
    assert verb is not None
    asked = bind(verb, command)
    assert isinstance(asked, BadArguments)
    return asked.why


@pytest.mark.parametrize("line", ["/pause", "/resume"])
def test_a_missing_target_of_a_pause_is_asked_for_in_a_sentence(line: str) -> None:
    """Without its target, `/pause` or `/resume` is answered with a full question that lists the choices."""
    assert question_of(line).startswith("What do you mean? Board, tier:small")


@pytest.mark.parametrize("line", ["/priority", "/priority org/model", "/priority urgent"])
def test_a_missing_choice_is_asked_for_with_all_choices(line: str) -> None:
    """If the level of `/priority` is missing or unknown, the reply asks for it and lists all levels."""
    assert question_of(line).endswith("Which level? Write high, normal or low.")


def test_a_verb_with_a_typing_error_is_recognised() -> None:
    """A mistyped verb, or one in full-width letters, is matched to the nearest verb; unrelated words are not."""
    assert (near := REGISTRY.nearest("statsu")) is not None
    assert near.name == "status"
    assert (near := REGISTRY.nearest("ｓｔａｔｕｓ")) is not None
    assert near.name == "status"
    assert REGISTRY.nearest("etc") is None
    assert REGISTRY.nearest("x") is None


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("/submit org/model fp16", {"model": "org/model", "precision": "fp16"}),
        ("/submit org/model Adapter BF16", {"model": "org/model", "weight_type": "Adapter", "precision": "BF16"}),
        ("/relaunch float16", {"precision": "float16"}),
        ("/status org/model 4-bit", {"model": "org/model", "precision": "4-bit"}),
    ],
)
def test_a_precision_or_a_type_of_weights_needs_no_name(line: str, arguments: dict[str, str]) -> None:
    """A precision or weight type needs no `key=`; any other extra argument is an error."""
    (command,) = commands_in(line)
    verb = REGISTRY.find(command.verb)
    assert verb is not None
    assert bind(verb, command) == arguments
    (strange,) = commands_in(f"{line} please")
    assert bind(verb, strange) == BadArguments("I do not know what “please” means here.")


@pytest.mark.parametrize(
    ("word", "precision"),
    [("fp16", "float16"), ("BF16", "bfloat16"), ("Float32", "float32"), ("gptq", "GPTQ"), ("int8", "8bit"), ("x", "x")],
)
def test_a_precision_has_other_names(word: str, precision: str) -> None:
    """Aliases and other spellings of a precision are normalised; an unknown one is kept for the rule about it."""
    assert precision_named(word) == precision
    request = as_request("org/model", revision="main", precision=word, weight_type="adapter")
    assert isinstance(request, Request)
    assert (request.path.precision, request.file.precision, request.path.weight_type) == (
        precision,
        precision,
        "Adapter",
    )


@pytest.mark.parametrize("field", ["precision", "weight_type"])
def test_an_option_that_no_request_file_can_hold_is_refused(field: str) -> None:
    """An option of more than 32 characters, the limit of a request file, is refused; it used to end a sync."""
    options = {"precision": "float16", "weight_type": "Original", field: "x" * 33}
    problem = as_request("org/model", revision="main", **options)
    assert isinstance(problem, Problem)
    assert (problem.code, field in problem.message) == ("field", True)
