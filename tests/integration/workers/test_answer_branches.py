"""The branches in which workers on several machines share answers, on a real Hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from hub.errors import HubError
from localhub.testing import HubWorld, LocalHub
from workers.common.hub_access import HubAccess
from workers.evaluation.shared_prefix.journal import AnswerJournal
from workers.publication import answer_branches
from workers.publication.answer_branches import AnswerBranches, BranchName

REPO = "lab/details_ada__model"
REQUEST, EVALUATION = "0123456789ab", "f" * 16
MAX_BYTES = 100_000
Units = dict[bytes, object]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A Hub with two members of the organisation that owns the details."""
    world = HubWorld().user("worker").user("mallory").org("lab", {"worker": "write", "mallory": "write"})
    with LocalHub(tmp_path / "hub", world) as running:
        yield running


def branches(
    hub: LocalHub, writer: str = "1" * 8, account: str = "worker", evaluation: str = EVALUATION, **options: bool
) -> AnswerBranches:
    """The branches of a request, as the machine `writer` sees them."""
    settings = {"is_private": False, "is_gated": False} | options
    name = BranchName(REQUEST, evaluation, writer)
    return AnswerBranches(HubAccess(hub.url, f"hf_{account}"), REPO, name, **settings)


def names(hub: LocalHub) -> list[str]:
    """The branches of the details repo, without the main one."""
    refs = HfApi(hub.url, token="hf_worker").list_repo_refs(REPO, repo_type="dataset")
    return sorted(branch.name for branch in refs.branches if branch.name != "main")


class Journal:
    """A journal that a child writes to."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self.answers = AnswerJournal(self.descriptor, "a" * 64)
        self.units: Units = {}

    def add(self, *numbers: int) -> None:
        """Add units."""
        for number in numbers:
            self.units[bytes([number]) * 16] = number
            self.answers.add(bytes([number]) * 16, number)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal with three units."""
    new_journal = Journal(tmp_path / "answers-0")
    new_journal.add(1, 2, 3)
    yield new_journal
    os.close(new_journal.descriptor)


def read(file: Path) -> Units:
    """The units of a file that was fetched."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        journal = AnswerJournal(descriptor, "a" * 64, is_writable=False)
        return {key: journal.get(key) for key in journal._values}
    finally:
        os.close(descriptor)


def fetch(hub: LocalHub, folder: Path, max_bytes: int = MAX_BYTES) -> tuple[list[Units], list[str]]:
    """Fetch as another machine: the answers that it reads, and the lines for its log."""
    folder.mkdir()
    fetched = branches(hub, "2" * 8).fetch(folder, max_bytes)
    assert fetched.size == sum(file.stat().st_size for file in fetched.files)
    return [read(file) for file in fetched.files], fetched.problems


def test_another_machine_reads_what_was_uploaded(hub: LocalHub, journal: Journal, tmp_path: Path) -> None:
    """Each upload adds only new bytes, or replaces a journal that was cut; other machines read the current answers."""
    mine = branches(hub)
    first = mine.upload([journal.file], MAX_BYTES)
    assert first == journal.file.stat().st_size and mine.upload([journal.file], MAX_BYTES) == 0
    mark = journal.answers.mark()
    journal.add(4)
    assert 0 < mine.upload([journal.file], MAX_BYTES) < first
    assert fetch(hub, tmp_path / "a") == ([journal.units], [])
    journal.answers.cut(mark)
    del journal.units[b"\4" * 16]
    journal.add(5, 6)
    mine.upload([journal.file], MAX_BYTES)
    assert fetch(hub, tmp_path / "b") == ([journal.units], [])
    journal.add(7)
    branches(hub).upload([journal.file], MAX_BYTES)  # the worker has restarted
    assert fetch(hub, tmp_path / "c") == ([journal.units], [])
    assert mine.remove() == 1 and names(hub) == []


def test_many_uploads_become_one(
    hub: LocalHub, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch never has more parts than the limit."""
    monkeypatch.setattr(answer_branches, "PARTS", 2)
    mine = branches(hub)
    for number in range(4, 9):
        journal.add(number)
        mine.upload([journal.file], MAX_BYTES)
    assert fetch(hub, tmp_path / "a") == ([journal.units], [])
    files = HfApi(hub.url, token="hf_worker").list_repo_files(REPO, repo_type="dataset", revision=str(mine.name))
    assert len([file for file in files if file.endswith(".bin")]) <= 2


def test_two_workers_and_several_copies(hub: LocalHub, journal: Journal, tmp_path: Path) -> None:
    """The journals of two workers with two copies of the model each are all read; other evaluations' are not."""
    other = Journal(tmp_path / "answers-1")
    other.add(7)
    branches(hub).upload([journal.file, other.file], MAX_BYTES)
    branches(hub, "3" * 8).upload([other.file, journal.file], MAX_BYTES)
    branches(hub, evaluation="e" * 16).upload([journal.file, other.file], MAX_BYTES)
    units, problems = fetch(hub, tmp_path / "a")
    assert (units, problems) == ([journal.units, other.units, other.units, journal.units], [])
    os.close(other.descriptor)
    assert branches(hub).remove() == 3 and names(hub) == []  # those of all evaluations of the request


