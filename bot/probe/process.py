"""The caller's side of the probe: write a model's files into a folder, ask about them, turn the answers into facts."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pydantic import TypeAdapter

from bot.probe.kept_files import KeptFiles
from bot.probe.questions import (
    LIMITS,
    READY,
    STARVED,
    TOO_COSTLY,
    AdapterConfig,
    AnswersPart,
    CheckedHeader,
    CheckedHeaders,
    Kind,
    PredictionCells,
    SampleSums,
    ShardIndex,
    TableParts,
    WeightFileHead,
)
from leaderboard.admission.facts import AdapterFacts, ConfigFacts, TokenizerFacts
from leaderboard.recomputed_metrics import MetricComparison

MAX_CONFIG = 1_000_000
_IMPORT_SECONDS = 60.0
"""Time that a question waits for the probe's imports. Slower imports continue, and the next question waits for them."""
_ANSWER_SECONDS = 30.0
"""Time beyond the fork's limit within which an answer must arrive."""
_ENVIRONMENT = ("PATH", "LANG", "LD_LIBRARY_PATH")
_SET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "USE_TORCH": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MALLOC_ARENA_MAX": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # other pools reserve more address space than a fork may have
}

_CONFIG = TypeAdapter(ConfigFacts)
_TOKENIZER = TypeAdapter(TokenizerFacts)
_INDEX = TypeAdapter(ShardIndex)
_HEADERS = TypeAdapter(CheckedHeaders)
_ADAPTER = TypeAdapter(AdapterConfig)
_ANSWERS = TypeAdapter(AnswersPart)
_PARTS = TypeAdapter(TableParts)
_SUMS = TypeAdapter(SampleSums)
_METRICS = TypeAdapter(MetricComparison)


_COSTLY_TABLE = "takes too much time or memory to read"
_PREDICTIONS = TypeAdapter(PredictionCells)


class ProbeError(RuntimeError):
    """There is no answer, for a cause outside the files; the caller may ask again later."""


class ProbeStarved(ProbeError):
    """This machine had no time for the question."""


class ProbeDied(ProbeError):
    """The probe process ended or cannot start. No question can cause that: it can end a fork, but not the probe."""


