"""What speaks for a flag: what the files of a model, its card and the board say against it, each with its weight.

    proof   a fact that anybody can check byte by byte: the same weights, the same evaluation twice
    hint    a sign that a person has to judge: a name in a config, a licence that is another one

Nothing here decides. A model that names what it was made from, keeps its licence and has weights of its own raises no
suspicion at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from leaderboard.admission.facts import ModelCard
from leaderboard.categories import MERGE_TAGS, ModelCategory, read_category
from leaderboard.flags import FlagRecord
from leaderboard.reasons import Reason, choice, names, table

Strength = Literal["proof", "hint"]
_NAMED = re.compile(r"\b(?:model|base_model)\s*:\s*[\"']?([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})")

REASONS = table(
    (
        Reason(
            "same-weights-unnamed",
            "{files} of {model}: byte for byte those of '{other}'{renamed}, and its card does not name it.",
            "Compare the sha256 of the files on both pages.",
        ),
        Reason(
            "same-weights",
            "{files} of {model}: byte for byte those of '{other}'{renamed}, and its card names it.",
            "",
        ),
        Reason(
            "copied-from-it",
            "The weights of {model} are those of '{other}', which is the newer one of the two.",
            "Perhaps it is that one which should be flagged.",
        ),
        Reason(
            "shared-weights",
            "{same} of {count} weight files of {model}: byte for byte those of '{other}'; its card does not name it.",
            "Ask its author how it was made.",
        ),
        Reason(
            "merge-undeclared", "{model} is a merge ({traces}), and neither tag nor relation in its card says so.", ""
        ),
        Reason("base-undeclared", "{where} of {model} names {bases}, its card does not.", ""),
        Reason(
            "wrong-category",
            "{model} was submitted as {category}, but {why}.",
            "Its category can be corrected in the request file.",
        ),
        Reason("licence-missing", "The card of {model} names no license; that of '{other}' says {wanted}.", ""),
        Reason("licence-changed", "The card of {model} says {license}, that of '{other}' says {wanted}.", ""),
        Reason("evaluated-twice", "{model} was evaluated twice at {revision} in {precision}: {paths}.", ""),
        Reason("flagged-before", "{model} was flagged before: {why}.", ""),
        Reason("author-flagged", "Other models of {author} are flagged: {others}.", ""),
        Reason("twin-flagged", "{model} holds the weights of '{other}', which is flagged: {why}.", ""),
        Reason("ancestor-flagged", "{model} was made from '{other}', which is flagged: {why}.", ""),
        Reason("official", "{author} is an official provider here.", "Ask them before anything is flagged."),
    )
)
"""What can be found."""
PROOFS = frozenset(
    {"same-weights-unnamed", "same-weights", "evaluated-twice", "flagged-before", "merge-undeclared", "twin-flagged"}
)


@dataclass(frozen=True)
class Finding:
    """One thing that was found: what it is, how much it weighs, and where it can be seen."""

    code: str
    message: str
    advice: str = ""
    link: str = ""
    other: str = ""
    """The other model that it speaks of, if any."""

    @property
    def strength(self) -> Strength:
        """Whether it is a fact, or a sign that a person has to judge."""
        return "proof" if self.code in PROOFS else "hint"


@dataclass(frozen=True)
class ExaminedModel:
    """A model as evidence looks at it. `weights` maps each weight file to its sha256, "" where that is not known.

    `traces` maps a place ("config.json", "mergekit_config.yml") to the models that it names. `created` in seconds since
    the epoch, 0 where the Hub does not say.
    """

    model: str
    sha: str = ""
    weights: Mapping[str, str] = field(default_factory=dict)
    card: ModelCard | None = None
    traces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    created: float = 0.0
    link: str = ""

    @property
    def author(self) -> str:
        """Its namespace."""
        return self.model.partition("/")[0] if "/" in self.model else ""

    @property
    def declared(self) -> tuple[str, ...]:
        """What its card says that it was made from."""
        return self.card.base_models if self.card is not None else ()

    def names(self, other: str) -> bool:
        """Whether its card names `other`."""
        return any(_is(one, other) for one in self.declared)


@dataclass(frozen=True)
class ExaminedRequest:
    """A request of the model: what it asks for, and whether it came to an evaluation."""

    path: str
    precision: str
    revision: str
    category: str = ""
    link: str = ""


@dataclass(frozen=True)
class EvidenceCase:
    """All that evidence is looked for in.

    `others` are models that it may have come from, or that may be the same: what it declares, what its files name, who
    has the same weights on the board, whom a report names. `flags` are records of the model, of its author and of its
    ancestors. `aliases` are other names under which the Hub knows the model.
    """

    subject: ExaminedModel
    others: tuple[ExaminedModel, ...] = ()
    requests: tuple[ExaminedRequest, ...] = ()
    flags: tuple[FlagRecord, ...] = ()
    is_official: bool = False
    aliases: tuple[str, ...] = ()


def suspicions(case: EvidenceCase) -> list[Finding]:
    """Everything that speaks for a flag, proofs first. Pure, and empty for a model that is what it says."""
    found = [
        one for rule in (_weights, _declared, _category, _licence, _twice, _flags, _provider) for one in rule(case)
    ]
    return sorted(found, key=lambda one: one.strength != "proof")


def models_named(text: str) -> tuple[str, ...]:
    """The models that a mergekit file names, each once; `text` is a stranger's."""
    return tuple(dict.fromkeys(match[1] for match in _NAMED.finditer(text[:100_000])))[:20]


def _is(name: str, other: str) -> bool:
    return bool(name) and name.casefold() == other.casefold()


def _find(code: str, link: str = "", **words: object) -> Finding:
    problem = REASONS[code].problem(**words)
    return Finding(code, problem.message, problem.advice, link, str(words.get("other", "")))


