"""What a pull request claims to rename, from its title and the paths that it changes."""

from __future__ import annotations

import pytest

from leaderboard.changes import FileChange
from leaderboard.rename_claims import model_of_path, read_claim
from leaderboard.renames import Kind

OLD, NEW = "ada/lion", "ada/lioness"


def path(model: str) -> str:
    """The path of a request file."""
    return f"{model}_eval_request_False_float16_Original.json"


@pytest.mark.parametrize(
    ("kind", "file", "model"),
    [
        ("requests", path(OLD), OLD),
        ("requests", f"{OLD}/results_2026.json", ""),
        ("results", f"{OLD}/results_2026.json", OLD),
        ("results", "lion/results_2026.json", "lion"),
        ("results", "results_2026.json", ""),
        ("results", f"more/{OLD}/results_2026.json", ""),
        ("results", f"{OLD}/notes.json", ""),
        ("results", f"{OLD}/results_2026.txt", ""),
    ],
)
def test_the_model_of_a_file_is_read_from_its_path(kind: Kind, file: str, model: str) -> None:
    """Request files and results files belong to a model; files with another name or folder belong to none."""
    assert model_of_path(kind, file) == model


@pytest.mark.parametrize(
    ("leaving", "coming"),
    [([OLD], [NEW, "ada/puma"]), ([OLD, "ada/puma"], [NEW]), ([OLD, "ada/puma"], [NEW, "ada/wolf"])],
)
def test_a_claim_of_several_renames_names_models(leaving: list[str], coming: list[str]) -> None:
    """The problem of a claim lists the old names if there are several, and else the new names."""
    changes = [FileChange(path(model), "removed") for model in leaving]
    changes += [FileChange(path(model), "added", "100644") for model in coming]
    claim = read_claim("requests", "Rename a model", changes)
    assert claim is not None and claim.problem is not None
    assert (claim.old, claim.new) == (leaving[0], coming[0])
    models = leaving if len(leaving) > 1 else coming
    assert all(model in claim.problem.message for model in models)