class Probe:
    """The probe process, started at the first question and after each death. Safe to share among threads."""

    def __init__(self) -> None:
        self.patience = 1.0
        """Factor on the time limits of a start and an answer, for slow or busy machines; CPU limits stay the same."""
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self.kept = KeptFiles(self._locked_parent_folder)
        """The cache of files of details repos."""

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder for the files of one model, removed afterwards."""
        parent = self._locked_parent_folder()
        with tempfile.TemporaryDirectory(prefix="model-", dir=parent, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def load(self, config: bytes) -> ConfigFacts:
        """Load `config`, the bytes of a config.json."""
        with self.folder() as folder:
            (folder / "config.json").write_bytes(config)
            return self.config(folder)

    def config(self, folder: Path) -> ConfigFacts:
        """Load the config.json in `folder`."""
        if (folder / "config.json").stat().st_size > MAX_CONFIG:
            return ConfigFacts("unreadable", error=f"it is larger than {MAX_CONFIG:,} bytes")
        return _CONFIG.validate_python(self._ask("config", folder))

    def tokenizer(self, folder: Path, model_type: str) -> TokenizerFacts:
        """Load the tokenizer of a model of this type from `folder`, and try its chat template."""
        return _TOKENIZER.validate_python(self._ask("tokenizer", folder, model_type=model_type))

    def index(self, folder: Path) -> ShardIndex:
        """Read the shard index in `folder`."""
        answer = self._ask("index", folder)
        return ShardIndex(error="reading it takes too much time or memory") if _is_costly(answer) else _index(answer)

    def headers(self, folder: Path, heads: Sequence[WeightFileHead]) -> CheckedHeaders:
        """Read the headers whose bytes are in `folder`, and compare them with its shard index, if there is one."""
        answer = self._ask("headers", folder, heads=[head.__dict__ for head in heads])
        if not _is_costly(answer):
            return _HEADERS.validate_python(answer)
        return CheckedHeaders(
            tuple(CheckedHeader(head.name, "reading its header takes too much time or memory") for head in heads)
        )

    def adapter(self, folder: Path) -> AdapterFacts:
        """Read the adapter_config.json in `folder`."""
        answer = self._ask("adapter", folder)
        if _is_costly(answer):
            return AdapterFacts(error="reading it takes too much time or memory")
        config = _ADAPTER.validate_python(answer)
        return AdapterFacts(config.base_model, config.kind, config.error)

    def answers(self, folder: Path, files: Sequence[str], **question: Any) -> AnswersPart:
        """Read a part of the answers in these tables in `folder`; see `bot.probe.answers`."""
        answer = self._ask("answers", folder, files=files, **question)
        return AnswersPart(error="too-large") if _is_costly(answer) else _ANSWERS.validate_python(answer)

    def table_parts(self, folder: Path, file: str, **limits: int) -> TableParts:
        """Find the byte ranges of the columns of a table of samples; `folder` has only the end of its file."""
        answer = self._ask("table-parts", folder, file=file, **limits)
        return TableParts(error=_COSTLY_TABLE) if _is_costly(answer) else _PARTS.validate_python(answer)

    def sample_sums(self, folder: Path, file: str, **question: Any) -> SampleSums:
        """Sum up the metrics in a table of samples in `folder`; see `bot.probe.sample_sums`."""
        answer = self._ask("sample-sums", folder, file=file, **question)
        return SampleSums(error=_COSTLY_TABLE) if _is_costly(answer) else _SUMS.validate_python(answer)

    def compare_metrics(self, folder: Path, file: str, **question: Any) -> MetricComparison:
        """Compare the metrics in a table of samples with recomputed ones; see `bot.probe.metric_comparison`."""
        answer = self._ask("metrics", folder, file=file, **question)
        return MetricComparison(error=_COSTLY_TABLE) if _is_costly(answer) else _METRICS.validate_python(answer)

    def predictions(self, data: bytes, form: str, columns: Sequence[str], *, max_rows: int) -> PredictionCells:
        """Read these columns of a file of predictions in the format `form`; see `bot.probe.prediction_files`."""
        with self.folder() as folder:
            (folder / "file").write_bytes(data)
            more = {"file": "file", "format": form, "columns": list(columns), "max_rows": max_rows}
            answer = self._ask("predictions", folder, **more)
        return (
            PredictionCells(error="predictions-costly") if _is_costly(answer) else _PREDICTIONS.validate_python(answer)
        )

    def _ask(self, kind: Kind, folder: Path, **more: Any) -> dict[str, object]:
        """The probe's answer; TOO_COSTLY where the question killed its fork. Raises ProbeError."""
        wall = self.patience * LIMITS[kind].wall
        line = json.dumps({"kind": kind, "folder": str(folder), "wall": wall, **more}).encode() + b"\n"
        with self._lock:
            process = self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            if not self._is_ready:
                self._wait_for_imports(process.stdout)
            try:
                process.stdin.write(line)
                process.stdin.flush()
                ready, _, _ = select.select([process.stdout], [], [], wall + self.patience * _ANSWER_SECONDS)
                line_read = process.stdout.readline() if ready else b""
            except BrokenPipeError:
                ready, line_read = [process.stdout], b""
            if not ready:
                self._end()
                raise ProbeStarved(f"the question about the {kind} was not answered in time")
            if not line_read.endswith(b"\n"):
                raise ProbeDied(f"the probe ended with status {self._end()} at a question about the {kind}")
        answer: dict[str, Any] = json.loads(line_read)
        if answer == STARVED:
            raise ProbeStarved(f"the question about the {kind} hardly got CPU time, or the machine had no memory left")
        return answer

    def _wait_for_imports(self, output: IO[bytes]) -> None:
        """Wait for READY. Raises ProbeError. A slow start is not killed, since the next start would be as slow."""
        if not select.select([output], [], [], self.patience * _IMPORT_SECONDS)[0]:
            raise ProbeStarved("the probe has not finished its imports yet")
        if output.readline() != READY:
            raise ProbeDied(f"the probe ended with status {self._end()} before its first question")
        self._is_ready = True

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            folder = self._parent_folder()
            inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bot.probe", folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # warnings of the library about untrusted files
                env={**inherited, **_SET, "HOME": folder},
                cwd=Path(__file__).parents[2],
            )
        return self._process

    def _parent_folder(self) -> str:
        """The folder of all models' folders, made anew where it is missing: a machine's cleanup may remove folders that
        were unused for days. It outlives the probe process, which removes it only after its parent was killed."""
        if self._folder is None or not Path(self._folder.name).is_dir():
            self._end()
            self._folder = tempfile.TemporaryDirectory(prefix="steward-probe-", ignore_cleanup_errors=True)
        return self._folder.name

    def _locked_parent_folder(self) -> Path:
        with self._lock:
            return Path(self._parent_folder())

    def warm(self) -> None:
        """Start the imports, so that the first submission does not wait for them."""
        with self._lock:
            self._start()

    def close(self) -> None:
        """End the probe process."""
        with self._lock:
            self._end()
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def _end(self) -> int | None:
        """End the probe process and return its exit status, if there is a process."""
        if self._process is None:
            return None
        self._process.kill()
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # closing flushes what the process did not read
                    pipe.close()
        self._process, self._is_ready = None, False
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_costly(answer: dict[str, Any]) -> bool:
    return answer == TOO_COSTLY


def _index(answer: dict[str, Any]) -> ShardIndex:
    return _INDEX.validate_python(answer)
