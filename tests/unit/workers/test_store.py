"""The store of models on a worker's disk: shared files, eviction at its limit, and checks of files."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from workers.errors import DiskFull, DownloadError
from workers.models import blobs
from workers.models.blobs import BlobDiffers, BlobRef
from workers.models.disk_store import ModelStore, PinnedSnapshot

SIZE = 1000


def blob(data: bytes) -> BlobRef:
    """The Hub's record of a file in LFS."""
    return BlobRef(len(data), sha256=hashlib.sha256(data).hexdigest())


class Hub:
    """A fake Hub with commits of models; records the downloaded files."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def hold(self, store: ModelStore, revision: str, **files: bytes) -> PinnedSnapshot:
        """Pin the snapshot of a commit, by default with one weight file."""
        contents = files or {"weights": revision.encode() * SIZE}

        def download(folder: Path, names: list[str]) -> None:
            for name in names:
                self.asked.append(f"{revision} {name}")
                (folder / name).write_bytes(contents[name])

        return store.pin("org/model", revision, {name: blob(data) for name, data in contents.items()}, download)


@pytest.fixture
def hub() -> Hub:
    """A fake Hub with no downloads yet."""
    return Hub()


def kept(store: ModelStore) -> list[str]:
    """Commits that are in the store."""
    return sorted(mark.stem for mark in store.root.glob("snapshots/*/*.complete"))


def aged(store: ModelStore, *revisions: str) -> None:
    """Set the last uses of these commits to long ago, in this order."""
    for age, revision in enumerate(revisions):
        os.utime(store.root / "snapshots" / "org--model" / f"{revision}.complete", (age, age))


def test_a_commit_that_changes_a_readme_brings_no_weights_again(tmp_path: Path, hub: Hub) -> None:
    """Commits with the same weights share one file on the disk."""
    store = ModelStore(tmp_path)
    weights = b"w" * SIZE
    first = hub.hold(store, "a", weights=weights, readme=b"old")
    second = hub.hold(store, "b", weights=weights, readme=b"new")
    assert hub.asked == ["a weights", "a readme", "b readme"]
    assert (first.folder / "weights").samefile(second.folder / "weights")
    assert store.size() == SIZE + 6


def test_the_least_recently_used_snapshot_is_evicted_first(tmp_path: Path, hub: Hub) -> None:
    """At the limit the least recently used snapshot is evicted; a use without a download counts."""
    store = ModelStore(tmp_path, max_bytes=2 * SIZE)
    for revision in "ab":
        hub.hold(store, revision).release()
    aged(store, "a", "b")
    hub.hold(store, "a").release()
    hub.hold(store, "c").release()
    assert kept(store) == ["a", "c"]
    assert store.size() == 2 * SIZE


def test_what_is_in_use_is_never_evicted(tmp_path: Path, hub: Hub) -> None:
    """A pinned snapshot is never evicted; if nothing else can be, DiskFull is raised."""
    store = ModelStore(tmp_path, max_bytes=2 * SIZE)
    held, free = hub.hold(store, "a"), hub.hold(store, "b")
    aged(store, "a", "b")
    free.release()
    last = hub.hold(store, "c")
    assert kept(store) == ["a", "c"]
    with pytest.raises(DiskFull, match="models may take 2000 here"):
        hub.hold(store, "d")
    last.release()
    hub.hold(store, "d")
    assert (held.folder / "weights").read_bytes() == b"a" * SIZE


def test_a_shared_file_stays_while_anybody_has_it(tmp_path: Path, hub: Hub) -> None:
    """Evicting a commit removes only the files that no other commit links to."""
    store = ModelStore(tmp_path, max_bytes=3 * SIZE)
    shared = b"s" * SIZE
    hub.hold(store, "a", shared=shared, own=b"a" * SIZE).release()
    hub.hold(store, "b", shared=shared).release()
    aged(store, "a", "b")
    hub.hold(store, "c", own=b"c" * 2 * SIZE).release()
    assert kept(store) == ["b", "c"]
    assert (hub.hold(store, "b", shared=shared).folder / "shared").read_bytes() == shared


def test_a_shared_file_that_was_evicted_is_downloaded_again(tmp_path: Path, hub: Hub) -> None:
    """A shared file whose last snapshot is evicted to make space is downloaded again."""
    store = ModelStore(tmp_path, max_bytes=3 * SIZE)
    shared = b"s" * SIZE
    hub.hold(store, "a", shared=shared, own=b"a" * SIZE).release()
    held = hub.hold(store, "b", shared=shared, own=b"b" * 2 * SIZE)
    assert kept(store) == ["b"]
    assert (held.folder / "shared").read_bytes() == shared
    assert hub.asked[-2:] == ["b shared", "b own"]


def test_a_shared_file_stays_while_the_rest_is_fetched(tmp_path: Path, hub: Hub) -> None:
    """A shared file stays during a download, even if the snapshot that had it is evicted."""
    store = ModelStore(tmp_path, max_bytes=4 * SIZE)
    shared, own = b"s" * SIZE, b"b" * SIZE
    hub.hold(store, "a", shared=shared, own=b"a" * SIZE).release()

    def slow(folder: Path, names: list[str]) -> None:
        assert names == ["own"]
        hub.hold(store, "c", own=b"c" * 2 * SIZE).release()
        assert kept(store) == ["c"]
        (folder / "own").write_bytes(own)

    held = store.pin("org/model", "b", {"shared": blob(shared), "own": blob(own)}, slow)
    assert kept(store) == ["b", "c"]
    assert (held.folder / "shared").read_bytes() == shared
    assert store.size() == 4 * SIZE and not list(tmp_path.glob("staging/*/*"))


def test_an_abandoned_download_pins_no_files(tmp_path: Path, hub: Hub) -> None:
    """After a download fails, the stored files that it was to share can be evicted."""
    store = ModelStore(tmp_path, max_bytes=3 * SIZE)
    shared = b"s" * SIZE
    hub.hold(store, "a", shared=shared, own=b"a" * SIZE).release()

    def breaks(folder: Path, names: list[str]) -> None:
        hub.hold(store, "c").release()
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        store.pin("org/model", "x", {"shared": blob(shared), "own": blob(b"x" * SIZE)}, breaks)
    hub.hold(store, "b", own=b"b" * 2 * SIZE).release()
    assert kept(store) == ["b", "c"] and store.size() == 3 * SIZE


def test_an_abandoned_download_pins_no_files_after_a_try_without_room(tmp_path: Path, hub: Hub) -> None:
    """After a second try that does not fit, the files pinned by the first can be evicted."""
    shared = b"s" * SIZE
    held = hub.hold(ModelStore(tmp_path, max_bytes=3 * SIZE), "a", shared=shared, own=b"a" * SIZE)
    wanted = {"shared": blob(shared), "own": blob(b"x" * SIZE)}

    def breaks(folder: Path, names: list[str]) -> None:
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        ModelStore(tmp_path, max_bytes=3 * SIZE).pin("org/model", "x", wanted, breaks)
    store = ModelStore(tmp_path, max_bytes=2 * SIZE)
    with pytest.raises(DiskFull):
        store.pin("org/model", "x", wanted, breaks)
    held.release()
    hub.hold(store, "b", own=b"b" * 2 * SIZE).release()
    assert kept(store) == ["b"] and store.size() == 2 * SIZE


def test_a_download_that_was_given_up_makes_room(tmp_path: Path, hub: Hub) -> None:
    """An abandoned download counts against the limit until it is removed."""
    store = ModelStore(tmp_path, max_bytes=2 * SIZE)

    def breaks(folder: Path, names: list[str]) -> None:
        (folder / "half").write_bytes(bytes(500))
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        store.pin("org/model", "x", {"weights": blob(b"x" * 2 * SIZE)}, breaks)
    hub.hold(store, "a").release()
    assert kept(store) == ["a"]
    assert not list(tmp_path.glob("staging/*/*"))


def test_a_snapshot_of_a_killed_process_makes_room(tmp_path: Path, hub: Hub) -> None:
    """A snapshot without its mark of completion, left by a killed process, is removed to make room."""
    store = ModelStore(tmp_path, max_bytes=SIZE)
    hub.hold(store, "a").release()
    (store.root / "snapshots" / "org--model" / "a.complete").unlink()
    hub.hold(store, "b").release()
    assert kept(store) == ["b"] and store.size() == SIZE


def test_other_bytes_than_the_hub_has_are_thrown_away(tmp_path: Path, hub: Hub) -> None:
    """A downloaded file with a wrong checksum is removed, and raises an error."""
    store = ModelStore(tmp_path)

    def lies(folder: Path, names: list[str]) -> None:
        (folder / "weights").write_bytes(b"y" * SIZE)

    with pytest.raises(BlobDiffers, match="checksum mismatch"):
        store.pin("org/model", "a", {"weights": blob(b"a" * SIZE)}, lies)
    assert hub.hold(store, "a").folder.is_dir()
    assert hub.asked == ["a weights"]


def small(data: bytes) -> BlobRef:
    """The Hub's record of a file in git."""
    return BlobRef(len(data), oid=hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest())


