"""Whether two results can be compared, and in what they differ, in plain words; groups of comparable results.

`leaderboard.result_digests` defines the digests that a comparison reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from leaderboard.engines import EngineUse
from leaderboard.result_digests import AskedParts, DigestParts, ResultDigests

MAX_NAMED = 5
"""The most names in one sentence about differences; the sentence gives the number of all others."""


class ComparedResult(Protocol):
    """The fields of a result that a comparison reads; a `steward` block has them."""

    @property
    def suite(self) -> str: ...
    @property
    def suite_digest(self) -> str: ...
    @property
    def digests(self) -> ResultDigests | None: ...
    @property
    def use_chat_template(self) -> bool: ...
    @property
    def engine(self) -> EngineUse | None: ...
    @property
    def versions(self) -> dict[str, str]: ...
    @property
    def precision(self) -> str: ...
    @property
    def batch_size(self) -> int: ...


Verdict = Literal["comparable", "other-scoring", "other-questions"]
"""`other-scoring`: the answers can be compared once they are scored in the same way."""

_TASKS_ONLY = "only the {which} result has {tasks}"
_REQUESTS = "{tasks}: other requests{details}"
_DOCUMENTS = "{tasks}: the same requests, but other right answers or other fields of the questions"
_SETTING = "{tasks}: other {setting}"
_MODULE = "the module {name} differs, which scores {tasks}"
_MODULE_ONLY = "only the {which} result uses the module {name}, which scores {tasks}"
_VERSION = "versions of {name} differ: {first} and {second}"
_RULES = "the suite's rules differ, such as normalisation"
_SUITES = "the suites differ: {first} and {second}"
_NO_DIGESTS = "one of the results says only of which suite it is"
_PROMPTS = "{tasks}: the model got other tokens"
_TEMPLATE = "only the {which} result used the model's chat template"
_NUMERICS = "{name}: {first} and {second}"


@dataclass(frozen=True)
class ResultComparison:
    """Whether two results can be compared, and in what they differ, in plain words.

    `asked` and `scored` are differences of the digests of that name; `prompts` and `numerics` differences of the
    evaluations, which belong to the model and the machine and do not change whether results can be compared.
    """

    verdict: Verdict
    asked: tuple[str, ...] = ()
    scored: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    numerics: tuple[str, ...] = ()


def compare_results(first: ComparedResult, second: ComparedResult) -> ResultComparison:
    """Compare two results."""
    before, after = first.digests, second.digests
    numerics = tuple(numeric_differences(first, second))
    if before is None or after is None:
        same = first.suite_digest == second.suite_digest
        suites = [f"{result.suite} {result.suite_digest[:12]}" for result in (first, second)]
        differences = (_NO_DIGESTS,) if same else (_SUITES.format(first=suites[0], second=suites[1]),)
        return ResultComparison("comparable" if same else "other-questions", differences, numerics=numerics)
    asked = tuple(asked_differences(before, after)) if before.asked != after.asked else ()
    scored = tuple(scored_differences(before, after)) if before.scored != after.scored else ()
    if before.rules != after.rules:
        scored = (*scored, _RULES)
    prompts = tuple(_prompt_differences(first, second)) if before.prompts != after.prompts else ()
    verdict: Verdict = "other-questions" if asked else "other-scoring" if scored else "comparable"
    return ResultComparison(verdict, asked, scored, prompts, numerics)


def asked_differences(first: DigestParts, second: DigestParts) -> Iterator[str]:
    """Yield one sentence for each kind of difference in the questions."""
    yield from _one_sided(first, second)
    requests: dict[str, list[str]] = {}
    documents = []
    for task in _common(first, second):
        before, after = first.tasks[task].asked, second.tasks[task].asked
        if before.requests != after.requests:
            requests.setdefault(_asked_details(before, after), []).append(task)
        elif before.documents != after.documents:
            documents.append(task)
    for details, tasks in requests.items():
        yield _REQUESTS.format(tasks=_listed(tasks), details=details)
    if documents:
        yield _DOCUMENTS.format(tasks=_listed(documents))


def scored_differences(first: DigestParts, second: DigestParts) -> Iterator[str]:
    """Yield sentences about the differences in the scoring: settings, modules and versions by name."""
    yield from _one_sided(first, second)
    tasks = _common(first, second)
    for setting in ("metrics", "filters", "targets"):
        differing = [
            task
            for task in tasks
            if getattr(first.tasks[task].scored, setting) != getattr(second.tasks[task].scored, setting)
        ]
        if differing:
            yield _SETTING.format(tasks=_listed(differing), setting=setting)
    yield from _module_differences(first, second, tasks)
    names = sorted({name for parts in (first, second) for task in tasks for name in parts.tasks[task].scored.packages})
    for name in names:
        versions = [parts.versions.get(name, "") or "none" for parts in (first, second)]
        if versions[0] != versions[1]:
            yield _VERSION.format(name=name, first=versions[0], second=versions[1])


def _module_differences(first: DigestParts, second: DigestParts, tasks: Sequence[str]) -> Iterator[str]:
    uses: dict[str, list[list[str]]] = {}
    for task in tasks:
        for place, parts in enumerate((first, second)):
            for name in parts.tasks[task].scored.modules:
                uses.setdefault(name, [[], []])[place].append(task)
    for name, (before, after) in sorted(uses.items()):
        if first.modules.get(name) != second.modules.get(name) and before and after:
            yield _MODULE.format(name=name, tasks=_listed(sorted({*before, *after})))
            continue
        for which, lacking in (("first", set(before) - set(after)), ("second", set(after) - set(before))):
            if lacking:
                yield _MODULE_ONLY.format(which=which, name=name, tasks=_listed(sorted(lacking)))


def _prompt_differences(first: ComparedResult, second: ComparedResult) -> Iterator[str]:
    if template := template_difference(first, second):
        yield template
    if first.digests is None or second.digests is None:
        return
    before, after = first.digests.tasks, second.digests.tasks
    differing = [task for task in _common(first.digests, second.digests) if before[task].prompts != after[task].prompts]
    if differing:
        yield _PROMPTS.format(tasks=_listed(differing))


def template_difference(first: ComparedResult, second: ComparedResult) -> str:
    """Return which of the two results alone used the model's chat template; "" if both did, or neither."""
    if first.use_chat_template == second.use_chat_template:
        return ""
    return _TEMPLATE.format(which="first" if first.use_chat_template else "second")


