"""Facts about a model's weights, from the headers of its safetensors files; no weight is downloaded.

The files are those that the library would load: `model.safetensors`, else the ones in the shard index, else
`adapter_model.safetensors`. One range of 100 kB holds nearly every header; a longer header costs a second range, and a
header of more than 8 MB counts as broken.

A model of a hundred shards must not cost a hundred calls, so only the first and the last shard are checked. For the
others, the listing shows that they exist; the number of values comes from the Hub, which counts it in all headers, or
else from their bytes in proportion to the checked shards. The worker reads all shards and finds one that is cut off.
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
"""Bytes; the index of a model of 671 billion parameters in 163 shards has 9 million."""
FIRST_RANGE = 100_000
MAX_HEADER = 8_000_000
MAX_CHECKED = 2
_PREFIX = 8


def gather_weights(
    repo: ModelRepo, probe: Probe, folder: Path, counted: Mapping[str, int], *, is_adapter: bool = False
) -> Weights:
    """The weights according to their headers: at most three calls, and one more for each header above FIRST_RANGE.

    `counted` maps a dtype to the number of values that the Hub counted in all files; empty where it did not count.
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
    present = repo.among(names)
    missing = tuple(name for name in names if not repo.has(name))
    if not present:
        return Weights(names, missing)
    headers = probe.headers(folder, [_head(repo, name, folder, n) for n, name in enumerate(sample(present))])
    broken = {header.name: header.error for header in headers.files if header.error}
    checked = [header for header in headers.files if not header.error]
    all_layers = layers or headers.layers
    if broken or missing or not checked:
        return Weights(names, missing, broken, layers=all_layers)
    nbytes = sum(header.nbytes for header in checked) + _unchecked_bytes(repo, present, checked)
    dtypes = _dtypes(checked) if len(checked) == len(present) else dict(counted) or _scaled(checked, nbytes)
    return Weights(names, (), {}, "", dtypes, sum(dtypes.values()), nbytes, all_layers)


def sample(names: Sequence[str]) -> list[str]:
    """At most MAX_CHECKED of `names`: the first, the last, and others at even distances."""
    if len(names) <= MAX_CHECKED:
        return list(names)
    step = (len(names) - 1) / (MAX_CHECKED - 1)
    return [names[round(n * step)] for n in range(MAX_CHECKED)]


def _head(repo: ModelRepo, name: str, folder: Path, number: int) -> WeightFileHead:
    """Save the start of a file, up to the end of its header where that is at most MAX_HEADER long."""
    size = repo.size(name)
    head = repo.start(name, FIRST_RANGE)
    end = _PREFIX + int.from_bytes(head[:_PREFIX], "little")
    if FIRST_RANGE <= len(head) < end <= _PREFIX + MAX_HEADER and (size is None or end <= size):
        head += repo.part(name, len(head), end)
    file = f"head-{number}"
    (folder / file).write_bytes(head)
    return WeightFileHead(name, file, size)


def _unchecked_bytes(repo: ModelRepo, names: list[str], checked: list[CheckedHeader]) -> int:
    """Bytes of data in the unchecked files: their sizes without the mean header length of the checked ones."""
    checked_names = {header.name for header in checked}
    header_bytes = sum(header.header for header in checked) // len(checked)
    return sum(max(0, (repo.size(name) or 0) - header_bytes) for name in names if name not in checked_names)


def _dtypes(checked: list[CheckedHeader]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for header in checked:
        total.update(header.dtypes)
    return dict(total)


def _scaled(checked: list[CheckedHeader], nbytes: int) -> dict[str, int]:
    """The values by dtype in `nbytes` of data, in proportion to the checked files."""
    dtypes, checked_bytes = _dtypes(checked), sum(header.nbytes for header in checked)
    return {dtype: count * nbytes // checked_bytes for dtype, count in dtypes.items()} if checked_bytes else dtypes
