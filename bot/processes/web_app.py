"""The web server: it stores deliveries of webhooks, and serves pages, API, health and metrics from Redis.

It calls the Hub only to identify a person who submits by API or signs in: on separate threads, and without a token of
its own.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import structlog
import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bot.core.attempt_tokens import AttemptTokens
from bot.core.context import BoardContext
from bot.core.reader_context import read_only_context
from bot.core.settings import BotSettings
from bot.intake import webhooks
from bot.intake.inbox import Inbox, connect_inbox
from bot.intake.webhooks import WebhookEndpoint
from bot.web import answers
from bot.web.api import api_routes
from bot.web.attempt_calls import AttemptCalls, attempt_routes
from bot.web.board import BoardReader
from bot.web.checks import Checks, PublishedAnswers
from bot.web.connections import bounded_http
from bot.web.frame import Frame, static_routes
from bot.web.health import health_routes
from bot.web.live import Live, live_routes
from bot.web.maintain.access import RequireMaintainer
from bot.web.maintain.api import maintain_api_routes
from bot.web.maintain.commands import command_routes
from bot.web.maintain.routes import maintain_routes
from bot.web.maintain.views import MaintenanceReader
from bot.web.metrics import metric_routes
from bot.web.pages.badges import badge_routes
from bot.web.pages.check import check_page_routes
from bot.web.pages.details import details_routes
from bot.web.pages.mine import mine_routes
from bot.web.pages.plots import plot_routes
from bot.web.pages.previews import preview_routes
from bot.web.pages.submit import submit_page_routes
from bot.web.pages.times import chart_routes
from bot.web.pages.upload import upload_routes
from bot.web.signin.app import app_of
from bot.web.signin.routes import SigningIn, signin_routes
from bot.web.site import PAGES, Menu, site_routes, warm
from bot.web.submit import Submitting, submit_routes
from bot.web.visitors import Visitors
from redis_state.logs import configure_logs
from redis_state.stopping import exit_in

log = structlog.get_logger()

THREADS = 4
"""Pages and API calls that are computed at the same time."""
GRACE_SECONDS = 8
"""Seconds after a signal in which running requests may end."""


class WebApp(FastAPI):
    """FastAPI for pages and API. Deliveries go straight to their endpoint, past the middleware of pages."""

    webhook_endpoint: WebhookEndpoint
    live: Live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == webhooks.PATH and scope["method"] == "POST":
            await self.webhook_endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: BotSettings) -> WebApp:
    """The application. Raises RedisMissing or SettingsError, with a message for the operator, if it cannot run."""
    board, secrets, app_on_hub = settings.read_board(), settings.secrets(), app_of(settings)
    context = read_only_context(settings, board)
    views = BoardReader(context)
    redis = connect_inbox(settings.redis_url)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Threads for pages compete with the event loop for the interpreter lock: few of them hardly slow deliveries.
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        threading.Thread(target=warm, args=(views,), name="warm", daemon=True).start()
        yield
        await redis.aclose()
        context.redis.close()

    # A redirect to the path without its slash would repeat the Host header, which the client may have forged.
    app = WebApp(
        title=f"Steward for {board.title}",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # its pages load scripts from other hosts
        redoc_url=None,
    )
    inbox = Inbox(redis, context.keys)
    app.webhook_endpoint = WebhookEndpoint(board=board, inbox=inbox, secrets=secrets, limit=settings.max_delivery_bytes)
    app.router.routes.append(Route(webhooks.PATH, app.webhook_endpoint, methods=["POST"]))  # 405 for all other methods
    app.live = Live(redis, context.keys, views.pages)
    app.include_router(health_routes(redis, context.keys, inbox))
    app.include_router(metric_routes(context))
    if board.backends:  # else no attempt's token exists, and a forged one must be of no use
        own = read_only_context(settings, board, settings.redis_url_for_attempts())
        app.include_router(attempt_routes(AttemptCalls(own, AttemptTokens(board.name, secrets), settings.board)))
    _add_pages_and_api(app, settings, views, Visitors(context, app_on_hub))
    return app


def _add_pages_and_api(app: WebApp, settings: BotSettings, views: BoardReader, visitors: Visitors) -> None:
    context = views.context
    checks = Checks(context, per_minute=settings.checks_per_minute, per_client=settings.checks_per_client)
    frame = _frame(context, settings, visitors)
    submitting = Submitting(context, visitors)
    require_maintainer, maintenance = RequireMaintainer(visitors), MaintenanceReader(context)
    signing = SigningIn(visitors, settings.openid_provider_url or settings.hf_endpoint)
    for routes in (
        api_routes(views.pages, checks),
        chart_routes(views),
        plot_routes(views),
        badge_routes(views),
        preview_routes(views),
        submit_routes(submitting),
        check_page_routes(checks, frame),
        submit_page_routes(submitting, checks, frame),
        upload_routes(submitting, frame),
        mine_routes(views, visitors, frame),
        maintain_api_routes(require_maintainer, maintenance, submitting.owners),
        details_routes(PublishedAnswers(context), frame),
        site_routes(views, frame),
        signin_routes(signing, frame),
        maintain_routes(require_maintainer, maintenance, frame),
        command_routes(visitors, frame),
        static_routes(),
        live_routes(app.live),
    ):
        app.include_router(routes)
    answers.add_to(app, frame.problem)


def _frame(context: BoardContext, settings: BotSettings, visitors: Visitors) -> Frame:
    discussions = f"{context.address(context.community)}/discussions"
    menu = Menu(PAGES, context.takes)
    return Frame(
        context.board.title, discussions, settings.frame_ancestors, visitors, menu, context.pages_url, context.takes
    )


def server_config(app: FastAPI, settings: BotSettings) -> uvicorn.Config:
    """The configuration of uvicorn for `app`."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=bounded_http(body=settings.max_delivery_bytes),
        ws="none",
        log_level="error",  # warnings are about malformed requests of clients
        access_log=False,  # the inbox records all deliveries
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Exit the process after the grace period: threads that wait for a silent Redis would keep asyncio running."""
        if not self.should_exit:
            exit_in(GRACE_SECONDS + 1.0, log.warning)
        super().handle_exit(sig, frame)


def run(app: FastAPI, settings: BotSettings) -> None:
    """Serve `app` until SIGTERM or Ctrl-C: a WebApp, or a bare app with which benchmarks compare it."""
    # All objects so far live until the end. Without the freeze the garbage collector scans them every thousand
    # deliveries, for 50 ms each time, during which no request is answered.
    gc.collect()
    gc.freeze()
    server = _Server(server_config(app, settings))
    if isinstance(app, WebApp):
        app.live.is_over = lambda: server.should_exit
    server.run()


def serve(settings: BotSettings) -> None:
    """Run the web server until SIGTERM or Ctrl-C. Raises SettingsError if its port is taken."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    settings.require_free_port()
    run(create_app(settings), settings)
