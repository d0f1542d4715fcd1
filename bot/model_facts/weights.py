"""The weights of a model, from the headers of its safetensors files: no weight is ever downloaded.

Which files are read is what the library would load: `model.safetensors`, else those that its index names, else
`adapter_model.safetensors`. Of each file one range of 100 kB is read, which holds nearly every header,
and the rest of the header in a second one where it is longer; one of more than 8 MB is not read, but broken.

A model of a hundred shards shall not cost a hundred calls: the first and the last are checked. Decision: for the others
the listing has to do. That they are there is known from it; the number of values is then what the Hub counted in all
the headers, or, where it has not, what their bytes come to if they hold what the checked ones hold. A shard among them
that is cut off is found by the worker, which reads all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.model_facts.repo import ModelRepo
from bot.probe import Probe
from bot.probe.questions import INDEX_FILE, CheckedHeader, WeightFileHead
from hub.errors import TooLarge
from leaderboard.admission.facts import Weights

SINGLE = "model.safetensors"
ADAPTER = "adapter_model.safetensors"
MAX_INDEX = 20_000_000
"""Bytes; that of a model of 671 billion parameters in 163 shards has 9 million."""
FIRST = 100_000
MAX_HEADER = 8_000_000
MOST_CHECKED = 2
_PREFIX = 8


def gather_weights(
    repo: ModelRepo, probe: Probe, folder: Path, counted: Mapping[str, int], *, is_adapter: bool = False
) -> Weights:
    """What the headers say: three calls at most, and one more for each header that is longer than most.

    `counted` maps a dtype to the number of values that the Hub counted in all the files; empty where it did not.
    """
    single = next(iter(repo.among((ADAPTER,) if is_adapter else (SINGLE,))), None)
    if single is not None:
        return _weights(repo, probe, folder, (single,), counted)
    if not repo.has(INDEX_FILE):
        return _weights(repo, probe, folder, tuple(repo.among((ADAPTER,))), counted)
    try:
        repo.save(INDEX_FILE, folder, max_bytes=MAX_INDEX)
    except TooLarge:
        return Weights(index_error=f"it is larger than {MAX_INDEX:,} bytes")
    index = probe.index(folder)
    if index.error:
        return Weights(index_error=index.error)
    return _weights(repo, probe, folder, index.names, counted, layers=index.layers)


def _weights(
    repo: ModelRepo,
    probe: Probe,
    folder: Path,
    names: tuple[str, ...],
    counted: Mapping[str, int],
    *,
    layers: tuple[int, ...] = (),
) -> Weights:
    there = repo.among(names)
    missing = tuple(name for name in names if not repo.has(name))
    if not there:
        return Weights(names, missing)
    headers = probe.headers(folder, [_head(repo, name, folder, n) for n, name in enumerate(sample(there))])
    broken = {one.name: one.error for one in headers.files if one.error}
    checked = [one for one in headers.files if not one.error]
    known = Weights(names, missing, broken, layers=layers or headers.layers)
    if broken or missing or not checked:
        return known
    nbytes = sum(one.nbytes for one in checked) + _unchecked_bytes(repo, there, checked)
    dtypes = _dtypes(checked) if len(checked) == len(there) else dict(counted) or _scaled(checked, nbytes)
    return Weights(names, (), {}, "", dtypes, sum(dtypes.values()), nbytes, known.layers)


def sample(names: Sequence[str]) -> list[str]:
    """Up to MOST_CHECKED of `names`: the first, the last, and those evenly between."""
    if len(names) <= MOST_CHECKED:
        return list(names)
    step = (len(names) - 1) / (MOST_CHECKED - 1)
    return [names[round(n * step)] for n in range(MOST_CHECKED)]


def _head(repo: ModelRepo, name: str, folder: Path, number: int) -> WeightFileHead:
    """The start of a file, up to the end of its header where that is of a sane length."""
    size = repo.size(name)
    head = repo.start(name, FIRST)
    end = _PREFIX + int.from_bytes(head[:_PREFIX], "little")
    if FIRST <= len(head) < end <= _PREFIX + MAX_HEADER and (size is None or end <= size):
        head += repo.part(name, len(head), end)
    file = f"head-{number}"
    (folder / file).write_bytes(head)
    return WeightFileHead(name, file, size)


def _unchecked_bytes(repo: ModelRepo, there: list[str], checked: list[CheckedHeader]) -> int:
    """Bytes of data in the files that were not checked: theirs, without headers as long as those of the others."""
    seen = {one.name for one in checked}
    header = sum(one.header for one in checked) // len(checked)
    return sum(max(0, (repo.size(name) or 0) - header) for name in there if name not in seen)


def _dtypes(checked: list[CheckedHeader]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in checked:
        found.update(one.dtypes)
    return dict(found)


def _scaled(checked: list[CheckedHeader], nbytes: int) -> dict[str, int]:
    seen = sum(one.nbytes for one in checked)
    return {dtype: count * nbytes // seen for dtype, count in _dtypes(checked).items()} if seen else _dtypes(checked)
