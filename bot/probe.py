"""Loading a stranger's config with the installed transformers, in a bounded child.

A config is a stranger's file: it may claim a billion layers, nest a thousand deep or hold names that are paths. So it
is never loaded in the sync process. `python -m bot.probe` imports transformers once, then forks for each config: the
fork has little memory and time, no environment worth reading, and dies after one answer.

The talk is one JSON line each way: `{"config": {...}}` in, a ConfigFacts as an object out.
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from leaderboard.admission.facts import ConfigFacts, ConfigState

MEMORY = 512 * 2**20
"""Bytes that a probe may take beyond what the imports have taken."""
SECONDS = 5
MAX_CONFIG = 1_000_000


class Probe:
    """The probe process, started at the first question and again whenever it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def load(self, config: bytes) -> ConfigFacts:
        """What comes of loading `config`, the bytes of a config.json."""
        if len(config) > MAX_CONFIG:
            return ConfigFacts("unreadable", error=f"it is larger than {MAX_CONFIG} bytes")
        try:
            fields = json.loads(config)
        except (ValueError, RecursionError) as error:
            return ConfigFacts("unreadable", error=f"it is not JSON ({str(error)[:200]})")
        if not isinstance(fields, dict):
            return ConfigFacts("unreadable", error="it is JSON, but not an object")
        if fields.get("auto_map"):
            return ConfigFacts("remote-code", model_type=str(fields.get("model_type", ""))[:100])
        with self._lock:
            return self._ask(fields)

    def _ask(self, fields: dict[str, Any]) -> ConfigFacts:
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"config": fields}).encode() + b"\n")
            process.stdin.flush()
            # The first question waits for the imports as well.
            ready, _, _ = select.select([process.stdout], [], [], SECONDS + 60)
            line = process.stdout.readline() if ready else b""
        except BrokenPipeError:
            line = b""
        if not line:
            self.close()
            return ConfigFacts("too-costly")
        return facts_from(json.loads(line))

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            # The folder is ours: a process that is killed, by us or for its memory, leaves everything where it lies.
            self._folder = tempfile.TemporaryDirectory(prefix="steward-probe-", ignore_cleanup_errors=True)
            clean = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
            clean |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "USE_TORCH": "0", "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bot.probe", self._folder.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # warnings of the library about strangers' configs
                env=clean,
                cwd=Path(__file__).parent.parent,
            )
        return self._process

    def warm(self) -> None:
        """Start the imports now, so that the first submission does not wait for them."""
        with self._lock:
            self._start()

    def close(self) -> None:
        """End the probe process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def facts_from(answer: dict[str, str]) -> ConfigFacts:
    """The facts in a probe's answer."""
    return ConfigFacts(
        cast(ConfigState, answer["state"]),
        architecture=answer.get("architecture", "")[:200],
        model_type=answer.get("model_type", "")[:100],
        error=answer.get("error", "")[:500],
        transformers=answer.get("transformers", ""),
    )


# --- inside the probe process


def main() -> int:
    """Answer questions until standard input ends."""
    # Configs need no torch, even where it is installed: it costs seconds and a hundred megabytes.
    sys.modules["torch"] = None  # type: ignore[assignment]
    import transformers
    from transformers import AutoConfig

    folder = Path(sys.argv[1])
    try:
        _serve(folder / "config.json", AutoConfig, transformers.__version__)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # whoever started us may have been killed: then nobody else does
    return 0


def _serve(config: Path, auto_config: Any, version: str) -> None:
    config.write_text('{"model_type": "llama"}')
    _load(config, auto_config)  # a config of our own: what it makes the library import need not be imported in forks
    for line in sys.stdin.buffer:
        fields = json.loads(line)["config"]
        config.write_text(json.dumps(fields), "utf-8")
        _prepare(fields)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _answer(writer, config, auto_config, version)
        os.close(writer)
        answer = _read(reader, child)
        os.waitpid(child, 0)
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()


def _prepare(fields: dict[str, Any]) -> None:
    """Import the library's own class for this kind of model, once and not in each fork. Nothing else is looked at."""
    from transformers import CONFIG_MAPPING

    named = fields.get("model_type")
    if not isinstance(named, str) or named not in CONFIG_MAPPING:
        return
    try:
        CONFIG_MAPPING[named]
    except Exception:  # noqa: BLE001  the fork runs into the same, and its answer tells what it was
        return


def _read(reader: int, child: int) -> bytes:
    """What the child wrote, or `too-costly` where it wrote nothing in time."""
    ready, _, _ = select.select([reader], [], [], SECONDS)
    answer = os.read(reader, 65_536) if ready else b""
    os.close(reader)
    os.kill(child, 9)
    return answer.replace(b"\n", b" ") or b'{"state": "too-costly"}'


def _answer(writer: int, config: Path, auto_config: Any, version: str) -> None:
    """In the fork: load the config and write what came of it; never returns."""
    status = 1
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        facts = _load(config, auto_config)
        os.write(writer, json.dumps({**facts, "transformers": version}).encode())
        status = 0
    finally:
        os._exit(status)  # no exit handlers of the parent, and an exception ends as `too-costly`


def _load(config: Path, auto_config: Any) -> dict[str, str]:
    from transformers import CONFIG_MAPPING

    model_type = json.loads(config.read_text("utf-8")).get("model_type")
    named = model_type if isinstance(model_type, str) else ""
    if named not in CONFIG_MAPPING:
        return {"state": "unknown-architecture", "model_type": named[:100]}
    try:
        loaded = auto_config.from_pretrained(config.parent, trust_remote_code=False, local_files_only=True)
    except MemoryError:
        return {"state": "too-costly"}
    except Exception as error:  # noqa: BLE001  whatever a stranger's config provokes is the answer
        words = str(error).replace(str(config.parent), "the model")
        return {"state": "unreadable", "model_type": named, "error": f"{type(error).__name__}: {words[:300]}"}
    architectures = getattr(loaded, "architectures", None) or [""]
    return {"state": "loaded", "model_type": named, "architecture": str(architectures[0])[:200]}


if __name__ == "__main__":
    sys.exit(main())
