"""What `steward doctor` says of keys: what each token may do, and whether that is as much as it needs, and no more."""

from __future__ import annotations

from bot.desk import Desk
from bot.findings import Check, Checks, State
from hub.client import Hub
from hub.errors import BadToken, Denied, NotFound
from hub.records import Repo
from hub.rights import TALK, WRITE, rights_of


def bot_rights(desk: Desk, *, on: bool) -> Checks:
    """Whether the bot may commit and write in threads. While effects are off or in shadow, that is no error yet."""
    state: State = "error" if on else "warning"
    rights = rights_of(desk.hub)
    if rights.role == "read":
        mend = "Make one with the role write, or a fine-grained one, and put it into STEWARD_BOT_TOKEN_FILE."
        yield Check("rights", state, "The bot's token may only read.", mend)
        return
    for repo in shared(desk):
        if missing := rights.missing(repo.id, WRITE, TALK):
            mend = f"Add {' and '.join(missing)} for {repo.id.partition('/')[0]} to the token."
            yield Check("rights", state, f"The bot's token does not grant {', '.join(missing)} on {repo.id}.", mend)
        elif not _may_write(desk.hub, repo):
            mend = f"Make {rights.name} a member of {repo.id.partition('/')[0]} with the role write."
            yield Check("rights", state, f"The account {rights.name} may not write to {repo.id}.", mend)
        else:
            yield Check("rights", "ok", f"The bot may write to {repo.id}.")


def worker_rights(desk: Desk, worker: Hub | None) -> Checks:
    """Whether the workers' token is another than the bot's, and may write where it has to."""
    if worker is None:
        return
    mine, theirs = rights_of(desk.hub), rights_of(worker)
    namespace = desk.board.repos.details_namespace
    if mine.id == theirs.id:
        mend = f"Make an account of its own for workers, which is a member of {namespace} alone."
        yield Check("worker details", "error", f"Workers speak as the bot itself, as {mine.name}.", mend)
    elif theirs.may_create_in(namespace):
        yield Check("worker details", "ok", f"Workers may publish in {namespace}.")
    else:
        mend = f"Make {theirs.name} a member of {namespace} with the role write, and let its token write there."
        yield Check("worker details", "error", f"Workers may not publish in {namespace}: every attempt is lost.", mend)


def hidden_logs(desk: Desk) -> Checks:
    """Logs hold what nobody has looked through."""
    if desk.hub.is_private(desk.logs):
        yield Check("logs", "ok", f"Only members can read {desk.logs.id}.")
    else:
        words = f"Everybody can read {desk.logs.id}, so the bot keeps no log of a gated or private model there."
        yield Check("logs", "warning", words, "Make it private, unless that is what you want.")


def shared(desk: Desk) -> tuple[Repo, ...]:
    """The repos that the bot writes to."""
    flags = tuple(repo for repo in (desk.flags_repo, desk.contents) if repo is not None)
    return (desk.requests, desk.results, desk.logs, desk.community, *flags)


def _may_write(hub: Hub, repo: Repo) -> bool:
    try:
        hub.session.send("GET", f"{repo.api}/auth-check/write", route="auth-check")
    except BadToken:
        raise
    except (Denied, NotFound):
        return False
    return True
