"""The plan of a run as text: printed before each run, and alone by `--dry-run`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from localhub.contract.guard import JOB_FLAVOR, MOST_JOB_SECONDS, MOST_JOBS
from localhub.contract.options import ContractOptions
from localhub.contract.registry import NEEDS, Fact
from localhub.contract.scratch import MISSING, PREFIX, PUBLIC, SCRATCH_REPOS, RepoKind

SET_UP_CALLS = 80
"""The most calls that create things for several facts."""
REPEATED_CALLS = 40
"""The most calls that are sent again after a 429, or that follow a redirect that the Hub adds."""
MOST_WEBHOOKS = 4


def most_calls(facts: tuple[Fact, ...]) -> int:
    """The most calls that a run of these facts makes, without those that remove its repos, webhooks and Jobs."""
    return sum(fact.calls for fact in facts) + SET_UP_CALLS + REPEATED_CALLS


def testable(options: ContractOptions) -> tuple[Fact, ...]:
    """The facts that the options allow to test; the account's organisations are not known yet."""
    available = options.available("perhaps")
    return tuple(fact for fact in options.facts if set(fact.needs) <= available)


def plan_lines(options: ContractOptions) -> Iterator[str]:
    """The plan of a run."""
    facts = testable(options)
    yield f"Hub:        {options.endpoint}"
    yield f"facts:      {len(facts)} of {len(options.facts)}, with at most {most_calls(facts)} calls"
    yield f"creates:    of these {options.namespace}/{PREFIX}…, what the facts need; private, but for {PUBLIC}:"
    for kind in get_args(RepoKind):
        names = [name for name, its_kind in SCRATCH_REPOS.items() if its_kind == kind and name != MISSING]
        yield f"            {kind}s …-{', …-'.join(names)}"
    if any("webhook address" in fact.needs for fact in facts):
        yield f"            {MOST_WEBHOOKS} webhooks of the token's account, which watch …-hooks"
    if any("jobs" in fact.needs for fact in facts):
        yield f"starts:     at most {MOST_JOBS} Jobs of {options.namespace} on {JOB_FLAVOR}, each of at most"
        yield f"            {MOST_JOB_SECONDS} seconds: a cent or less. Ended Jobs stay in the Hub's list"
    yield "writes to:  these repos, webhooks and Jobs alone; the client refuses any other write"
    yield "removes:    all of them at the end, also after Ctrl-C or an error; Jobs that still run are cancelled"


def fact_lines(options: ContractOptions) -> Iterator[str]:
    """Each fact with the calls that it may make, or why it would not be tried."""
    available, group = options.available("perhaps"), ""
    for fact in options.facts:
        if fact.group != group:
            group = fact.group
            yield ""
        missing = [NEEDS[need] for need in fact.needs if need not in available]
        calls = f"not tried: {missing[0]}" if missing else f"{fact.calls} call{'s' * (fact.calls != 1)}"
        yield f"{fact.id:<36} {fact.sentence} ({calls})"
