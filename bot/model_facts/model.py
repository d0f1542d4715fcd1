"""One model at one commit, from ten calls to the Hub at most:

    1    what the Hub knows of the model: commit, files with sizes and digests, card's metadata, parameters
    1    README.md, its start
    1    config.json
    3    tokenizer.json (or its like), tokenizer_config.json, and chat_template.jinja where there is one
    1    model.safetensors.index.json
    2    the start of the weight files
    1    adapter_config.json, where there is one

The base model of an adapter or a delta costs as much again; it is looked at and not its own base model. A file that LFS
keeps is answered by a redirect to its store, which is another host's call.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.model_facts.card import gather_card
from bot.model_facts.repo import ModelRepo
from bot.model_facts.tokenizer import gather_tokenizer
from bot.model_facts.weights import gather_weights
from bot.probe import MAX_CONFIG, Probe
from hub.client import Hub
from hub.errors import BadRequest, Disabled, Gated, NotFound, RevisionNotFound, TooLarge
from hub.records import ModelInfo as Found
from hub.records import Repo
from leaderboard.admission.facts import AdapterFacts, ConfigFacts, ModelFacts, ModelFile
from leaderboard.requests import is_model

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
MAX_ADAPTER_CONFIG = 1_000_000


def gather_model_facts(
    hub: Hub,
    probe: Probe,
    model: str,
    revision: str,
    *,
    weight_type: str = "Original",
    base_model: str = "",
    read_private: bool = False,
) -> ModelFacts:
    """What the Hub and the files say about `model` at `revision`; of a Delta or an Adapter, about its base model too.

    `base_model` is what the request names; an adapter's own config says better. Of a private model no file is read
    unless `read_private`.
    """
    is_adapter = weight_type == "Adapter"
    facts = _one_model(hub, probe, model, revision, is_adapter=is_adapter, read_private=read_private)
    if weight_type not in ("Adapter", "Delta") or facts.availability != "found":
        return facts
    named = facts.adapter.base_model if is_adapter and facts.adapter is not None else ""
    # Who trained upon a folder of a machine of theirs has its path there.
    base_name = named if is_model(named) else base_model.strip() or named
    if not base_name or base_name.casefold() in (model.casefold(), facts.id.casefold()):
        return replace(facts, base_name=base_name)
    base = _one_model(hub, probe, base_name, "main", is_adapter=False, read_private=read_private)
    return replace(facts, base_name=base_name, base=base)


def _one_model(
    hub: Hub, probe: Probe, model: str, revision: str, *, is_adapter: bool, read_private: bool
) -> ModelFacts:
    try:
        found = hub.model_facts(model, revision)
    except RevisionNotFound:
        return ModelFacts("no-revision")
    except (NotFound, BadRequest):
        return ModelFacts("no-model")
    except Gated:
        return ModelFacts("gated", is_gated=True)
    except Disabled:
        return ModelFacts("disabled")
    known: dict[str, Any] = {"sha": found.sha, "id": found.id, "is_private": found.private, "is_gated": found.gated}
    if found.disabled:
        return ModelFacts("disabled", **known)
    if found.private and not read_private:
        return ModelFacts("private", **known)
    try:
        return _from_files(hub, probe, found, known, is_adapter=is_adapter)
    except Gated:
        # Everybody may look at a gated model; its files are for those who were let in.
        return ModelFacts("gated", **known)
    except Disabled:
        return ModelFacts("disabled", **known)


def _from_files(hub: Hub, probe: Probe, found: Found, known: dict[str, Any], *, is_adapter: bool) -> ModelFacts:
    files = tuple(ModelFile(file.name, file.size, file.sha256) for file in found.files)
    repo = ModelRepo(hub, Repo("model", found.id), found.sha, {file.name: file for file in files})
    with probe.folder() as folder:
        config = _config(repo, probe, folder)
        tokenizer = gather_tokenizer(repo, probe, _inside(folder, "tokenizer"), config.model_type)
        counted = found.parameters_by_dtype
        weights = gather_weights(repo, probe, _inside(folder, "weights"), counted, is_adapter=is_adapter)
        adapter = _adapter(repo, probe, folder)
    card = gather_card(repo, found)
    return ModelFacts(
        "found", config=config, files=files, tokenizer=tokenizer, weights=weights, card=card, adapter=adapter, **known
    )


def _inside(folder: Path, name: str) -> Path:
    inner = folder / name
    inner.mkdir()
    return inner


def _config(repo: ModelRepo, probe: Probe, folder: Path) -> ConfigFacts:
    try:
        there = repo.save(CONFIG, folder, max_bytes=MAX_CONFIG)
    except TooLarge:
        return ConfigFacts("unreadable", error=f"it is larger than {MAX_CONFIG:,} bytes")
    return probe.config(folder) if there else ConfigFacts("missing")


def _adapter(repo: ModelRepo, probe: Probe, folder: Path) -> AdapterFacts | None:
    try:
        there = repo.save(ADAPTER_CONFIG, folder, max_bytes=MAX_ADAPTER_CONFIG)
    except TooLarge:
        return AdapterFacts(error=f"it is larger than {MAX_ADAPTER_CONFIG:,} bytes")
    return probe.adapter(folder) if there else None
