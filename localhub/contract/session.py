"""One run: check the namespace, test the facts, remove everything that they created."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from localhub.contract.checks import Differs, NotTried, part
from localhub.contract.cleanup import admit_left_overs, remove_all
from localhub.contract.client import CallBudget, ContractClient, Sender
from localhub.contract.guard import WriteGuard
from localhub.contract.listener import WebhookListener
from localhub.contract.options import ContractOptions, UsageError
from localhub.contract.plan import most_calls, testable
from localhub.contract.report import ContractReport
from localhub.contract.runner import FactResult, run_facts, unreached
from localhub.contract.scratch import fresh_prefix
from localhub.contract.workspace import Workspace

_MAY_CREATE = ("admin", "write", "contributor")


def note(text: str) -> None:
    """Print to standard error what happens; standard output is for the report."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def connected(options: ContractOptions) -> Iterator[ContractClient]:
    """A client of the Hub with the tokens of the options."""
    tokens: dict[Sender, str] = {"own": options.token}
    if options.other_token:
        tokens["other"] = options.other_token
    budget = CallBudget(2 + most_calls(testable(options)))
    client = ContractClient(options.endpoint, tokens, WriteGuard(options.namespace), budget, note=note)
    try:
        yield client
    finally:
        client.close()


def own_account(client: ContractClient, namespace: str) -> Mapping[str, Any]:
    """The token's account. Raises UsageError unless it may create repos in `namespace`."""
    try:
        account = client.get("/api/whoami-v2").expect(200).json()
        name, role = part(account, "name"), account.get("auth", {}).get("accessToken", {}).get("role")
        roles = {part(org, "name"): org.get("roleInOrg") for org in account.get("orgs") or ()}
    except NotTried as error:
        raise UsageError(f"The Hub cannot be reached: {error}.") from error
    except (Differs, AttributeError, TypeError) as error:
        raise UsageError(f"The Hub does not say whose token this is: {error}.") from error
    if namespace != name and roles.get(namespace) not in _MAY_CREATE:
        known = ", ".join([str(name), *map(str, roles)])
        raise UsageError(
            f"{namespace} is neither the token's account nor an organisation in which it may write: {known}."
        )
    if role == "read":
        raise UsageError("The token may only read. Make one with the write role at the Hub's settings.")
    return dict(account)


def check_other_account(client: ContractClient, account: Mapping[str, Any], namespace: str) -> None:
    """Raise UsageError unless the other token, if there is one, is that of an outsider."""
    if not client.has("other"):
        return
    answer = client.get("/api/whoami-v2", sender="other")
    if answer.status != 200:
        raise UsageError(f"The Hub does not accept the other token: {answer.status} {answer.error}")
    other = answer.json()
    if other.get("name") == account["name"]:
        raise UsageError(
            "The other token is of the same account: take one of an account that has nothing to do with it."
        )
    if namespace in [org.get("name") for org in other.get("orgs") or ()]:
        raise UsageError(f"The other token is of a member of {namespace}: take one of an account outside it.")


def try_facts(options: ContractOptions) -> tuple[ContractReport, bool]:
    """Test the facts; return the report, and whether the run was interrupted. Raises UsageError before any write."""
    began, results, was_interrupted = time.monotonic(), list[FactResult](), False
    listener = WebhookListener(*options.listen, options.webhook_url) if options.has_address else None
    try:
        with connected(options) as client:
            account = own_account(client, options.namespace)
            check_other_account(client, account, options.namespace)
            workspace = Workspace(
                client,
                account,
                options.namespace,
                fresh_prefix(),
                listener=listener,
                benchmark=options.benchmark,
                job_image=options.job_image,
                patience=options.patience,
            )
            try:
                for result in run_facts(workspace, options.facts, options.available(workspace.organisation)):
                    results.append(result)
            except KeyboardInterrupt:
                was_interrupted = True
                note("Interrupted: removing what was made.")
            finally:
                calls = client.budget.used
                left = remove_all(client)
    finally:
        if listener is not None:
            listener.close()
    report = ContractReport(
        endpoint=options.endpoint,
        results=[*results, *unreached(options.facts, results)],
        calls=calls,
        seconds=time.monotonic() - began,
        at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        secrets=tuple(filter(None, (options.token, options.other_token))),
        left=tuple(left),
    )
    return report, was_interrupted


def remove_left_overs(options: ContractOptions) -> list[str]:
    """Remove what earlier runs left in the namespace; in a dry run only list it. Return sentences about what stays.

    Raises UsageError.
    """
    with connected(options) as client:
        own_account(client, options.namespace)
        try:
            names = admit_left_overs(client, options.namespace)
        except (Differs, NotTried) as error:
            raise UsageError(f"The repos in {options.namespace} cannot be listed: {error}.") from error
        print("\n".join(names) or f"Nothing of an earlier run is in {options.namespace}.")
        return [] if options.dry_run else remove_all(client)
