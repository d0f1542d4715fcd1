"""Settings of an evaluation worker, read once at start."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from leaderboard.boards import BadBoard, Board, parse_board
from leaderboard.tiers import ALL, TIERS, parse_tiers
from redis_state.settings import SharedSettings, read_secret
from workers.common.hub_access import HubAccess

RENAMED_MODULES = {"workers.evaluate": "workers.evaluation.evaluate", "workers.harness": "workers.evaluation.harness"}


class WorkerSettings(SharedSettings):
    """Settings of one worker. Its token may write only details repos."""

    board_file: Path = Field(
        default=Path("board.yaml"),
        validation_alias=AliasChoices("STEWARD_BOARD", "STEWARD_BOARD_FILE"),
        description="the board file",
    )
    worker_token: SecretStr | None = Field(
        default=None, description="the worker's token, which may write only details repos"
    )
    worker_token_file: Path | None = Field(
        default=None, description="a file that holds it; it does not appear in /proc"
    )
    board_url: str = Field(
        default="",
        pattern=r"^(https?://[\w.\-\[\]:]+)?/?$",
        description="for `steward work --once` without Redis: the address of the board's pages, whose server it asks",
    )
    attempt_token: SecretStr | None = Field(
        default=None, description="the token of the attempt, which the bot issues; for `steward work --once` alone"
    )
    attempt_token_file: Path | None = Field(default=None, description="a file that holds it")
    work_dir: Path = Field(
        default_factory=lambda: Path.home() / ".cache" / "steward" / "worker",
        description="folder of models, questions and slots; by default ~/.cache/steward/worker",
    )
    tiers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("all",), description="the tiers that it serves: small, medium, large, separated by commas, or all"
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+(,\d+)*)?)$",
        description="devices of one attempt: auto (all GPUs, else the CPU), cpu, cuda (all GPUs), cuda:0 or cuda:0,1",
    )
    take_turns: bool = Field(
        default=True, description="whether workers that share a device and a work folder compute one after the other"
    )
    batch_size: int = Field(
        default=1, ge=1, le=4096, description="maximal questions per batch; fewer if memory is short"
    )

    max_seconds: float | None = Field(
        default=None, gt=0, description="time limit of one attempt; if left out, that of the board"
    )
    stall_seconds: float = Field(default=1800, gt=0, description="seconds without progress until a child is stopped")
    memory_bytes: int | None = Field(
        default=None, gt=0, description="main memory of a child; if left out, nine tenths of the machine's"
    )
    model_bytes: int | None = Field(
        default=None, gt=0, description="maximal bytes of downloaded models; if left out, nearly the whole disk"
    )
    model_volume: Path | None = Field(
        default=None,
        description="a folder with the files of the attempt's model, which a platform mounted: those with the Hub's "
        "checksums are copied in place of a download",
    )
    spool_bytes: int = Field(default=32 << 30, gt=0, description="maximal bytes that a child may write in total")
    journal_bytes: int = Field(
        default=4 << 30,
        ge=0,
        description="maximal bytes of the journals with which interrupted evaluations go on; 0: there are none",
    )
    share_seconds: float = Field(
        default=900,
        ge=0,
        description="seconds between two uploads of answers, with which a worker on another machine goes on; 0: none",
    )
    max_file_bytes: int = Field(default=16 << 30, gt=0, description="maximal bytes of one file of a child")
    max_processes: int = Field(default=4096, gt=0, description="maximal processes and threads of a child")
    child_uid: int = Field(
        default=61_184, gt=0, description="user id of the children of slot 0, if the worker runs as root"
    )

    grace_seconds: float = Field(default=8, ge=0, description="seconds that an attempt has to stop after SIGTERM")
    claim_patience: float = Field(
        default=15, gt=0, description="seconds without an answer of the bot until the worker asks again for its claim"
    )
    canary: str = Field(
        default="",
        pattern=r"^$|^[\w.-]+/[\w.-]+@[0-9a-f]{40}$",
        description="the canary, a model that is known to work, as model@commit; if left out, a generated tiny model",
    )
    harness: str = Field(
        default="workers.evaluation.evaluate", description="module with the function `evaluate` that a child runs"
    )
    preload: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("workers.evaluation.harness",), description="modules that the zygote imports before it forks children"
    )

    @field_validator("tiers", "preload", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value

    @field_validator("harness", "preload", mode="before")
    @classmethod
    def _by_new_name(cls, value: object) -> object:
        """Replace earlier module paths, which settings of running workers may still name."""
        for old, new in RENAMED_MODULES.items():
            value = re.sub(rf"(?<![\w.]){re.escape(old)}(?![\w.])", new, value) if isinstance(value, str) else value
        return value

    @field_validator("tiers")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not parse_tiers(value):
            raise ValueError(f"say which tiers this worker takes: {', '.join(TIERS)}, or {ALL}")
        return value

    def board(self) -> Board:
        """The board that this worker serves. Raises BadBoard, or OSError if the file cannot be read."""
        try:
            return parse_board(self.board_file.read_text("utf-8"))
        except FileNotFoundError as error:
            words = f"There is no board file {self.board_file} in {Path.cwd()}. Set STEWARD_BOARD to its path."
            raise BadBoard(words) from error
        except BadBoard as error:
            raise BadBoard(f"STEWARD_BOARD={self.board_file}: {error}") from error

    def token(self) -> str | None:
        """The worker's token, from the setting or the file."""
        if self.worker_token_file is not None:
            return self.worker_token_file.read_text("utf-8").strip() or None
        return self.worker_token.get_secret_value() if self.worker_token else None

    def token_of_attempt(self) -> str:
        """The attempt's token, from the setting or the file; "" if there is none. Raises SecretMissing."""
        if self.attempt_token_file is not None:
            return read_secret("STEWARD_ATTEMPT_TOKEN_FILE", self.attempt_token_file)
        return self.attempt_token.get_secret_value() if self.attempt_token else ""

    def access(self) -> HubAccess:
        """The Hub's address and this worker's token."""
        return HubAccess(self.hf_endpoint, self.token())
