"""All facts, in the order in which they are tested."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from localhub.contract.facts.access import access
from localhub.contract.facts.accounts import accounts
from localhub.contract.facts.commits import commits
from localhub.contract.facts.deliveries import deliveries
from localhub.contract.facts.files import files
from localhub.contract.facts.git import git
from localhub.contract.facts.jobs import jobs
from localhub.contract.facts.limits import limits
from localhub.contract.facts.models import models
from localhub.contract.facts.pulls import pulls
from localhub.contract.facts.reading import reading
from localhub.contract.facts.refusals import refusals
from localhub.contract.facts.repos import repos
from localhub.contract.facts.signin import signin
from localhub.contract.facts.spaces import spaces
from localhub.contract.facts.threads import threads
from localhub.contract.facts.webhooks import webhooks
from localhub.contract.registry import Fact

GROUPS = (
    accounts, refusals, repos, reading, files, commits, git, threads, pulls, access, models, webhooks, deliveries,
    limits, signin, spaces, jobs,
)  # fmt: skip

FACTS: tuple[Fact, ...] = tuple(fact for group in GROUPS for fact in group.facts)


def selected(patterns: Collection[str]) -> list[Fact]:
    """The facts whose id, or group, matches one of `patterns` (`*` stands for anything); all without patterns."""
    return [
        fact
        for fact in FACTS
        if not patterns or any(fnmatchcase(fact.id, word) or fact.group == word for word in patterns)
    ]
