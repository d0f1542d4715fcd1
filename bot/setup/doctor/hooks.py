"""Checks of webhooks: whether the Hub reports commits and comments, and to which address."""

from __future__ import annotations

from urllib.parse import urlsplit

from bot.core.context import BoardContext
from bot.core.watched_repos import thread_repos, watched
from bot.intake.webhooks import PATH
from bot.setup.doctor.findings import Check, Checks


def webhooks(context: BoardContext) -> Checks:
    """Whether webhooks report comments in each repo where people write to the bot, and commits to the requests repo."""
    hooks = context.hub.webhooks()
    for repo in thread_repos(context):
        for domain in ("repo", "discussion") if repo == context.requests else ("discussion",):
            watching = [hook for hook in hooks if domain in hook.domains and repo in watched(context, hook)]
            events = f"{'commits to' if domain == 'repo' else 'comments in'} {repo.id}"
            if not watching:
                fix = f"Create one that watches this repo, with STEWARD_WEBHOOK_SECRET, to this server's {PATH}."
                yield Check("webhooks", "warning", f"No webhook reports {events}; the bot polls.", fix)
            elif all(hook.disabled for hook in watching):
                fix = "`steward sync` enables it again while it runs; or enable it in the Hub's settings."
                yield Check("webhooks", "error", f"The webhook for {events} is {watching[0].disabled}.", fix)
            else:
                yield Check("webhooks", "ok", f"A webhook reports {events}.")


def addresses(context: BoardContext) -> Checks:
    """Whether each of the board's webhooks leads to a web server of Steward, and its secret is encrypted on the way."""
    plain_hub = context.hub.endpoint.startswith("http://")
    for address in sorted({hook.url or "" for hook in context.hub.webhooks() if watched(context, hook)}):
        url = urlsplit(address)
        if url.path != PATH:
            fix = f"Its address has to end in {PATH}: change it in the Hub's settings, or with `steward init --url`."
            yield Check("webhook address", "error", f"A webhook of the board leads to {address}.", fix)
        elif url.scheme != "https" and not plain_hub:
            fix = "Serve it with TLS, and change the webhook's address to https."
            yield Check("webhook address", "error", f"The secret is sent unencrypted to {address}.", fix)
        else:
            yield Check("webhook address", "ok", f"The board's webhooks lead to {address}.")