@pytest.mark.parametrize("arrived", [b"", b"{", b'{"a": 2}', b"<html>"])
def test_a_small_file_that_arrives_otherwise_is_thrown_away(tmp_path: Path, arrived: bytes) -> None:
    """A small file of git with a wrong checksum is refused and not stored, so that it can be downloaded again."""
    store, wanted = ModelStore(tmp_path), {"config.json": small(b'{"a": 1}')}
    arrivals = [arrived, b'{"a": 1}']

    def download(folder: Path, names: list[str]) -> None:
        (folder / "config.json").write_bytes(arrivals.pop(0))

    with pytest.raises(BlobDiffers):
        store.pin("org/model", "a", wanted, download)
    assert not list(tmp_path.glob("blobs/*"))
    assert (store.pin("org/model", "a", wanted, download).folder / "config.json").read_bytes() == b'{"a": 1}'


DAMAGES: dict[str, bytes] = {"cut off": b"w" * 10, "empty": b"", "other bytes": b"v" * SIZE}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("revision", ["a", "b"])
def test_a_blob_that_changed_on_the_disk_is_downloaded_again(
    tmp_path: Path, hub: Hub, damage: str, revision: str
) -> None:
    """A stored file that was damaged on the disk is downloaded again, for its own model and for one that shares it."""
    store, weights = ModelStore(tmp_path), b"w" * SIZE
    hub.hold(store, "a", weights=weights).release()
    (stored,) = tmp_path.glob("blobs/*")
    stored.write_bytes(DAMAGES[damage])
    held = hub.hold(store, revision, weights=weights)
    assert (held.folder / "weights").read_bytes() == weights
    assert hub.asked == ["a weights", f"{revision} weights"]
    held.release()
    assert (hub.hold(store, "a", weights=weights).folder / "weights").read_bytes() == weights


