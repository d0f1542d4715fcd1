"""Details of very many samples are written in bounded memory; `benchmarks.details` measures a hundred thousand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WRITE = """
import json, sys
from pathlib import Path
from workers.publication.details import write_samples

import pyarrow.parquet  # its own size is no matter of samples

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM:"))

folder, count, answer = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] * int(sys.argv[4]) or "-0.5"
row = {"doc": {"input": "q" * 800, "target": "Yes"}, "target": "0",
       "arguments": {f"gen_args_{i}": {"arg_0": "p" * 2000, "arg_1": " Yes"} for i in range(4)},
       "resps": [[[answer, "True"]]] * 4, "filtered_resps": [[answer, "True"]] * 4, "filter": "none",
       "metrics": ["acc_norm"], "acc_norm": 1.0}
with (folder / "samples.jsonl").open("w") as file:
    for number in range(count):
        file.write(json.dumps({"doc_id": number, **row}, ensure_ascii=False) + chr(10))
before = held()
assert write_samples(folder / "samples.jsonl", folder / "table.parquet", ("acc_norm,none",)) == count
print(held() - before)
"""


def growth(folder: Path, count: int, letter: str = "", length: int = 0) -> int:
    """MiB by which a process grows while it turns `count` samples of nine kilobytes into a table.

    The answers may be longer: `length` times `letter`.
    """
    folder.mkdir()
    command = [sys.executable, "-c", WRITE, str(folder), str(count), letter, str(length)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    (folder / "samples.jsonl").unlink()
    return int(process.stdout)


@pytest.mark.long("three seconds of a processor")
def test_memory_does_not_grow_with_the_number_of_samples(tmp_path: Path) -> None:
    """Six times as many samples need hardly more memory, because they are written in batches."""
    few, many = growth(tmp_path / "few", 2_000), growth(tmp_path / "many", 12_000)
    assert many < few + 40
    assert many < 150


@pytest.mark.long("four seconds of processor time")
def test_long_answers_need_no_more_memory(tmp_path: Path) -> None:
    """A hundred answers that need 320 MiB together, at four bytes per character, are written with less memory."""
    assert growth(tmp_path / "long", 100, "\N{GRINNING FACE}", 100_000) < 200
