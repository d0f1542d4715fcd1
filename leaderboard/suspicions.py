"""Findings that support a flag, from the files of a model, its card and the board.

    proof   a fact that can be checked byte by byte: the same weights, the same evaluation twice
    hint    a sign that a person must judge: a name in a config, a different licence

Findings decide nothing. A model that declares its base models, keeps their licence and has its own weights has no
findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from leaderboard.admission.facts import ModelCard
from leaderboard.categories import MERGE_TAGS, ModelCategory, read_category
from leaderboard.flag_evidence import EvidenceCase, ExaminedModel, ExaminedRequest
from leaderboard.flags import FlagRecord
from leaderboard.reasons import Reason, choice, names, table

Strength = Literal["proof", "hint"]

REASONS = table(
    (
        Reason(
            "same-weights-unnamed",
            "{files} of {model}: byte for byte the same as in {source}. The card does not name '{other}'.",
            "Compare the sha256 of the files on the pages of both models.",
        ),
        Reason(
            "same-weights",
            "{files} of {model}: byte for byte the same as in {source}. The card names '{other}'.",
            "",
        ),
        Reason(
            "copied-from-it",
            "The weights of {model} are the same as those of '{other}', which is the newer model.",
            "Perhaps '{other}' should be flagged instead.",
        ),
        Reason(
            "shared-weights",
            "{same} of {count} weight files of {model}: byte for byte the same as in '{other}'. The card does not name "
            "'{other}'.",
            "Ask the author how the model was made.",
        ),
        Reason("merge-undeclared", "{model} is a merge ({traces}), but no tag or relation in its card says so.", ""),
        Reason("base-undeclared", "{where} of {model} names {bases}, but its card does not.", ""),
        Reason(
            "wrong-category",
            "{model} was submitted as {category}, but {why}.",
            "A maintainer can correct the category in the request file.",
        ),
        Reason("licence-missing", "The card of {model} names no license; the card of '{other}' names {wanted}.", ""),
        Reason("licence-changed", "The card of {model} names {license}; the card of '{other}' names {wanted}.", ""),
        Reason("evaluated-twice", "{model} was evaluated twice at {revision} in {precision}: {paths}.", ""),
        Reason("flagged-before", "{model} was flagged before: {why}.", ""),
        Reason("author-flagged", "Other models of {author} are flagged: {others}.", ""),
        Reason("twin-flagged", "{model} has the same weights as '{other}', which is flagged: {why}.", ""),
        Reason("ancestor-flagged", "{model} was made from '{other}', which is flagged: {why}.", ""),
        Reason("official", "{author} is an official provider here.", "Ask them before you flag anything."),
    )
)
"""The possible findings."""
PROOFS = frozenset(
    {"same-weights-unnamed", "same-weights", "evaluated-twice", "flagged-before", "merge-undeclared", "twin-flagged"}
)


@dataclass(frozen=True)
class Finding:
    """One finding, with a link to its source."""

    code: str
    message: str
    advice: str = ""
    link: str = ""
    other: str = ""
    """The other model that it concerns, if any."""

    @property
    def strength(self) -> Strength:
        """Whether it is a proof or a hint."""
        return "proof" if self.code in PROOFS else "hint"


def suspicions(case: EvidenceCase) -> list[Finding]:
    """Return every finding, proofs first."""
    findings = [
        finding
        for rule in (_weights, _declared, _category, _licence, _twice, _flags, _provider)
        for finding in rule(case)
    ]
    return sorted(findings, key=lambda finding: finding.strength != "proof")


def _is(name: str, other: str) -> bool:
    return bool(name) and name.casefold() == other.casefold()


def _find(code: str, link: str = "", **words: object) -> Finding:
    problem = REASONS[code].problem(**words)
    return Finding(code, problem.message, problem.advice, link, str(words.get("other", "")))


def _weights(case: EvidenceCase) -> Iterator[Finding]:
    """Compare weight files by their contents, regardless of their names."""
    subject = case.subject
    digests = _all_digests(subject)
    if not digests:
        return
    for other in case.others:
        other_digests = sorted(filter(None, other.weights.values()))
        words = {"model": subject.model, "other": other.model, "count": len(digests)}
        if digests == _all_digests(other):
            yield _same_weights(subject, other, words)
        elif set(digests) & set(other_digests) and not (subject.names(other.model) or other.names(subject.model)):
            yield _find("shared-weights", other.link, **words, same=sum(digest in other_digests for digest in digests))


def _all_digests(model: ExaminedModel) -> list[str]:
    """Return the digests of all weight files of a model, sorted; an empty list if one of them is unknown."""
    digests = sorted(model.weights.values())
    return digests if all(digests) else []


def _same_weights(subject: ExaminedModel, other: ExaminedModel, words: dict[str, object]) -> Finding:
    if subject.created and other.created and subject.created < other.created:
        return _find("copied-from-it", other.link, **words)
    source = f"'{other.model}'" + ("" if set(subject.weights) == set(other.weights) else " (with other file names)")
    code = "same-weights" if subject.names(other.model) else "same-weights-unnamed"
    count = len(subject.weights)
    files = f"All {count} weight files" if count > 1 else "The weight file"
    return _find(code, other.link, **words, files=files, source=source)


def _declared(case: EvidenceCase) -> Iterator[Finding]:
    subject = case.subject
    card = subject.card
    if card is not None and card.merge_traces and not _says_merge(card) and _shows_merge(card):
        yield _find("merge-undeclared", subject.link, model=subject.model, traces=choice(card.merge_traces))
    for file, named in subject.traces.items():
        silent = [name for name in named if not subject.names(name) and not _is(name, subject.model)]
        if silent:
            yield _find("base-undeclared", subject.link, where=file, model=subject.model, bases=names(silent))


def _says_merge(card: ModelCard) -> bool:
    return card.relation == "merge" or any(tag.casefold() in MERGE_TAGS for tag in card.tags)


def _shows_merge(card: ModelCard) -> bool:
    return any(not trace.startswith("the tag ") for trace in card.merge_traces)


def _category(case: EvidenceCase) -> Iterator[Finding]:
    subject, card = case.subject, case.subject.card
    for request in case.requests[:1]:
        category = read_category(request.category)
        words = {"model": subject.model, "category": category.value}
        if category is ModelCategory.PRETRAINED and subject.declared and (card is None or card.relation != "quantized"):
            why = f"its card says that it was made from {names(subject.declared)}"
            yield _find("wrong-category", request.link, **words, why=why)
        elif category not in (ModelCategory.MERGE, ModelCategory.UNKNOWN) and card is not None and card.is_merge:
            why = f"it is a merge ({choice(card.merge_traces) or 'so its card says'})"
            yield _find("wrong-category", request.link, **words, why=why)


def _licence(case: EvidenceCase) -> Iterator[Finding]:
    """Compare the licence with declared base models and models with the same weights, not with other named models."""
    subject, card = case.subject, case.subject.card
    license_name = (card.license or "").strip() if card is not None else ""
    for other in case.others:
        other_license = (other.card.license or "").strip() if other.card is not None else ""
        if not other_license or not (subject.names(other.model) or _share(subject, other)):
            continue
        words = {"model": subject.model, "other": other.model, "wanted": f"'{other_license}'"}
        if not license_name:
            yield _find("licence-missing", subject.link, **words)
        elif not _is(license_name, other_license):
            yield _find("licence-changed", subject.link, **words, license=f"'{license_name}'")


def _share(model: ExaminedModel, other: ExaminedModel) -> bool:
    return bool(set(filter(None, model.weights.values())) & set(filter(None, other.weights.values())))


def _twice(case: EvidenceCase) -> Iterator[Finding]:
    seen: dict[tuple[str, str], list[ExaminedRequest]] = {}
    for request in case.requests:
        if request.revision:
            seen.setdefault((request.precision, request.revision), []).append(request)
    for (precision, revision), requests in seen.items():
        if len(requests) > 1:
            words = {
                "revision": revision[:8],
                "precision": precision,
                "paths": names(request.path for request in requests),
            }
            yield _find("evaluated-twice", requests[0].link, model=case.subject.model, **words)


def _flags(case: EvidenceCase) -> Iterator[Finding]:
    subject, of_author = case.subject, list[FlagRecord]()
    for record in case.flags:
        words = {"other": record.model, "why": record.kind.words}
        if any(_is(name, own) for name in record.names for own in (subject.model, *case.aliases)):
            yield _find("flagged-before", record.thread, model=subject.model, **words)
        elif not record.stands or record.is_opt_out:
            continue
        elif _is_twin(case, record.names):
            yield _find("twin-flagged", record.thread, model=subject.model, **words)
        elif _is_ancestor(subject, record.names):
            yield _find("ancestor-flagged", record.thread, model=subject.model, **words)
        elif _is(record.model.partition("/")[0], subject.author):
            of_author.append(record)
    if of_author:
        others = names(record.model for record in of_author)
        yield _find("author-flagged", of_author[0].thread, author=subject.author, others=others)


def _is_twin(case: EvidenceCase, others: Iterable[str]) -> bool:
    digests = _all_digests(case.subject)
    twins = {other.model.casefold() for other in case.others if digests and _all_digests(other) == digests}
    return any(name.casefold() in twins for name in others)


def _is_ancestor(subject: ExaminedModel, others: Iterable[str]) -> bool:
    named = {
        model.casefold()
        for model in (
            *subject.declared,
            *(model for names_in_file in subject.traces.values() for model in names_in_file),
        )
    }
    return any(other.casefold() in named for other in others)


def _provider(case: EvidenceCase) -> Iterator[Finding]:
    if case.is_official:
        yield _find("official", author=case.subject.author)