def _weights(case: EvidenceCase) -> Iterator[Finding]:
    """Files are compared by what they hold: another name does not make another model."""
    mine = case.subject
    own = sorted(filter(None, mine.weights.values()))
    if not own or len(own) != len(mine.weights):
        return
    for other in case.others:
        theirs = sorted(filter(None, other.weights.values()))
        words = {"model": mine.model, "other": other.model, "count": len(own)}
        if own == theirs:
            yield _same_weights(mine, other, words)
        elif set(own) & set(theirs) and not (mine.names(other.model) or other.names(mine.model)):
            yield _find("shared-weights", other.link, **words, same=sum(one in theirs for one in own))


def _same_weights(mine: ExaminedModel, other: ExaminedModel, words: dict[str, object]) -> Finding:
    if mine.created and other.created and mine.created < other.created:
        return _find("copied-from-it", other.link, **words)
    renamed = "" if set(mine.weights) == set(other.weights) else ", under other names of files"
    code = "same-weights" if mine.names(other.model) else "same-weights-unnamed"
    count = len(mine.weights)
    files = f"All {count} weight files" if count > 1 else "The weight file"
    return _find(code, other.link, **words, files=files, renamed=renamed)


def _declared(case: EvidenceCase) -> Iterator[Finding]:
    mine = case.subject
    card = mine.card
    if card is not None and card.merge_traces and not _says_merge(card) and _shows_merge(card):
        yield _find("merge-undeclared", mine.link, model=mine.model, traces=choice(card.merge_traces))
    for where, named in mine.traces.items():
        silent = [one for one in named if not mine.names(one) and not _is(one, mine.model)]
        if silent:
            yield _find("base-undeclared", mine.link, where=where, model=mine.model, bases=names(silent))


def _says_merge(card: ModelCard) -> bool:
    return card.relation == "merge" or any(tag.casefold() in MERGE_TAGS for tag in card.tags)


def _shows_merge(card: ModelCard) -> bool:
    return any(not trace.startswith("the tag ") for trace in card.merge_traces)


def _category(case: EvidenceCase) -> Iterator[Finding]:
    mine, card = case.subject, case.subject.card
    for request in case.requests[:1]:
        said = read_category(request.category)
        words = {"model": mine.model, "category": said.value}
        if said is ModelCategory.PRETRAINED and mine.declared and (card is None or card.relation != "quantized"):
            why = f"its card says that it was made from {names(mine.declared)}"
            yield _find("wrong-category", request.link, **words, why=why)
        elif said not in (ModelCategory.MERGE, ModelCategory.UNKNOWN) and card is not None and card.is_merge:
            why = f"it is a merge ({choice(card.merge_traces) or 'so its card says'})"
            yield _find("wrong-category", request.link, **words, why=why)


def _licence(case: EvidenceCase) -> Iterator[Finding]:
    """Of models that it was made from, by its own word or by its weights, not of any that somebody named."""
    mine, card = case.subject, case.subject.card
    own = (card.license or "").strip() if card is not None else ""
    for other in case.others:
        wanted = (other.card.license or "").strip() if other.card is not None else ""
        if not wanted or not (mine.names(other.model) or _share(mine, other)):
            continue
        words = {"model": mine.model, "other": other.model, "wanted": f"'{wanted}'"}
        if not own:
            yield _find("licence-missing", mine.link, **words)
        elif not _is(own, wanted):
            yield _find("licence-changed", mine.link, **words, license=f"'{own}'")


def _share(mine: ExaminedModel, other: ExaminedModel) -> bool:
    return bool(set(filter(None, mine.weights.values())) & set(filter(None, other.weights.values())))


def _twice(case: EvidenceCase) -> Iterator[Finding]:
    seen: dict[tuple[str, str], list[ExaminedRequest]] = {}
    for one in case.requests:
        if one.revision:
            seen.setdefault((one.precision, one.revision), []).append(one)
    for (precision, revision), several in seen.items():
        if len(several) > 1:
            words = {"revision": revision[:8], "precision": precision, "paths": names(one.path for one in several)}
            yield _find("evaluated-twice", several[0].link, model=case.subject.model, **words)


def _flags(case: EvidenceCase) -> Iterator[Finding]:
    mine, of_author = case.subject, list[FlagRecord]()
    for record in case.flags:
        words = {"other": record.model, "why": record.kind.words}
        if any(_is(name, own) for name in record.names for own in (mine.model, *case.aliases)):
            yield _find("flagged-before", record.thread, model=mine.model, **words)
        elif not record.stands or record.is_opt_out:
            continue
        elif _is_twin(case, record.names):
            yield _find("twin-flagged", record.thread, model=mine.model, **words)
        elif _is_ancestor(mine, record.names):
            yield _find("ancestor-flagged", record.thread, model=mine.model, **words)
        elif _is(record.model.partition("/")[0], mine.author):
            of_author.append(record)
    if of_author:
        others = names(record.model for record in of_author)
        yield _find("author-flagged", of_author[0].thread, author=mine.author, others=others)


def _is_twin(case: EvidenceCase, others: Iterable[str]) -> bool:
    mine = sorted(case.subject.weights.values())
    twins = {one.model.casefold() for one in case.others if mine and sorted(one.weights.values()) == mine}
    return any(name.casefold() in twins for name in others)


def _is_ancestor(mine: ExaminedModel, others: Iterable[str]) -> bool:
    named = {one.casefold() for one in (*mine.declared, *(one for said in mine.traces.values() for one in said))}
    return any(other.casefold() in named for other in others)


def _provider(case: EvidenceCase) -> Iterator[Finding]:
    if case.is_official:
        yield _find("official", author=case.subject.author)