def numerics_of(result: ComparedResult) -> dict[str, str]:
    """Return the settings that the last digits of a result depend on, by name; "" for an unknown one."""
    shares = result.engine is not None and result.engine.engine != "harness"
    engine = f"{result.engine.engine} {result.engine.version}" if result.engine is not None and shares else "harness"
    return {
        "engine": engine,
        "transformers": result.versions.get("transformers", ""),
        "torch": result.versions.get("torch", ""),
        "precision": result.precision,
        "softmax dtype": (result.digests.softmax_dtype or "the model's") if result.digests is not None else "",
        "batch size": str(result.batch_size),
    }


def numeric_differences(first: ComparedResult, second: ComparedResult) -> Iterator[str]:
    """Yield the differences in the settings of `numerics_of` that both results name."""
    before, after = numerics_of(first), numerics_of(second)
    for name, value in before.items():
        if value and after[name] and value != after[name]:
            yield _NUMERICS.format(name=name, first=value, second=after[name])


def _one_sided(first: DigestParts, second: DigestParts) -> Iterator[str]:
    for which, only in (("first", first.tasks.keys() - second.tasks), ("second", second.tasks.keys() - first.tasks)):
        if only:
            yield _TASKS_ONLY.format(which=which, tasks=_listed(sorted(only)))


def _common(first: DigestParts, second: DigestParts) -> list[str]:
    return sorted(first.tasks.keys() & second.tasks)


def _asked_details(first: AskedParts, second: AskedParts) -> str:
    """Return the known details of a difference in the requests: numbers of questions and examples, and commits."""
    pairs = [
        (f"{first.questions} questions", f"{second.questions} questions"),
        (f"{first.shots} examples", f"{second.shots} examples"),
        (first.dataset, second.dataset),
    ]
    details = [f"{before} and {after}" for before, after in pairs if before != after and before and after]
    return f" ({'; '.join(details)})" if details else ""


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(names[:MAX_NAMED])
    return listed if len(names) <= MAX_NAMED else f"{listed} and {len(names) - MAX_NAMED} more"


# --- groups of results


class ComparisonGroups:
    """The groups of comparable results on a board, from (digest of the suite, `asked` or "") of all its results.

    The key of a group is the `asked` of its results. Older results without an `asked` are grouped by their suite: they
    get the `asked` that most results of the suite have (of equally frequent ones, the first in order). If no result of
    the suite has one, the suite's digest is the key; "" is the key of results whose suite is not known.
    """

    def __init__(self, results: Iterable[tuple[str, str]]) -> None:
        counts: dict[str, Counter[str]] = {}
        for suite, asked in results:
            counts.setdefault(suite, Counter())[asked] += 1
        self._usual = {suite: _most_common(count) for suite, count in counts.items()}
        groups: Counter[str] = Counter()
        for suite, count in counts.items():
            for asked, number in count.items():
                groups[self.of(suite, asked)] += number
        self.largest = _most_common(groups)
        """The key of the group with the most results; "" if no suite is known."""

    def of(self, suite: str, asked: str) -> str:
        """Return the key of the group of a result, from its suite's digest and its `asked`."""
        return asked or (self._usual.get(suite) or suite if suite else "")


def _most_common(counts: Counter[str]) -> str:
    """Return the text with the highest count, of equally frequent ones the first in order; "" does not count."""
    return min(filter(None, counts), key=lambda text: (-counts[text], text), default="")
