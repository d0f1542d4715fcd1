"""The leaderboard of a benchmark dataset."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from localhub.errors import HubError
from localhub.http.routing import HubRouter
from localhub.json_values import JsonObject
from localhub.repos.records import Repo
from localhub.routes.dependencies import CallerDep, Name, Namespace, StateDep, public_url
from localhub.routes.whoami import account_fields
from localhub.state import HubState

router = HubRouter(tags=["leaderboard"])


@router.get("/api/datasets/{ns}/{name}/leaderboard")
def leaderboard(
    request: Request, state: StateDep, caller: CallerDep, ns: Namespace, name: Name, base_model: bool = True
) -> list[JsonObject]:
    """The entries of all models that the caller may see; with `base_model=false` also of derived models."""
    dataset = state.access.repo("dataset", f"{ns}/{name}", caller, "read")

    def may_read(model: Repo) -> bool:
        return state.access.allows(caller, model, "read")

    rows = state.eval_results.leaderboard(dataset, may_read=may_read, base_model_only=base_model)
    if rows is None:
        raise HubError(404, f"{dataset.full_name} has no leaderboard: it has no eval.yaml.")
    here = urlsplit(public_url(request)).netloc
    return [_shown(state, row, here) for row in rows]


def _shown(state: HubState, row: JsonObject, here: str) -> JsonObject:
    """The row with its author, and whether its source is outside this Hub."""
    owner = state.accounts.by_name(str(row["modelId"]).partition("/")[0])
    fields = account_fields(owner) if owner else {"user": "", "type": "user"}
    author = {("name" if name == "user" else name): value for name, value in fields.items()}
    source = row.get("source")
    if isinstance(source, dict):
        row = {**row, "source": {**source, "isExternal": urlsplit(str(source["url"])).netloc != here}}
    return {**row, "author": author}
