"""The registry of verbs by name, and the binding of a command's words to the parameters of its verb."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.core.commands.grammar import Command
from bot.core.commands.model import Arguments, Param, Verb
from leaderboard.reasons import choice
from leaderboard.request_paths import is_repo_name

MAX_WORDS_CHARACTERS = 500
"""Length limit of an argument that is free text."""


@dataclass(frozen=True)
class BadArguments:
    """The reason why a command's arguments do not fit; `why` may quote the person's words."""

    why: str


@dataclass(frozen=True)
class Registry:
    """Verbs by name."""

    verbs: tuple[Verb, ...]
    _names: dict[str, Verb] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._names.update({verb.name: verb for verb in self.verbs})

    def find(self, name: str) -> Verb | None:
        """The verb called `name`."""
        return self._names.get(name)

    def nearest(self, name: str) -> Verb | None:
        """The verb with the most similar name; None if none is similar."""
        folded = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).lower()
        close = difflib.get_close_matches(folded, self._names, n=1, cutoff=0.75) if len(name) > 2 else []
        return self._names[close[0]] if close else None


def bind(verb: Verb, command: Command, endpoint: str = "") -> Arguments | BadArguments:
    """The arguments of `command` by name, or why they do not fit `verb`. `endpoint` is the address of the Hub."""
    by_name = {param.name: param for param in verb.params}
    arguments: dict[str, str] = {}
    unbound: list[str] = []
    for word in command.words:
        if word.key in by_name:
            if word.key in arguments:
                return BadArguments(f"{word.key} is given twice.")
            arguments[word.key] = word.text
        else:
            unbound.append(word.text if word.key is None else f"{word.key}={word.text}")
    quoted = {word.text for word in command.words if word.quoted and " " in word.text}
    positional = [param for param in verb.params if param.name not in arguments and not param.by_name]
    alone = len(positional) == 1
    for param in positional:
        if not unbound:
            break
        if param.kind == "words" and unbound[0] in quoted and param is not positional[-1]:
            arguments[param.name] = unbound.pop(0)
        elif param.kind == "words":
            arguments[param.name], unbound = " ".join(unbound), []
        elif param.required or (not _is_known(verb, unbound[0]) and _is_meant(param, unbound, endpoint, alone=alone)):
            arguments[param.name] = unbound.pop(0)
    unbound = [word for word in unbound if not _take_known(verb, word, arguments)]
    if unbound and "://" in unbound[0] and any(param.kind == "model" for param in verb.params):
        return _no_model(unbound[0])
    if unbound:
        return BadArguments(f"I do not know what {_quoted(unbound)} means here.")
    return _checked(verb, arguments, endpoint)


def _take_known(verb: Verb, word: str, arguments: dict[str, str]) -> bool:
    """Add a word that means one argument without its name, such as a precision; return whether it was added."""
    for param in verb.params:
        if word.lower() in param.known and param.name not in arguments:
            arguments[param.name] = word
            return True
    return False


def _is_known(verb: Verb, word: str) -> bool:
    """Whether `word` means one of the arguments of `verb` without its name."""
    return any(word.lower() in param.known for param in verb.params)


def _is_meant(param: Param, words: list[str], endpoint: str, *, alone: bool) -> bool:
    """Whether the first of `words` is meant as this optional argument."""
    # Any word could be a model without an organisation: it counts as one only if nothing else is possible.
    return _fits(param, words[0], endpoint) and (
        param.kind != "model" or "/" in words[0] or (alone and len(words) == 1)
    )


def _checked(verb: Verb, arguments: dict[str, str], endpoint: str) -> Arguments | BadArguments:
    for param in verb.params:
        value = arguments.get(param.name)
        if value is None:
            if param.required:
                return BadArguments(_question(param))
            continue
        if param.kind == "words" and (not value.strip() or len(value) > MAX_WORDS_CHARACTERS):
            return BadArguments(f"The {_label(param)} must have 1 to {MAX_WORDS_CHARACTERS} characters.")
        if not _fits(param, value, endpoint):
            if param.kind == "model" and "://" in value:
                return _no_model(value)
            return BadArguments(f"{_quoted([value])} cannot be the {_label(param)}. {_question(param)}")
        arguments[param.name] = model_in(value, endpoint) or value if param.kind == "model" else value
    return arguments


def _no_model(address: str) -> BadArguments:
    return BadArguments(
        f"{_quoted([address])} is not the address of a model on this leaderboard's Hub. Only models of this Hub can be "
        "named: write the model's id, such as org/model."
    )


def _label(param: Param) -> str:
    return param.name.replace("_", " ")


def _question(param: Param) -> str:
    """The question that asks for the argument of `param`, with its choices or its help."""
    if param.kind == "words":
        return f"Add the {_label(param)}: {param.help}."
    hint = f"write {choice(param.choices)}" if param.choices else param.help
    asked = "What do you mean" if param.name == "what" else f"Which {_label(param)}"
    return f"{asked}? {hint[:1].upper()}{hint[1:]}."


def _fits(param: Param, value: str, endpoint: str) -> bool:
    if param.kind == "model":
        return model_in(value, endpoint) is not None
    if param.kind == "choice":
        return value in param.choices
    return param.kind == "words" or (len(value) <= 100 and value.isprintable())


def model_in(text: str, endpoint: str = "") -> str | None:
    """The model that `text` names: `org/name`, `name`, or its address on huggingface.co or on the Hub at `endpoint`."""
    if endpoint:
        text = text.removeprefix(f"{endpoint.rstrip('/')}/")
    for prefix in ("https://huggingface.co/", "http://huggingface.co/", "huggingface.co/", "https://hf.co/", "hf.co/"):
        text = text.removeprefix(prefix)
    parts = re.split(r"[?#]", text)[0].strip("/").split("/")
    if len(parts) > 2 and parts[2] in ("tree", "blob", "resolve", "discussions", "commit"):
        parts = parts[:2]
    return "/".join(parts) if 0 < len(parts) <= 2 and all(is_repo_name(part) for part in parts) else None


def _quoted(words: Iterable[str]) -> str:
    return f"“{' '.join(words)[:100]}”"
