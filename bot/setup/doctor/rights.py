"""Keys: who the bot is, what each token may do, and whether that is as much as it needs, and no more."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.setup.doctor.findings import Check, Checks, State
from hub.client import Hub
from hub.errors import BadToken, Denied, HubError, NotFound, RepoNotFound
from hub.records import Repo, WriteFile
from hub.rights import TALK, WRITE, rights_of

NEVER = "0" * 40
"""A commit that no branch is at: what is to be made upon it never lands."""


def token(context: BoardContext) -> Checks:
    """Who the bot is."""
    try:
        me = context.hub.whoami()
    except BadToken as error:
        yield Check("token", "error", str(error), "Put a valid token into STEWARD_BOT_TOKEN or STEWARD_BOT_TOKEN_FILE.")
    else:
        yield Check("token", "ok", f"The bot is {me.name}.")


def repos(context: BoardContext) -> Checks:
    """Whether each of the board's repos is there, as the bot sees it."""
    for repo in shared(context):
        if context.hub.repo_exists(repo):
            yield Check("repos", "ok", f"The {repo.kind} {repo.id} can be read.")
        else:
            mend = "Make it, let the bot's account in, or mend its name in the board file."
            yield Check("repos", "error", f"There is no {repo.kind} {repo.id} that the bot may see.", mend)


def bot_rights(context: BoardContext, *, on: bool) -> Checks:
    """Whether the bot may commit and write in threads. While effects are off or in shadow, that is no error yet."""
    state: State = "error" if on else "warning"
    rights = rights_of(context.hub)
    if rights.role == "read":
        mend = "Make one with the role write, or a fine-grained one, and put it into STEWARD_BOT_TOKEN_FILE."
        yield Check("rights", state, "The bot's token may only read.", mend)
        return
    if missing := rights.missing_for_webhooks():
        mend = f"Add {' and '.join(missing)} for {rights.name} itself to the token."
        words = "The bot's token may not manage webhooks: `init` makes none, and one that the Hub suspends stays off."
        yield Check("rights", "warning", words, mend)
    for repo in shared(context):
        if missing := rights.missing(repo.id, WRITE, TALK):
            mend = f"Add {' and '.join(missing)} for {repo.id.partition('/')[0]} to the token."
            yield Check("rights", state, f"The bot's token does not grant {', '.join(missing)} on {repo.id}.", mend)
        elif not _may_write(context.hub, repo):
            mend = f"Make {rights.name} a member of {repo.id.partition('/')[0]} with the role write."
            yield Check("rights", state, f"The account {rights.name} may not write to {repo.id}.", mend)
        else:
            yield Check("rights", "ok", f"The bot may write to {repo.id}.")


def worker_token(context: BoardContext, worker: Hub | None) -> Checks:
    """Whether the workers' token may write to none of the repos that are the bot's."""
    if worker is None:
        yield Check(
            "worker token",
            "warning",
            "Nobody said what the workers' token is, so nobody knows what it may write.",
            "Run this with STEWARD_WORKER_TOKEN or STEWARD_WORKER_TOKEN_FILE set.",
        )
        return
    for repo in shared(context):
        mend = f"Give workers a token of an account that may write to {context.board.repos.details_namespace} alone."
        match _tried_to_write(worker, repo):
            case None:
                yield Check("worker token", "ok", f"It may not write to {repo.id}.")
            case words:
                yield Check("worker token", "error", f"It may write to {repo.id}, as far as can be told: {words}", mend)


def worker_rights(context: BoardContext, worker: Hub | None) -> Checks:
    """Whether the workers' token is another than the bot's, and may write where it has to."""
    if worker is None:
        return
    mine, theirs = rights_of(context.hub), rights_of(worker)
    namespace = context.board.repos.details_namespace
    if mine.id == theirs.id:
        mend = f"Make an account of its own for workers, which is a member of {namespace} alone."
        yield Check("worker details", "error", f"Workers speak as the bot itself, as {mine.name}.", mend)
    elif theirs.may_create_in(namespace):
        yield Check("worker details", "ok", f"Workers may publish in {namespace}.")
    else:
        mend = f"Make {theirs.name} a member of {namespace} with the role write, and let its token write there."
        yield Check("worker details", "error", f"Workers may not publish in {namespace}: every attempt is lost.", mend)


def hidden_logs(context: BoardContext) -> Checks:
    """Logs hold what nobody has looked through."""
    if context.hub.is_private(context.logs):
        yield Check("logs", "ok", f"Only members can read {context.logs.id}.")
    else:
        words = f"Everybody can read {context.logs.id}, so the bot keeps no log of a gated or private model there."
        yield Check("logs", "warning", words, "Make it private, unless that is what you want.")


def details(context: BoardContext) -> Checks:
    """What a private or gated model answered lies in a private repo, and the bot has to read the results there."""
    namespace, policy = context.board.repos.details_namespace, context.board.admission
    if not (policy.gated_models or policy.private_models):
        yield Check("details", "ok", "Every model is public here, and so are its details.")
    elif namespace.lower() in {context.me().name.lower(), *context.hub.organisations()}:
        yield Check("details", "ok", f"The bot can read private repos of {namespace}.")
    else:
        words = (
            f"The details of gated or private models lie in private repos of {namespace}, which the bot cannot read."
        )
        mend = "Make the bot a member of it with the role read, or take neither: `admission: {gated_models: false}`."
        yield Check("details", "warning", words, mend)


def shared(context: BoardContext) -> tuple[Repo, ...]:
    """The repos that the bot writes to."""
    flags = tuple(repo for repo in (context.flags_repo, context.contents) if repo is not None)
    return (context.requests, context.results, context.logs, context.community, *flags)


def _tried_to_write(hub: Hub, repo: Repo) -> str | None:
    """What the Hub said to a commit that cannot land; None where it was refused for want of permission."""
    try:
        hub.commit(repo, [WriteFile(".steward/never", b"")], "Never", parent=NEVER, regular=[".steward/never"])
    except BadToken as error:
        return str(error)
    except (Denied, RepoNotFound):
        return None
    except HubError as error:  # above all StaleParent: it got that far
        return str(error)
    return "it wrote."


def _may_write(hub: Hub, repo: Repo) -> bool:
    try:
        hub.session.send("GET", f"{repo.api}/auth-check/write", route="auth-check")
    except BadToken:
        raise
    except (Denied, NotFound):
        return False
    return True