def test_branches_that_stayed_are_removed_one_by_one(hub: LocalHub, journal: Journal) -> None:
    """The worker removes the named branches, and does not try again those that are gone or that it may not delete."""
    mine, other = branches(hub), branches(hub, "2" * 8)
    mine.upload([journal.file], MAX_BYTES)
    other.upload([journal.file], MAX_BYTES)
    HfApi(hub.url, token="hf_mallory").create_repo("mallory/data", repo_type="dataset")
    abandoned = {str(other.name): REPO, f"{other.name}0": REPO, f"{other.name}1": "lab/none", "main": "mallory/data"}
    assert mine.remove_abandoned(abandoned) == list(abandoned)
    assert names(hub) == [str(mine.name)]
    hub.state.faults.add("DELETE /api/datasets/*", "fail", times=20)
    with pytest.raises(HubError):
        mine.remove_abandoned({str(mine.name): REPO})


def test_answers_that_another_account_committed_are_not_used(hub: LocalHub, journal: Journal, tmp_path: Path) -> None:
    """A branch in which the Hub records a commit of another account is reported and not used."""
    branches(hub, "4" * 8, "mallory").upload([journal.file], MAX_BYTES)
    mixed = branches(hub, "5" * 8)
    mixed.upload([journal.file], MAX_BYTES)
    HfApi(hub.url, token="hf_mallory").upload_file(
        path_or_fileobj=b"x", path_in_repo="0/00001.bin", repo_id=REPO, repo_type="dataset", revision=str(mixed.name)
    )
    units, problems = fetch(hub, tmp_path / "a")
    assert units == [] and len(problems) == 2
    assert all("are not used: it was committed by mallory, and not by worker" in problem for problem in problems)


def test_torn_and_oversized_branches(
    hub: LocalHub, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts after a missing one, and branches with too many bytes or commits, are not read; old ones are removed."""
    mine = branches(hub)
    for number in (4, 5):
        mine.upload([journal.file], MAX_BYTES)
        journal.add(number)
    mine.upload([journal.file], MAX_BYTES)
    HfApi(hub.url, token="hf_worker").delete_file("0/00001.bin", REPO, repo_type="dataset", revision=str(mine.name))
    units, problems = fetch(hub, tmp_path / "a")
    assert [set(unit) for unit in units] == [{bytes([number]) * 16 for number in (1, 2, 3)}] and problems == []
    assert "and may have 99" in fetch(hub, tmp_path / "b", 99)[1][0]
    with monkeypatch.context() as patch:
        patch.setattr(answer_branches, "FETCH_SECONDS", -1.0)
        assert fetch(hub, tmp_path / "late") == ([{}], ["there was no time to read all answers of other machines"])
    with monkeypatch.context() as patch:
        patch.setattr(answer_branches, "MAX_COMMITS", 2)
        assert "more than 2 commits, or none" in fetch(hub, tmp_path / "c")[1][0]
    monkeypatch.setattr(answer_branches, "MAX_AGE_SECONDS", -60)
    assert fetch(hub, tmp_path / "d") == ([], []) and names(hub) == []


def test_a_repo_that_is_gone_or_forbidden_is_a_line_in_the_log(hub: LocalHub, journal: Journal, tmp_path: Path) -> None:
    """If the details repo is missing or cannot be read, the log says that answers of other machines are not used."""
    assert "no details repo that this worker may read" in fetch(hub, tmp_path / "a")[1][0]
    branches(hub).upload([journal.file], MAX_BYTES)
    hub.state.faults.add("GET /api/datasets/*/refs", "fail", times=20)
    assert "answers of other machines cannot be read" in fetch(hub, tmp_path / "b")[1][0]
    hub.state.faults.clear()
    HfApi(hub.url, token="hf_worker").delete_repo(REPO, repo_type="dataset")
    assert "no details repo that this worker may read" in fetch(hub, tmp_path / "c")[1][0]
    assert branches(hub).remove() == 0


def test_confidential_answers_go_to_private_or_gated_repos(hub: LocalHub, journal: Journal) -> None:
    """Answers of a private model are uploaded to a private repo, and those of restricted benchmarks to a gated repo."""
    mine = branches(hub, is_private=True)
    mine.upload([journal.file], MAX_BYTES)
    with pytest.raises(RepositoryNotFoundError):
        HfApi(hub.url, token=False).list_repo_files(REPO, repo_type="dataset", revision=str(mine.name))
    HfApi(hub.url, token="hf_worker").delete_repo(REPO, repo_type="dataset")
    gated = branches(hub, is_gated=True)
    gated.upload([journal.file], MAX_BYTES)
    with pytest.raises(GatedRepoError):
        HfApi(hub.url, token=False).hf_hub_download(REPO, "0/00000.bin", repo_type="dataset", revision=str(gated.name))


def test_a_failed_upload_is_followed_by_a_whole_one(hub: LocalHub, journal: Journal, tmp_path: Path) -> None:
    """After a failed upload, the next one makes all answers available."""
    mine = branches(hub)
    mine.upload([journal.file], MAX_BYTES)
    journal.add(4)
    hub.state.faults.add("POST /api/datasets/*/commit/*", "fail", times=20)
    with pytest.raises(HubError):
        mine.upload([journal.file], MAX_BYTES)
    hub.state.faults.clear()
    mine.upload([journal.file], MAX_BYTES)
    assert fetch(hub, tmp_path / "a") == ([journal.units], [])
