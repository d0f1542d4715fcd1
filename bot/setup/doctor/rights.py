"""Checks of tokens and repos: the bot's account, and whether each token may do what it needs, and no more."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.setup.doctor.findings import Check, Checks, State
from hub.client import Hub
from hub.errors import BadToken, Denied, HubError, NotFound, RepoNotFound
from hub.records import Repo, WriteFile
from hub.rights import TALK, WRITE, rights_of
from leaderboard.options import Effect, EffectMode

NEVER = "0" * 40
"""A commit id that no branch has: a commit with this parent never lands."""


def token(context: BoardContext) -> Checks:
    """Whether the bot's token is valid, and its account."""
    try:
        me = context.hub.whoami()
    except BadToken as error:
        yield Check("token", "error", str(error), "Put a valid token into STEWARD_BOT_TOKEN or STEWARD_BOT_TOKEN_FILE.")
    else:
        yield Check("token", "ok", f"The bot is {me.name}.")


def repos(context: BoardContext) -> Checks:
    """Whether each of the board's repos exists and the bot can read it."""
    for repo in shared(context):
        if context.hub.repo_exists(repo):
            yield Check("repos", "ok", f"The {repo.kind} {repo.id} can be read.")
        else:
            fix = "Create it, give the bot's account access, or correct its name in the board file."
            yield Check("repos", "error", f"There is no {repo.kind} {repo.id} that the bot may see.", fix)


def bot_rights(context: BoardContext, *, on: bool) -> Checks:
    """Whether the bot may commit and write in threads. While effects are off or in shadow, a refusal is a warning."""
    state: State = "error" if on else "warning"
    rights = rights_of(context.hub)
    if rights.role == "read":
        fix = "Create one with the role write, or a fine-grained one, and put it into STEWARD_BOT_TOKEN_FILE."
        yield Check("rights", state, "The bot's token may only read.", fix)
        return
    if missing := rights.missing_for_webhooks():
        fix = f"Add {' and '.join(missing)} for {rights.name} itself to the token."
        words = "The bot's token may not manage webhooks: `init` creates none, and suspended ones stay off."
        yield Check("rights", "warning", words, fix)
    for repo in shared(context):
        if missing := rights.missing(repo.id, WRITE, TALK):
            fix = f"Add {' and '.join(missing)} for {repo.id.partition('/')[0]} to the token."
            yield Check("rights", state, f"The bot's token does not grant {', '.join(missing)} on {repo.id}.", fix)
        elif not _may_write(context.hub, repo):
            fix = f"Make {rights.name} a member of {repo.id.partition('/')[0]} with the role write."
            yield Check("rights", state, f"The account {rights.name} may not write to {repo.id}.", fix)
        else:
            yield Check("rights", "ok", f"The bot may write to {repo.id}.")


def worker_token(context: BoardContext, worker: Hub | None) -> Checks:
    """Whether the workers' token may write to none of the bot's repos. A board of predictions alone needs none."""
    if worker is None and not context.takes.models:
        return
    if worker is None:
        yield Check(
            "worker token",
            "warning",
            "The workers' token is not set here, so its rights could not be checked.",
            "Run this with STEWARD_WORKER_TOKEN or STEWARD_WORKER_TOKEN_FILE set.",
        )
        return
    for repo in shared(context):
        fix = f"Give workers a token of an account that may write to {context.board.repos.details_namespace} alone."
        match _write_attempt(worker, repo):
            case None:
                yield Check("worker token", "ok", f"It may not write to {repo.id}.")
            case answer:
                yield Check("worker token", "error", f"It seems that it may write to {repo.id}: {answer}", fix)


def worker_rights(context: BoardContext, worker: Hub | None) -> Checks:
    """Whether the workers' token differs from the bot's, and may write to the details repos."""
    if worker is None:
        return
    bot, workers = rights_of(context.hub), rights_of(worker)
    namespace = context.board.repos.details_namespace
    if bot.id == workers.id:
        fix = f"Create an account for workers, which is a member of {namespace} alone."
        yield Check("worker details", "error", f"Workers use the bot's own account, {bot.name}.", fix)
    elif workers.may_create_in(namespace):
        yield Check("worker details", "ok", f"Workers may publish in {namespace}.")
    else:
        fix = f"Make {workers.name} a member of {namespace} with the role write, and let its token write there."
        yield Check("worker details", "error", f"Workers may not publish in {namespace}: every attempt is lost.", fix)


