"""Webhooks: whether the Hub tells us of what happens, and where to."""

from __future__ import annotations

from urllib.parse import urlsplit

from bot.core.context import BoardContext
from bot.core.watched_repos import thread_repos, watched
from bot.intake.webhooks import PATH
from bot.setup.doctor.findings import Check, Checks


def webhooks(context: BoardContext) -> Checks:
    """Whether a webhook tells of commits and comments in each repo in which people speak with the bot."""
    hooks = context.hub.webhooks()
    for repo in thread_repos(context):
        for domain in ("repo", "discussion") if repo == context.requests else ("discussion",):
            told = [hook for hook in hooks if domain in hook.domains and repo in watched(context, hook)]
            what = f"{'commits to' if domain == 'repo' else 'comments in'} {repo.id}"
            if not told:
                mend = f"Make one that watches this repo, with STEWARD_WEBHOOK_SECRET, to this server's {PATH}."
                yield Check("webhooks", "warning", f"No webhook tells of {what}; the bot polls.", mend)
            elif all(hook.disabled for hook in told):
                mend = "It is switched on again by itself while `steward sync` runs; else do so in the Hub's settings."
                yield Check("webhooks", "error", f"The webhook that tells of {what} is {told[0].disabled}.", mend)
            else:
                yield Check("webhooks", "ok", f"A webhook tells of {what}.")


def addresses(context: BoardContext) -> Checks:
    """Whether each of the board's webhooks leads to a web server of ours, and its secret travels unseen."""
    plain_hub = context.hub.endpoint.startswith("http://")
    for address in sorted({hook.url or "" for hook in context.hub.webhooks() if watched(context, hook)}):
        url = urlsplit(address)
        if url.path != PATH:
            mend = f"Its address has to end in {PATH}: change it in the Hub's settings, or `steward init --url`."
            yield Check("webhook address", "error", f"A webhook of the board leads to {address}.", mend)
        elif url.scheme != "https" and not plain_hub:
            mend = "Serve it with TLS, and change the webhook's address to https."
            yield Check("webhook address", "error", f"The secret travels readable for everybody to {address}.", mend)
        else:
            yield Check("webhook address", "ok", f"The board's webhooks lead to {address}.")
