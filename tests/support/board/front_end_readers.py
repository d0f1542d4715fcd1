"""How front ends read a board's files, reduced to what a file that Steward writes could break.

v1 and v2 are the two generations of the Open LLM Leaderboard; v2 was a Gradio Space, then a React Space. The template
is what other boards are copied from.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHOWN = {
    "PENDING": "pending",
    "RERUN": "pending",
    "RUNNING": "running",
    "FINISHED": "finished",
    "PENDING_NEW_EVAL": "finished",
}
"""Status → the list of the queue page that shows it; another status is in none."""
Queue = dict[str, set[str]]
GRADIO_BOTH = (
    *("T", "Model", "Average ⬆️", "Type", "Architecture", "Weight type", "Precision", "Hub License", "#Params (B)"),
    *("Hub ❤️", "Available on the hub", "Model sha", "Flagged", "MoE", "fullname"),
)
"""The columns that both Gradio Spaces select."""
GRADIO = {
    "v1": ("Merged", ("date",)),
    "v2": (
        "Not_Merged",
        (
            *("Submission Date", "Upload To Hub Date", "Chat Template", "Official Providers", "Generation"),
            *("Base Model", "CO₂ cost (kg)"),
        ),
    ),
}
"""Generation → the column that hides merges, and the other columns of that generation."""


def queue_page(requests: Path) -> Queue:
    """The queue of v1 and v2: every JSON file below the folder, dot folders too, is a request with a status."""
    lists: Queue = {"pending": set(), "running": set(), "finished": set()}
    for path in sorted(requests.rglob("*.json")):
        request = json.loads(path.read_text())
        place = SHOWN.get(request["status"])
        if place is not None:
            lists[place].add(f"{request['model']} {request['revision'][:7]} {request['precision']}")
    return lists


def submitted(requests: Path) -> dict[str, list[str]]:
    """The submit check of v1 and v2: organisation → times of its requests, by which it refuses too many."""
    keys, times = set[str](), defaultdict[str, list[str]](list)
    for path in sorted(requests.rglob("*.json")):
        request = json.loads(path.read_text())
        keys.add(f"{request['model']}_{request['revision']}_{request['precision']}")
        times[request["model"].rpartition("/")[0]].append(request["submitted_time"])
    return dict(times)


def react_queue(requests: Path) -> dict[str, set[str]]:
    """The queue of the v2 backend: it knows three statuses, and drops a request with another one."""
    lists: dict[str, set[str]] = {"PENDING": set(), "RUNNING": set(), "FINISHED": set()}
    for path in sorted(requests.rglob("*.json")):
        request = json.loads(path.read_text())
        if request.get("status", "PENDING").upper() in lists:
            lists[request["status"].upper()].add(f"{request['model']} {request['precision']}")
    return lists


def react_leaderboard(contents: bytes) -> list[dict[str, Any]]:
    """`/api/leaderboard` of the v2 backend: each row of the table as JSON, in which NaN is an error."""
    import pandas as pd

    with pd.option_context("future.infer_string", False):  # as the pandas that it pins: a null text is None
        table = pd.read_parquet(io.BytesIO(contents))
    scores = [name.removesuffix(" Raw") for name in table.columns if str(name).endswith(" Raw")]
    rows = [
        {
            "id": f"{row['fullname']}_{row['Precision']}_{row['Model sha']}_{row['Chat Template']}",
            "name": row["fullname"],
            "average": row["Average ⬆️"],
            "evaluations": {name: {"value": row[f"{name} Raw"], "normalised": row[name]} for name in scores},
            "features": {"is_flagged": row["Flagged"], "is_moe": row["MoE"], "is_merged": row["Merged"]},
            "metadata": {
                "upload_date": row["Upload To Hub Date"],
                "submission_date": row["Submission Date"],
                "generation": row["Generation"],
                "base_model": row["Base Model"],
                "hub_license": row["Hub License"],
                "hub_hearts": row["Hub ❤️"],
                "params_billions": row["#Params (B)"],
                "co2_cost": row["CO₂ cost (kg)"],
            },
        }
        for row in table.to_dict("records")
    ]
    answer: list[dict[str, Any]] = json.loads(json.dumps(rows, allow_nan=False))
    return answer


def gradio_leaderboard(contents: bytes, generation: str) -> dict[str, str]:
    """The table of the Gradio Spaces `v1` and `v2`: model → its cell, of the rows that are shown at first.

    They select all their columns, and hide each row in which one of three values is false: two of them mean the
    opposite of their names in the second table. v1 also marks each row as flagged that is not `Flagged`.
    """
    import pandas as pd

    table = pd.read_parquet(io.BytesIO(contents))
    scores = [str(name) for name in table.columns if str(name).endswith(" Raw")]
    scores += [name.removesuffix(" Raw") for name in scores]
    merged, of_generation = GRADIO[generation]
    table = table[[*GRADIO_BOTH, *scores, merged, *of_generation]].sort_values("Average ⬆️", ascending=False)
    if generation == "v1":
        table["Model"] += table["Flagged"].map({True: "", False: " has been flagged!"})
        assert pd.to_datetime(table["date"], format="mixed", utc=True).notna().all(), "v1 draws scores over time"
    else:
        table["Flagged"] = True  # v2 ignores the flags of the table: its own list of flagged models is empty
    shown = table[table["Available on the hub"] & table[merged] & table["Flagged"]]
    assert not shown["MoE"].isna().any()
    return dict(zip(shown["fullname"], shown["Model"], strict=True))


def results_v1(results: Path) -> set[str]:
    """The models of v1's results: every JSON file below the folder is a results file."""
    models = set()
    for path in sorted(results.rglob("*.json")):
        content = json.loads(path.read_text())
        config = content.get("config_general") or content["config"]
        models.add(config.get("model_name") or config["model_args"].partition("pretrained=")[2].partition(",")[0])
    return models


def results_template(results: Path, requests: Path) -> dict[str, str]:
    """The template's results: model → its request's status, of folders in which every file is a JSON file."""
    models: dict[str, str] = {}
    for folder in sorted({path.parent for path in results.rglob("*") if path.is_file()}):
        names = [path.name for path in folder.iterdir() if path.is_file()]
        if not all(name.endswith(".json") for name in names):
            continue
        for name in sorted(names):
            content = json.loads((folder / name).read_text())
            config: Mapping[str, Any] = content.get("config")  # type of the template: it expects the object
            organisation, model = config.get("model_name", config.get("model_args", None)).split("/", 1)
            precision = config["model_dtype"].removeprefix("torch.")
            models[f"{organisation}/{model}"] = _status_of(requests / organisation, model, precision)
    return models


def _status_of(folder: Path, model: str, precision: str) -> str:
    for path in sorted(folder.glob(f"{model}_eval_request_*.json"), reverse=True):
        request = json.loads(path.read_text())
        if request["precision"] == precision and request["status"] == "FINISHED":
            return "FINISHED"
    return ""
