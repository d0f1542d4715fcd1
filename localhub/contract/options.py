"""The options of `python -m localhub.contract`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from localhub.contract.catalogue import selected
from localhub.contract.registry import Fact, Need
from localhub.contract.workspace import BENCHMARK, JOB_IMAGE

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


class UsageError(Exception):
    """The command cannot run as it was called; the message says why."""


@dataclass(frozen=True)
class ContractOptions:
    """What to test, where, and with whose tokens."""

    endpoint: str
    namespace: str
    token: str = field(repr=False)
    other_token: str = field(default="", repr=False)
    facts: tuple[Fact, ...] = ()
    webhook_url: str = ""
    listen: tuple[str, int] = ("127.0.0.1", 0)
    benchmark: str = BENCHMARK
    patience: float = 60.0
    exhaustive: bool = False
    jobs: bool = False
    job_image: str = JOB_IMAGE
    dry_run: bool = False
    cleanup: bool = False
    yes: bool = False
    json_file: Path | None = None
    markdown: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the Hub runs on this machine."""
        host = urlsplit(self.endpoint).hostname or ""
        return host in _LOCAL_HOSTS or host.endswith(".localhost")

    @property
    def has_address(self) -> bool:
        """Whether the Hub can deliver webhooks to this machine."""
        return bool(self.webhook_url) or self.is_local

    def available(self, organisation: str | None) -> set[Need]:
        """The needs of facts that this run meets."""
        has: dict[Need, bool] = {
            "organisation": organisation is not None,
            "webhook address": self.has_address,
            "other token": bool(self.other_token),
            "exhaustive": self.exhaustive,
            "jobs": self.jobs,
        }
        return {need for need, there in has.items() if there}


def read_options(arguments: list[str] | None, environment: Mapping[str, str]) -> ContractOptions:
    """Read the command line. Raises UsageError; ends the process for `--help` and unknown options."""
    given = _parser().parse_args(arguments)
    token = given.token or environment.get("HF_TOKEN", "")
    endpoint = given.endpoint.rstrip("/")
    if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).hostname:
        raise UsageError(f"{endpoint} is no address of a Hub: it starts with http:// or https://.")
    if not token and not given.dry_run:
        raise UsageError("A token is needed: set HF_TOKEN, or pass --token.")
    facts = tuple(selected(given.only))
    if not facts:
        raise UsageError(f"No fact has an id like {' or '.join(given.only)}; --dry-run lists them all.")
    return ContractOptions(
        endpoint=endpoint,
        namespace=given.namespace,
        token=token,
        other_token=given.other_token or environment.get("HF_OTHER_TOKEN", ""),
        facts=facts,
        webhook_url=given.webhook_url.rstrip("/"),
        listen=_host_and_port(given.listen),
        benchmark=given.benchmark,
        patience=given.patience,
        exhaustive=given.exhaustive,
        jobs=given.jobs,
        job_image=given.job_image,
        dry_run=given.dry_run,
        cleanup=given.cleanup,
        yes=given.yes,
        json_file=given.json,
        markdown=given.markdown,
    )


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--listen takes HOST:PORT, as in 127.0.0.1:8787, and not {text}.")
    return host, int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localhub.contract",
        description="Test the facts about a Hub that Steward relies on, in repos that are made for it and removed.",
    )
    add = parser.add_argument
    add("--endpoint", required=True, help="the Hub, such as https://huggingface.co")
    add("--namespace", required=True, help="the token's account, or an organisation of it: scratch repos go there")
    add("--token", default="", help="a write token of that account (better: in HF_TOKEN, which no process list shows)")
    add("--other-token", default="", help="token of a second account, for facts about outsiders (or HF_OTHER_TOKEN)")
    add("--dry-run", action="store_true", help="print what would be called, created and removed; call nothing")
    add("--only", action="append", default=[], metavar="ID", help="facts to test, such as pulls or pulls.merge*")
    add("--webhook-url", default="", metavar="URL", help="a public address that leads to --listen")
    add("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="where deliveries of webhooks arrive here")
    add("--benchmark", default=BENCHMARK, metavar="DATASET", help="a dataset with a leaderboard, which is only read")
    add("--patience", type=float, default=60.0, metavar="SECONDS", help="longest wait for a delivery (default: 60)")
    add("--exhaustive", action="store_true", help="also use up the limit of commits of a scratch repo")
    add("--jobs", action="store_true", help="also start a few small Jobs, which the namespace pays for")
    add("--job-image", default=JOB_IMAGE, metavar="IMAGE", help=f"the image of these Jobs (default: {JOB_IMAGE})")
    add("--json", type=Path, metavar="FILE", help="write the report there, to attach to an issue")
    add("--markdown", action="store_true", help="print the report as a Markdown table")
    add("--yes", action="store_true", help="do not ask before a run against a Hub that is not on this machine")
    add("--cleanup", action="store_true", help="only remove what earlier runs left in the namespace")
    return parser
