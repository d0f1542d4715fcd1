"""The changes that the rename of a model makes in one file: its path, and the fields that name the model."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from leaderboard.jsontext import JsonObject, edit, is_same, object_in
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.steward_facts import OURS

MODEL_NAME = "model_name"


def request_place(old: str, new: str, path: str) -> str:
    """Return the new path of the request file at `path`; `path` itself if it belongs to another model."""
    where = parse_path(path)
    if not isinstance(where, RequestPath) or where.model != old:
        return path
    return f"{new}{path.removeprefix(old)}"


def is_moved_request(old_path: str, before: bytes, new_path: str, after: bytes) -> bool:
    """Whether the request file at `new_path` is that of `old_path` under another model's name, and nothing else.

    Tools may leave Steward's facts about places unchanged.
    """
    old, new, fields, present = parse_path(old_path), parse_path(new_path), object_in(before), object_in(after)
    if not isinstance(old, RequestPath) or not isinstance(new, RequestPath) or fields is None or present is None:
        return False
    if old.model == new.model or request_place(old.model, new.model, old_path) != new_path:
        return False
    return is_same(_without_places(renamed_request(old.model, new.model, fields)), _without_places(present))


def _without_places(fields: JsonObject) -> JsonObject:
    ours = fields.get(OURS)
    if not isinstance(ours, dict):
        return fields
    places = ("results", "kept", "details", "rescored_from")
    return {**fields, OURS: {key: value for key, value in ours.items() if key not in places}}


def is_in_folder_of(model: str, path: str) -> bool:
    """Whether the file at `path` in the results repo is in the folder of `model`.

    A model without an organisation may share its folder with the models of an organisation of that name.
    """
    rest = path.removeprefix(f"{model}/")
    return rest != path and ("/" in model or "/" not in rest)


def result_place(old: str, new: str, path: str) -> str:
    """Return the new path of a results file of `old`; `path` itself if it belongs to another model."""
    return f"{new}/{path.removeprefix(f'{old}/')}" if is_in_folder_of(old, path) else path


def moved_results(ours: JsonObject, place: Callable[[str], str]) -> JsonObject:
    """Return the members of a request's `steward` object that name results which move, with their new paths.

    Those are its own results, those whose answers were scored again for them, and the earlier ones that stay valid
    during a newer evaluation. `place` returns the path of results after the move.
    """
    names, kept = ("results", "rescored_from"), ours.get("kept")
    moved: JsonObject = {name: place(path) for name in names if isinstance(path := ours.get(name), str)}
    if isinstance(kept, dict) and isinstance(kept.get("results"), str):
        moved["kept"] = {**kept, "results": place(kept["results"])}
    return {name: value for name, value in moved.items() if value != ours[name]}


def renamed_request(old: str, new: str, fields: JsonObject) -> JsonObject:
    """Return the fields of a request file after the rename."""
    return {key: new if key in ("model", "base_model") and value == old else value for key, value in fields.items()}


def renamed_result(old: str, new: str, fields: JsonObject) -> JsonObject:
    """Return the fields of a results file after the rename."""
    changed = dict(fields)
    if fields.get("model_name") == old:
        changed["model_name"] = new
    if fields.get("model_name_sanitized") == sanitised(old):
        changed["model_name_sanitized"] = sanitised(new)
    _within(changed, "config_general", lambda inner: _replaced(inner, "model_name", old, new))
    _within(changed, "config", lambda inner: _arguments(_replaced(inner, "model_name", old, new), old, new))
    _within(changed, OURS, lambda inner: _steward_block(inner, old, new))
    return changed


def _within(fields: JsonObject, name: str, change: Any) -> None:
    inner = fields.get(name)
    if isinstance(inner, dict):
        fields[name] = change(dict(inner))


def _replaced(inner: JsonObject, name: str, old: str, new: str) -> JsonObject:
    return {**inner, name: new} if inner.get(name) == old else inner


def _arguments(inner: JsonObject, old: str, new: str) -> JsonObject:
    """Change `model_args` as the harness writes it: `pretrained=org/model,dtype=…`, or an object."""
    arguments = inner.get("model_args")
    if isinstance(arguments, str):
        parts = [f"pretrained={new}" if part == f"pretrained={old}" else part for part in arguments.split(",")]
        return {**inner, "model_args": ",".join(parts)}
    if isinstance(arguments, dict):
        return {**inner, "model_args": _replaced(arguments, "pretrained", old, new)}
    return inner


def _steward_block(inner: JsonObject, old: str, new: str) -> JsonObject:
    inner = _replaced(inner, "model", old, new)
    path, origin = inner.get("request"), inner.get("rescored_from")
    if isinstance(path, str):
        inner = {**inner, "request": request_place(old, new, path)}
    if isinstance(origin, dict) and isinstance(results := origin.get("results"), str):
        inner = {**inner, "rescored_from": {**origin, "results": result_place(old, new, results)}}
    return inner


def sanitised(model: str) -> str:
    """Return a model's name as the harness writes it in file names."""
    return re.sub(r"[\"<>:/\\|?*\[\]]+", "__", model)


def edited_contents(data: bytes, before: JsonObject, after: JsonObject) -> bytes:
    """Return the new contents, with the file's own text except for the changed values."""
    changes = {key: value for key, value in after.items() if before.get(key) != value}
    return edit(data.decode("utf-8"), changes).encode()