def test_a_blob_that_goes_while_it_is_compared_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another worker removes while its checksum is computed counts as missing."""
    (tmp_path / "blob").write_bytes(b"weights")

    def remove(*_: object) -> bool:
        (tmp_path / "blob").unlink()
        return True

    monkeypatch.setattr(blobs, "has_content", remove)
    assert not blob(b"weights").is_in(tmp_path / "blob")


def test_a_reuse_computes_no_checksum(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checked file is reused without a new checksum; if its modification time changed, it is checked once more."""
    store, weights = ModelStore(tmp_path), b"w" * SIZE
    hub.hold(store, "a", weights=weights).release()
    computed: list[str] = []
    compare = blobs.has_content

    def counted(stream: BinaryIO, oid: str) -> bool:
        computed.append(oid)
        return compare(stream, oid)

    monkeypatch.setattr(blobs, "has_content", counted)
    for revision in "ab":
        hub.hold(store, revision, weights=weights).release()
    assert computed == []
    (stored,) = tmp_path.glob("blobs/*")
    os.utime(stored)
    for revision in "ab":
        hub.hold(store, revision, weights=weights).release()
    assert len(computed) == 1
    assert hub.asked == ["a weights"]


def test_a_snapshot_is_complete_once_it_is_on_the_disk(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot is marked as complete only after its files and folders were synced to the disk."""
    synced: list[Path] = []
    write = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        assert kept(store) == []
        write(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    store = ModelStore(tmp_path)
    held = hub.hold(store, "a")
    assert {path.name for path in synced} >= {"weights", "blobs", "a", "org--model"}
    assert kept(store) == ["a"] and held.folder in synced


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "x/../../../outside"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    """File names are untrusted: one that leads out of the folder is refused."""
    store = ModelStore(tmp_path / "store")

    def download(folder: Path, names: list[str]) -> None:
        target = folder / name
        if target.resolve().is_relative_to(tmp_path.resolve()):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"a")

    with pytest.raises(DownloadError):
        store.pin("org/model", "a", {name: blob(b"a")}, download)
    assert not (tmp_path / "store" / "snapshots" / "outside").exists()


def test_two_that_want_the_same_model_download_it_once(tmp_path: Path, hub: Hub) -> None:
    """An attempt whose model is being prefetched waits for that download."""
    begun, go = threading.Event(), threading.Event()

    def slow(folder: Path, names: list[str]) -> None:
        begun.set()
        assert go.wait(20)
        (folder / "weights").write_bytes(b"a" * SIZE)

    snapshots: list[PinnedSnapshot] = []
    wanted = {"weights": blob(b"a" * SIZE)}
    ahead = threading.Thread(target=lambda: snapshots.append(ModelStore(tmp_path).pin("org/model", "a", wanted, slow)))
    ahead.start()
    assert begun.wait(20)
    attempt = threading.Thread(target=lambda: snapshots.append(hub.hold(ModelStore(tmp_path), "a")))
    attempt.start()
    go.set()
    for thread in (ahead, attempt):
        thread.join(20)
    assert len(snapshots) == 2
    assert hub.asked == []
