"""Undoes the writes of a command that fails half-way: those of this run, the newest first, and no older ones.

Each write is noted before it is sent, because a call that fails may have had its effect. Writes that cannot be undone,
such as the replacement of a secret, come last in a command, and stay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from hub.client import Hub
from hub.errors import HubError, NotFound, RevisionNotFound
from hub.file_checks import has_content
from hub.records import (
    Change,
    CreatedCommit,
    DeleteFile,
    Put,
    Repo,
    WatchedItem,
    Webhook,
    WriteFile,
)
from hub.spaces import SpaceMachine, SpaceVolume
from steward.bot_space.wanted import FREE_HARDWARE

UNDO_MESSAGE = "Undo: the setup failed half-way"


@dataclass(frozen=True)
class NotedWrite:
    """One write: what it made, and how to undo it. `undo` returns False if there was nothing to undo."""

    words: str
    undo: Callable[[], bool]


class Journal:
    """The writes of this run, in order, each with its undo."""

    def __init__(self) -> None:
        self._writes: list[NotedWrite] = []

    def note(self, words: str, undo: Callable[[], bool]) -> None:
        """Note a write that is about to happen."""
        self._writes.append(NotedWrite(words, undo))

    def note_file(self, file: Path) -> None:
        """Note that `file` on this machine, which does not exist, is about to be written."""

        def remove() -> bool:
            existed = file.exists()
            file.unlink(missing_ok=True)
            return existed

        if not file.exists():
            self.note(f"the file {file}", remove)

    def note_folder(self, folder: Path) -> None:
        """Note that `folder` on this machine, which does not exist, is about to be made."""

        def remove() -> bool:
            with suppress(OSError):  # it holds other files, or is gone
                folder.rmdir()
                return True
            return False

        if not folder.exists():
            self.note(f"the folder {folder}", remove)

    def undo(self) -> Iterator[tuple[str, str]]:
        """Undo all writes, the newest first. Yields each write, and "" or the reason why it cannot be undone."""
        while self._writes:
            write = self._writes.pop()
            try:
                if write.undo():
                    yield write.words, ""
            except (HubError, OSError) as error:
                yield write.words, str(error)


class ReversibleHub(Hub):
    """A Hub client that notes each write of the setup in `journal`."""

    def __init__(self, endpoint: str, token: str | None) -> None:
        super().__init__(endpoint, token)
        self.journal = Journal()
        self._made: set[Repo] = set()

    def create_repo(self, repo: Repo, *, private: bool = False, sdk: str = "static", exist_ok: bool = True) -> bool:
        """Create a repo; undone by deleting it, if it did not exist and holds commits of this account alone."""
        if not self.repo_exists(repo):
            self._made.add(repo)
            self.journal.note(f"the {repo.kind} {repo.id}", lambda: self._delete_own(repo))
        return super().create_repo(repo, private=private, sdk=sdk, exist_ok=exist_ok)

    def commit(
        self,
        repo: Repo,
        changes: Sequence[Change],
        message: str,
        description: str = "",
        *,
        parent: str | None = None,
        branch: str = "main",
        create_pr: bool = False,
        regular: Collection[str] = (),
    ) -> CreatedCommit:
        """Commit on the present head, exactly once; undone by a commit that brings the former files back."""
        if parent is None:
            with suppress(RevisionNotFound):
                parent = self.head(repo, branch)
        if repo not in self._made:
            self._note_commit(repo, changes)
        return super().commit(
            repo, changes, message, description, parent=parent, branch=branch, create_pr=create_pr, regular=regular
        )

    def ensure_webhook(self, url: str, watched: Iterable[WatchedItem], domains: Iterable[str], secret: str) -> Webhook:
        """Create or enable a webhook; undone by deleting or disabling it."""
        wanted = (url, frozenset(watched), frozenset(domains))
        former = {hook.id: hook for hook in self.webhooks()}

        def undo() -> bool:
            matching = [hook for hook in self.webhooks() if (hook.url, hook.watched, hook.domains) == wanted]
            new = [hook for hook in matching if hook.id not in former]
            enabled = [
                hook for hook in matching if hook.id in former and former[hook.id].disabled and not hook.disabled
            ]
            for hook in new:
                self.delete_webhook(hook.id)
            for hook in enabled:
                self.disable_webhook(hook.id)
            return bool(new or enabled)

        names = ", ".join(sorted(item.name for item in wanted[1]))
        self.journal.note(f"the webhook for the {', '.join(sorted(wanted[2]))} events of {names}", undo)
        return super().ensure_webhook(url, wanted[1], wanted[2], secret)

    def set_space_secret(self, space: Repo, key: str, value: str) -> None:
        """Set a secret; undone by deleting it, if it is new."""
        if space not in self._made and key not in self.space_secrets(space):
            self._note_space(space, f"the secret {key}", lambda: self.delete_space_secret(space, key))
        super().set_space_secret(space, key, value)

    def set_space_variable(self, space: Repo, key: str, value: str) -> None:
        """Set a variable; undone by its former value."""
        if space not in self._made:
            former = self.space_variables(space).get(key)
            self._note_space(space, f"the variable {key}", lambda: self._restore_variable(space, key, former))
        super().set_space_variable(space, key, value)

    def request_space_hardware(self, space: Repo, hardware: str, sleep: int | None = None) -> None:
        """Request hardware; undone by the former request."""
        if space not in self._made:
            former = self.space_machine(space)
            self._note_space(space, f"the hardware {hardware}", lambda: self._restore_hardware(space, former))
        super().request_space_hardware(space, hardware, sleep)

    def set_space_volumes(self, space: Repo, volumes: Sequence[SpaceVolume]) -> None:
        """Mount volumes; undone by the former ones."""
        if space not in self._made:
            former, mount = self.space_machine(space).volumes, super().set_space_volumes
            new = ", ".join(f"{each.kind} {each.source}" for each in volumes if each not in former)
            self._note_space(space, f"the {new}", lambda: mount(space, former))
        super().set_space_volumes(space, volumes)

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket; undone by deleting it, if it did not exist."""
        if self.bucket_is_private(bucket) is None:
            self.journal.note(f"the bucket {bucket}", lambda: self.delete_bucket(bucket))
        super().create_bucket(bucket)

    def _note_space(self, space: Repo, what: str, undo: Callable[[], None]) -> None:
        def undone() -> bool:
            undo()
            return True

        self.journal.note(f"{what} of the Space {space.id}", undone)

    def _restore_variable(self, space: Repo, key: str, former: str | None) -> None:
        if former is None:
            self.delete_space_variable(space, key)
        else:
            super().set_space_variable(space, key, former)

    def _restore_hardware(self, space: Repo, former: SpaceMachine) -> None:
        free = former.hardware in ("", FREE_HARDWARE)  # the sleep time of free hardware cannot be chosen
        super().request_space_hardware(space, former.hardware or FREE_HARDWARE, None if free else former.sleep)

    def _delete_own(self, repo: Repo) -> bool:
        try:
            strangers = {name for entry in self.commits(repo) for name in entry.authors} - {self.me().name}
        except NotFound:
            return False  # it was never made
        if strangers:
            raise HubError(f"{', '.join(sorted(strangers))} committed to it meanwhile, so it stays.")
        self.delete_repo(repo)
        return True

    def _note_commit(self, repo: Repo, changes: Sequence[Change]) -> None:
        """Note the former content of the files that `changes` touch."""
        former = {change.path: self.find_file(repo, change.path) for change in changes}
        written = {change.path: change for change in changes if isinstance(change, WriteFile)}

        def undo() -> bool:
            present = self.paths_info(repo, list(written))
            back: list[Put | DeleteFile] = []
            for path, change in written.items():
                if path in present and has_content(BytesIO(change.data), present[path].oid):
                    file = former[path]
                    back.append(DeleteFile(path) if file is None else WriteFile(path, file.data))
            if back:
                super(ReversibleHub, self).commit(repo, back, UNDO_MESSAGE, parent=self.head(repo))
            return bool(back)

        self.journal.note(f"the files {', '.join(sorted(written))} in the {repo.kind} {repo.id}", undo)
