"""`python -m localhub`: serve a Hub on this machine.

The first line on standard output is `{"url": …}`, printed once the Hub answers.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from localhub.errors import SetupError, WorldError
from localhub.server import Server
from localhub.world import open_hub, read_world


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; return 2, with the reason on standard error, if the Hub cannot start."""
    options = _options(arguments)
    try:
        state = open_hub(options.data, read_world(options.world) if options.world else None)
        server = Server(state, options.host, options.port)
    except WorldError as error:
        print(f"localhub: the world file {options.world}: {error}", file=sys.stderr)
        return 2
    except (SetupError, OSError) as error:
        print(f"localhub: {error}", file=sys.stderr)
        return 2
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: server.stop())
    threading.Thread(target=_announce, args=(server,), daemon=True).start()
    try:
        server.run()
    finally:
        state.close()
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="localhub", description="A Hub on this machine")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=7870, help="port; 0 takes a free one (default: 7870)")
    parser.add_argument("--data", type=Path, required=True, help="folder for everything it stores; created if missing")
    parser.add_argument("--world", type=Path, help="YAML file with the users, orgs, repos and webhooks to begin with")
    return parser.parse_args(arguments)


def _announce(server: Server) -> None:
    server.wait()
    print(json.dumps({"url": server.url}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
