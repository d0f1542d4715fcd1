"""The process that opens a table of answers which another worker published; `workers.jobs.published_rows` starts it.

    python -m workers.jobs.table_process TABLE

It reads WantedRows from standard input, writes READY, then the rows as lines of JSON, and at the end "", or why the
table is refused. It imports little, so that it starts quickly, and has limits on memory and processor time.
"""

from __future__ import annotations

import json
import resource
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workers.errors import TableRefused

MEMORY_BYTES, CPU_SECONDS = 1 << 30, 120
"""Limits of the process: of its memory beyond that of its libraries, and of processor time."""
MAX_ROWS = 5_000_000
MAX_FILTERS = 100
"""The most rows of one question: one for each filter of answers."""
MAX_CHARACTERS = 100_000_000
"""The most characters of all rows that are handed over."""
NUMBERED_ROWS, WHOLE_ROWS = 50_000, 50
"""Rows in memory at a time: with their numbers alone, and with texts."""
READY = b"ready\n"


@dataclass(frozen=True)
class WantedRows:
    """The questions whose rows are wanted, the columns of texts, and the characters of the longest text."""

    numbers: Sequence[int]
    texts: Sequence[str]
    max_text: int

    def to_json(self) -> bytes:
        """The JSON that the process reads from standard input."""
        return json.dumps(asdict(self)).encode()


def main() -> None:
    """Read WantedRows from standard input, and write the rows of the table to standard output."""
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet  # imported before the limits apply

    wanted, end = WantedRows(**json.load(sys.stdin)), ""
    sys.stdout.write(READY.decode())
    sys.stdout.flush()
    _set_limits()
    try:
        for row in wanted_rows(Path(sys.argv[1]), wanted):
            print(json.dumps(row))
    except TableRefused as error:
        end = str(error)
    except MemoryError:
        end = "takes too much memory to read"
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        end = f"cannot be read: {' '.join(str(error).split())[:200]}"
    print(json.dumps(end), flush=True)


def _set_limits() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def wanted_rows(table: Path, wanted: WantedRows) -> Iterator[dict[str, Any]]:
    """The rows of these questions. Only row groups that have some are read with their texts. Raises TableRefused."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = ["doc_id", *wanted.texts]
    # From a buffer, because pyarrow imports pandas to convert a list: half of this process's time.
    numbers = pa.Array.from_buffers(
        pa.int64(), len(wanted.numbers), [None, pa.py_buffer(array("q", sorted(wanted.numbers)))]
    )
    counts, characters = dict.fromkeys(wanted.numbers, 0), 0
    with pq.ParquetFile(table, pre_buffer=False) as file:
        known = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
        if any(known.get(name) != (pa.int64() if name == "doc_id" else pa.string()) for name in columns):
            raise TableRefused("is no table of answers")
        if file.metadata.num_rows > MAX_ROWS:
            raise TableRefused(f"has more than {MAX_ROWS:,} rows")
        for group in range(file.metadata.num_row_groups):
            batches = file.iter_batches(NUMBERED_ROWS, row_groups=[group], columns=["doc_id"], use_threads=False)
            if not any(pc.any(pc.is_in(batch["doc_id"], numbers)).as_py() for batch in batches):
                continue
            for batch in file.iter_batches(WHOLE_ROWS, row_groups=[group], columns=columns, use_threads=False):
                for row in batch.filter(pc.is_in(batch["doc_id"], numbers)).to_pylist():
                    characters += _count_characters(row, wanted)
                    counts[row["doc_id"]] += 1
                    if characters > MAX_CHARACTERS or counts[row["doc_id"]] > MAX_FILTERS:
                        raise TableRefused("has more of one question than an evaluation has")
                    yield row


def _count_characters(row: dict[str, Any], wanted: WantedRows) -> int:
    """The characters of a row. Raises TableRefused if no worker writes such a row."""
    texts = [row[name] for name in wanted.texts]
    if not all(isinstance(text, str) and len(text) <= wanted.max_text for text in texts):
        raise TableRefused(f"has a text that is missing, or longer than {wanted.max_text:,} characters")
    return sum(map(len, texts))


if __name__ == "__main__":
    main()
