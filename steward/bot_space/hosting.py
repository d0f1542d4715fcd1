"""The bot's Space in one run of `steward init --space`: its problems, the steps that are left, and their execution."""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from bot.core.settings import BotSettings
from bot.intake.webhooks import PATH
from hub.client import Hub
from hub.errors import HubError
from hub.records import Repo
from hub.rights import Rights
from leaderboard import __version__
from leaderboard.boards import Board, parse_board
from leaderboard.reasons import Problem
from leaderboard.suites import shipped
from redis_state.settings import SharedSettings
from steward.board_setup import repos
from steward.bot_space.acting import space_lines
from steward.bot_space.deciding import (
    SpaceStep,
    decide_steps,
    find_space_problems,
    option_problems,
    suite_file_problems,
)
from steward.bot_space.facts import SetupFacts, gather
from steward.bot_space.texts import DONE, LOCAL_REDIS, LOOK, PROBLEMS
from steward.bot_space.wanted import (
    BOT_TOKEN,
    WEBHOOK_SECRET,
    BotSpaceOptions,
    WantedSpace,
    bucket_for,
    is_space_id,
    space_files,
)
from steward.new_board import NewBoardOptions

WHEEL_START, WHEEL_END = "steward_leaderboard-", ".whl"
MAX_WHEEL_BYTES = 50_000_000
LOCAL = ("localhost", "127.0.0.1", "::1")


class HostedBot:
    """The bot of one board, hosted in a Space. Call `create`, `url` and `fill` once no problem is reported."""

    def __init__(self, settings: BotSettings, new_board: NewBoardOptions, options: BotSpaceOptions) -> None:
        self._settings, self._new_board, self._options = settings, new_board, options
        self._board_text = ""
        self._wanted: WantedSpace | None = None
        self._facts: SetupFacts | None = None

    @cached_property
    def webhook_secret(self) -> str:
        """The webhook secret of this machine, or a new one where its file is missing."""
        return secrets.token_urlsafe(32) if self._generates else self._settings.secrets()[0]

    @property
    def _generates(self) -> bool:
        file = self._settings.webhook_secret_file
        return self._settings.webhook_secret is None and file is not None and not file.exists()

    def machine_problems(self, board: Board) -> Iterator[Problem]:
        """Yield what is wrong on this machine: the wheel, the suite file, the board file's folder."""
        yield from self._wheel_problems()
        if board.suite not in shipped():
            yield from suite_file_problems(board.suite)
        folder = self._settings.board.parent
        existing = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
        if not existing.is_dir():
            yield PROBLEMS["board-folder"].problem(folder=folder)

    def hub_problems(self, hub: Hub, rights: Rights, board: Board) -> Iterator[Problem]:
        """Yield what is wrong with the options, then with what the Hub holds."""
        self._wanted = wanted = self._want(hub, board)
        yield from option_problems(board, wanted)
        if not is_space_id(wanted.id):
            return
        self._facts = gather(hub, rights, board, repos(board), wanted, self._options.url)
        yield from find_space_problems(self._facts, board, wanted, generated=self._generates)

    def create(self, hub: Hub, *, apply: bool) -> Iterator[str]:
        """Create the Space, if it does not exist: the Hub then reports its address. Yields a line."""
        wanted, steps = self._decided()
        created = [step for step in steps if step.kind == "create"]
        if created:
            yield from space_lines(hub, wanted, created, apply=apply)

    def url(self, hub: Hub, *, apply: bool) -> str:
        """The address of the webhooks: the operator's, or that of the Space's pages."""
        wanted, _ = self._decided()
        if self._options.url:
            return self._options.url
        host = hub.space_host(Repo("space", wanted.id)) if apply else ""
        return f"{host or self._known().space.host}{PATH}"

    def fill(self, hub: Hub, *, apply: bool) -> Iterator[str]:
        """Give the Space its settings and files; yields a line for each."""
        wanted, steps = self._decided()
        yield from space_lines(hub, wanted, [step for step in steps if step.kind != "create"], apply=apply)
        if self._redis_url() == "" and self._names_redis():
            yield LOCAL_REDIS

    def next_step(self, hub: Hub) -> str:
        """The next thing that the operator does, in a sentence."""
        wanted, _ = self._decided()
        page = f"{hub.endpoint}/spaces/{wanted.id}"
        return f"{DONE.format(host=self.url(hub, apply=True).removesuffix(PATH))} {LOOK.format(page=page)}"

    def _known(self) -> SetupFacts:
        if self._facts is None:
            raise HubError("The Space was not looked at.")
        return self._facts

    def _decided(self) -> tuple[WantedSpace, list[SpaceStep]]:
        assert self._wanted is not None
        return self._wanted, decide_steps(self._known(), self._wanted)

    def _want(self, hub: Hub, board: Board) -> WantedSpace:
        settings, options = self._settings, self._options
        if settings.board.exists():
            text = settings.board.read_text("utf-8")
        else:
            text = self._new_board.board_text([hub.user(name).id for name in self._new_board.maintainers])
        suite = "" if board.suite in shipped() else Path(board.suite).read_text("utf-8")
        public = {"STEWARD_PUBLIC_URL": options.url.removesuffix(PATH)} if options.url else {}
        default = SharedSettings.model_fields["hf_endpoint"].default
        endpoint = {} if hub.endpoint == default else {"HF_ENDPOINT": hub.endpoint}
        redis, models = self._redis_url(), settings.models_token(parse_board(text))
        return WantedSpace(
            id=options.space_id(board),
            files=space_files(board, text, suite, options.wheel),
            variables=endpoint | public,
            secrets={
                BOT_TOKEN: settings.token(),
                WEBHOOK_SECRET: self.webhook_secret,
                **({"REDIS_URL": redis} if redis else {}),
                **({"STEWARD_MODEL_PR_TOKEN": models} if models else {}),
            },
            hardware=options.hardware,
            storage=bucket_for(options.storage, options.space_id(board)),
            sleep=options.sleep,
            new_secret=options.new_secret,
        )

    def _names_redis(self) -> bool:
        return bool({"redis_url", "redis_url_file"} & self._settings.model_fields_set)

    def _redis_url(self) -> str:
        """The queue server that the operator names, if the Space could reach it; else "" and it starts its own."""
        is_local = urlsplit(self._settings.redis_url).hostname in (None, *LOCAL)
        return "" if is_local or not self._names_redis() else self._settings.redis_url

    def _wheel_problems(self) -> Iterator[Problem]:
        wheel = self._options.wheel
        if wheel is None:
            if "dev" in __version__:
                yield PROBLEMS["unpublished"].problem(version=__version__)
        elif not wheel.is_file():
            yield PROBLEMS["wheel"].problem(path=wheel, why="there is no such file")
        elif not (wheel.name.startswith(WHEEL_START) and wheel.name.endswith(WHEEL_END)):
            yield PROBLEMS["wheel"].problem(path=wheel, why=f"its name is not {WHEEL_START}…{WHEEL_END}")
        elif wheel.stat().st_size > MAX_WHEEL_BYTES:
            yield PROBLEMS["wheel"].problem(path=wheel, why=f"it is larger than {MAX_WHEEL_BYTES // 1_000_000} MB")
        elif not zipfile.is_zipfile(wheel):
            yield PROBLEMS["wheel"].problem(path=wheel, why="it is not a zip archive, as every wheel is")
