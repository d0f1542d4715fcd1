"""`python -m workers.models.fetch_questions`: a process that downloads a suite's questions and ends.

Reads one JSON object from standard input: `endpoint`, `token`, `folder`, `sources`, `parent` (a process id), and
`as_files`. Writes `folder/datasets`: a cache of the `datasets` library from which every source loads offline; with
`as_files`, the files of each repo in a folder of its name. The caller sets HF_ENDPOINT and HF_HOME.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfFileSystem, get_session, snapshot_download

from leaderboard.suite_questions import Dataset, content_digest
from workers.common import kernel
from workers.common.diagnosis import causes
from workers.errors import DatasetUnavailable

MAX_CONTENT_BYTES = 64 * 1024 * 1024


def main() -> None:
    """Download the sources that standard input names. The last line of standard error names the error."""
    order: dict[str, Any] = json.load(sys.stdin)
    kernel.die_with_parent(order["parent"])  # the parent may have ended during the imports
    answers: deque[httpx2.Response] = deque(maxlen=1)
    get_session().event_hooks["response"].append(answers.append)
    try:
        for source in map(Dataset.model_validate, order["sources"]):
            if source.content is not None:
                check_content(source, order["endpoint"], order["token"])
            fetch = _fetch_files if order["as_files"] else _fill_cache
            fetch(source, order["token"] or False, Path(order["folder"]) / "datasets")
    except Exception as error:
        if failure := failure_of_hub(error, answers):
            raise ConnectionError(failure) from error
        raise


def failure_of_hub(error: Exception, answers: Iterable[httpx2.Response]) -> str | None:
    """How the Hub failed before `error`, whose own text may say that a file is missing; None if it did not fail.

    The libraries wrap what the Hub's client raises, and drop it where they ask whether a file exists: so the last of
    the Hub's `answers` counts.
    """
    for answer in answers:
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
            return f"{answer.status_code} {answer.reason_phrase} for {answer.url.path}"
    broken = (cause for cause in (error, *causes(error)) if isinstance(cause, httpx2.TransportError))
    return next((f"{type(cause).__name__}: {cause}" for cause in broken), None)


def _fill_cache(source: Dataset, token: str | bool, folder: Path) -> None:
    from datasets import load_dataset  # heavy, and not needed for files

    for config in source.configs or (None,):
        load_dataset(source.repo, config, revision=source.revision, token=token, cache_dir=str(folder))


def _fetch_files(source: Dataset, token: str | bool, folder: Path) -> None:
    target = folder / source.repo
    snapshot_download(source.repo, repo_type="dataset", revision=source.revision, token=token, local_dir=target)
    shutil.rmtree(target / ".cache", ignore_errors=True)  # notes of the library


def check_content(source: Dataset, endpoint: str, token: str | None) -> None:
    """Raise DatasetUnavailable if the data files differ from those that the suite pins."""
    files = dict(_data_files(HfFileSystem(endpoint=endpoint, token=token or False), source))
    if content_digest(files) != source.content:
        raise DatasetUnavailable(f"{source.repo} at {source.revision} does not hold the questions that the suite pins")


def _data_files(system: HfFileSystem, source: Dataset) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file in the repo's `data/`."""
    root = f"datasets/{source.repo}@{source.revision}"
    bytes_left = MAX_CONTENT_BYTES
    for path in system.find(f"{root}/data"):
        bytes_left -= int(system.info(path)["size"] or 0)
        if bytes_left < 0:
            raise DatasetUnavailable(f"{source.repo} holds more than {MAX_CONTENT_BYTES} bytes of questions")
        yield "data/" + path.partition("/data/")[2], system.read_bytes(path)


if __name__ == "__main__":
    main()