def models_token(context: BoardContext) -> Checks:
    """Whether the token for models' pages may open pull requests, and may write to none of the board's repos."""
    if context.models_hub is None:
        if context.board.model_pages and context.effects.mode(Effect.MODEL_PR) is not EffectMode.OFF:
            words = "The token for models' pages is not set here, so its rights could not be checked."
            fix = "Run this with STEWARD_MODEL_PR_TOKEN or STEWARD_MODEL_PR_TOKEN_FILE set."
            yield Check("models token", "warning", words, fix)
        return
    try:
        rights = rights_of(context.models_hub)
    except BadToken as error:
        fix = "Put a valid token into STEWARD_MODEL_PR_TOKEN or its file, and restart `steward sync`."
        yield Check("models token", "error", str(error), fix)
        return
    if missing := rights.missing(f"{rights.name}/x", TALK):
        fix = f"Add {' and '.join(missing)} for all repos to the token in STEWARD_MODEL_PR_TOKEN."
        yield Check("models token", "error", f"The token of {rights.name} may open no pull request on models.", fix)
    fix = "Give STEWARD_MODEL_PR_TOKEN a fine-grained token that may write in discussions alone."
    for repo in shared(context):
        if (answer := _write_attempt(context.models_hub, repo)) is not None:
            yield Check("models token", "error", f"It seems that it may write to {repo.id}: {answer}", fix)
            return
    if not missing:
        words = f"{rights.name} may open pull requests on models, and writes to none of the board's repos."
        yield Check("models token", "ok", words)


def readable_logs(context: BoardContext) -> Checks:
    """Who can read the logs, and whether logs that not everybody may read have a repo."""
    logs, private = context.logs, context.private_logs
    if context.hub.is_private(logs):
        yield Check("logs", "ok", f"Only members can read {logs.id}: submitters are told that maintainers can.")
        return
    words = f"Everybody can read {logs.id}; logs of gated and private models and of secret questions go to {private.id}"
    try:
        is_private = context.hub.is_private(private)
    except NotFound:
        may_create = rights_of(context.hub).may_create_in(private.id.partition("/")[0])
        fix = "" if may_create else "Create it, private, or run `steward init`; until then the bot stores no such log."
        yield Check("logs", "ok" if may_create else "warning", f"{words}, which does not exist yet.", fix)
        return
    if is_private:
        yield Check("logs", "ok", f"{words}.")
    else:
        yield Check("logs", "error", f"{private.id} is public, so the bot stores no such log.", "Make it private.")


def details(context: BoardContext) -> Checks:
    """Whether the bot can read the details of private and gated models, which are in private repos."""
    namespace, policy = context.board.repos.details_namespace, context.board.admission
    if not (policy.gated_models or policy.private_models):
        yield Check("details", "ok", "Every model is public here, and so are its details.")
    elif namespace.lower() in {context.me().name.lower(), *context.hub.organisations()}:
        yield Check("details", "ok", f"The bot can read private repos of {namespace}.")
    else:
        words = f"The bot cannot read the private repos of {namespace}, with the details of gated or private models."
        refuse = "`admission: {gated_models: false, private_models: false}`"
        fix = f"Make the bot a member of {namespace} with the role read, or accept no such models: {refuse}."
        yield Check("details", "warning", words, fix)


def shared(context: BoardContext) -> tuple[Repo, ...]:
    """The repos that the bot writes to."""
    flags = tuple(repo for repo in (context.flags_repo, context.contents) if repo is not None)
    return (context.requests, context.results, context.logs, context.community, *flags)


def _write_attempt(hub: Hub, repo: Repo) -> str | None:
    """The Hub's answer to a commit that cannot land; None if it was refused for lack of permission."""
    try:
        hub.commit(repo, [WriteFile(".steward/never", b"")], "Never", parent=NEVER, regular=[".steward/never"])
    except (Denied, RepoNotFound):
        return None
    except HubError as error:  # above all StaleParent: the Hub had checked the permission
        return str(error)
    return "the commit landed."


def _may_write(hub: Hub, repo: Repo) -> bool:
    try:
        hub.session.send("GET", f"{repo.api}/auth-check/write", route="auth-check")
    except (Denied, NotFound):
        return False
    return True
