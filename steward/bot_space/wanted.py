"""The Space that the board's bot needs: its settings, and its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard import __version__
from leaderboard.boards import Board

PORT = 7860
DOCKERFILE, CARD, BOARD_FILE = "Dockerfile", "README.md", "board.yaml"
FOLDER = "/opt/board"
"""The folder of a Space's image with the board file and the suite file."""
MARK = b"# Made by `steward init --space`"
"""The beginning of a Dockerfile that Steward wrote."""
BOT_TOKEN, WEBHOOK_SECRET = "STEWARD_BOT_TOKEN", "STEWARD_WEBHOOK_SECRET"  # nosec B105  # names
FREE_HARDWARE = "cpu-basic"
QUEUE_FOLDER = "/data/steward/redis"
"""Where `steward up` keeps the queue server's data: below STEWARD_DATA."""
PROXY_NETWORKS = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,::1,fc00::/7"
"""Private networks, from which the Hub's proxies alone reach a Space: the last forwarded address outside them is the
client's, and what the client itself claims comes before it in the header."""
STORAGE = ("small", "medium", "large")
"""Sizes of storage from before buckets, which `--storage` still takes: each means a bucket beside the Space."""

IMAGE = """\
# Made by `steward init --space`, version {version}: a later run writes this file again.
FROM debian:trixie-slim
RUN apt-get update \\
 && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv valkey-server \\
 && rm -rf /var/lib/apt/lists/* \\
 && useradd --uid 1000 --create-home steward \\
 && install -d -o 1000 -g 1000 -m 700 /data /data/steward {queue}
{copy}RUN python3 -m venv /opt/steward && /opt/steward/bin/pip install --no-cache-dir '{package}'
COPY {files} {folder}/
ENV PATH=/opt/steward/bin:/usr/local/bin:/usr/bin:/bin \\
    PYTHONUNBUFFERED=1 \\
    HF_HUB_DISABLE_TELEMETRY=1 \\
    HF_HOME=/data/hf \\
    STEWARD_BOARD={folder}/{board_file} \\
    STEWARD_DATA=/data/steward \\
    STEWARD_MIRRORS=/data/steward/mirrors \\
    STEWARD_HOST=0.0.0.0 \\
    STEWARD_PORT={port} \\
    FORWARDED_ALLOW_IPS={proxies} \\
    STEWARD_LOG_JSON=true
USER 1000
WORKDIR {folder}
EXPOSE {port}
CMD ["steward", "up", "--no-worker"]
"""
README = """\
---
title: {title}
emoji: 🤖
colorFrom: indigo
colorTo: green
sdk: docker
app_port: {port}
pinned: false
hf_oauth: true
# No hf_oauth_scopes: the pages ask people for openid and profile alone, which every Space has.
hf_oauth_expiration_minutes: 480
---

# The bot of {name}

This Space answers the webhooks of the leaderboard, keeps its repos and shows its pages. `steward init --space` made it:
run it again after a change of the board file or an upgrade.
"""


@dataclass(frozen=True)
class BotSpaceOptions:
    """The operator's options for the bot's Space.

    `id` is the Space's name, "" for ORG/bot; `url` an address of its own for the webhooks, "" for that of the Space.
    """

    id: str = ""
    url: str = ""
    hardware: str = ""
    storage: str = ""
    sleep: int | None = None
    wheel: Path | None = None
    new_secret: bool = False

    def space_id(self, board: Board) -> str:
        """The Space's name: by default `bot`, beside the board's requests."""
        return self.id or f"{board.repos.requests.partition('/')[0]}/bot"


@dataclass(frozen=True)
class WantedSpace:
    """The Space that the bot needs. "" for hardware or storage leaves them as they are.

    `storage` is the bucket for the queue server's data, or the operator's text if that is no valid name of one.
    """

    id: str
    files: Mapping[str, bytes] = field(repr=False)
    variables: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    hardware: str = ""
    storage: str = ""
    sleep: int | None = None
    new_secret: bool = False


def bucket_for(storage: str, space_id: str) -> str:
    """The bucket that `--storage` asks for: the one of that name, or the Space's own for a size of STORAGE."""
    return f"{space_id}-data" if storage in STORAGE else storage


def expected_host(space_id: str) -> str:
    """The address that the Hub will give a Space's pages; of an existing Space, the Hub reports it."""
    return f"https://{re.sub(r'[^a-z0-9]+', '-', space_id.lower()).strip('-')}.hf.space"


def is_space_id(name: str) -> bool:
    """Whether the Hub takes `name` as the name of a Space."""
    parts = name.split("/")
    pattern = r"(?![-.])(?!.*(?:--|\.\.))[A-Za-z0-9._-]{1,96}(?<![.-])(?<!\.git)"
    return len(parts) == 2 and all(re.fullmatch(pattern, part) for part in parts)


def space_files(board: Board, board_text: str, suite_text: str, wheel: Path | None) -> dict[str, bytes]:
    """Path → content of the Space's files. `suite_text` is that of a suite file of the board's own, else ""."""
    names = [BOARD_FILE]
    files = {BOARD_FILE: board_text.encode()}
    if suite_text:
        files[Path(board.suite).as_posix()] = suite_text.encode()
        names.append(Path(board.suite).as_posix())
    package, copy = f"steward-leaderboard[contents]=={__version__}", ""
    if wheel is not None:
        files[wheel.name] = wheel.read_bytes()
        package, copy = f"/tmp/{wheel.name}[contents]", f"COPY {wheel.name} /tmp/\n"  # noqa: S108  # nosec B108  # image
    words = {
        "queue": QUEUE_FOLDER,
        "version": __version__,
        "copy": copy,
        "package": package,
        "folder": FOLDER,
        "port": PORT,
        "proxies": PROXY_NETWORKS,
    }
    image = IMAGE.format(**words, files=" ".join(names[:1]), board_file=BOARD_FILE)
    for name in names[1:]:  # each at its own path below the folder
        image = image.replace(
            f"COPY {BOARD_FILE} {FOLDER}/\n", f"COPY {BOARD_FILE} {FOLDER}/\nCOPY {name} {FOLDER}/{name}\n"
        )
    title = json.dumps(f"{board.title}: the bot"[:100], ensure_ascii=False)
    card = README.format(title=title, port=PORT, name=board.title)
    return {CARD: card.encode(), DOCKERFILE: image.encode(), **files}
