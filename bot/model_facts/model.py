"""Gather the facts about one model at one commit, with at most ten calls to the Hub, and two if there is none:

    1    the Hub's facts: commit, files with sizes and digests, metadata of the card, parameters
    1    the start of README.md
    1    config.json
    3    the vocabulary (tokenizer.json or another format), tokenizer_config.json, chat_template.jinja if present
    1    model.safetensors.index.json
    2    the start of the weight files
    1    adapter_config.json if present

The base model of an adapter or a delta costs as many calls again; its own base model is not read. For a file in LFS the
Hub redirects to its store, another host, and that call does not count.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bot.model_facts.card import gather_card
from bot.model_facts.repo import ModelRepo
from bot.model_facts.tokenizer import gather_tokenizer
from bot.model_facts.weights import gather_weights
from bot.probe import MAX_CONFIG, Probe
from hub.client import Hub
from hub.errors import BadRequest, Denied, Disabled, Garbled, Gated, NotFound, RevisionNotFound, TooLarge
from hub.records import ModelInfo, Repo
from leaderboard.admission.facts import AdapterFacts, ConfigFacts, ModelFacts, ModelFile
from leaderboard.request_paths import is_model

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
    """The facts from the Hub and the files about `model` at `revision`, and the base model of a Delta or an Adapter.

    `base_model` is the one that the request names; an adapter's own config takes precedence. Files of a private model
    are read only with `read_private`.
    """
    is_adapter = weight_type == "Adapter"
    facts = _one_model(hub, probe, model, revision, is_adapter=is_adapter, read_private=read_private)
    if weight_type not in ("Adapter", "Delta") or facts.availability != "found":
        return facts
    named = facts.adapter.base_model if is_adapter and facts.adapter is not None else ""
    # A model that was trained from a local folder has that folder's path in its config.
    base_name = named if is_model(named) else base_model.strip() or named
    if not base_name or base_name.casefold() in (model.casefold(), facts.id.casefold()):
        return replace(facts, base_name=base_name)
    base = _one_model(hub, probe, base_name, "main", is_adapter=False, read_private=read_private)
    return replace(facts, base_name=base_name, base=base)


def _one_model(
    hub: Hub, probe: Probe, model: str, revision: str, *, is_adapter: bool, read_private: bool
) -> ModelFacts:
    try:
        info = hub.model_facts(model, revision)
    except RevisionNotFound:
        return _if_confirmed(ModelFacts("no-revision"), hub, model, revision)
    except NotFound:
        return _if_confirmed(ModelFacts("no-model"), hub, model, revision)
    except BadRequest:
        return ModelFacts("no-model")
    except Gated:
        return ModelFacts("gated", is_gated=True)
    except Disabled:
        return ModelFacts("disabled")
    except TooLarge:  # the author's metadata are too large; `is_private` reads none of them
        return ModelFacts("unreadable", is_private=hub.is_private(Repo("model", model)))
    facts = ModelFacts("found", sha=info.sha, id=info.id, is_private=info.private, is_gated=info.gated)
    if info.disabled:
        return replace(facts, availability="disabled")
    if info.private and not read_private:
        return replace(facts, availability="private")
    try:
        return _with_files(facts, hub, probe, info, is_adapter=is_adapter)
    except Gated:
        # The Hub shows a gated model to everybody, but its files only to accounts with access.
        return replace(facts, availability="gated")
    except Disabled:
        return replace(facts, availability="disabled")


def _if_confirmed(facts: ModelFacts, hub: Hub, model: str, revision: str) -> ModelFacts:
    """`facts` of a model or a commit that one answer says is missing, if another call says so, too.

    A server of the Hub that lags knows no new repo and no new commit. Raises Garbled if the two answers differ.
    """
    try:
        hub.commits(Repo("model", model), revision, limit=1)
    except (NotFound, Denied, BadRequest):
        return facts
    raise Garbled(f"The Hub says that there is no {model} at {revision[:40]}, and shows its history.")


def _with_files(facts: ModelFacts, hub: Hub, probe: Probe, info: ModelInfo, *, is_adapter: bool) -> ModelFacts:
    files = tuple(ModelFile(file.name, file.size, file.sha256) for file in info.files)
    repo = ModelRepo(hub, Repo("model", info.id), info.sha, {file.name: file for file in files})
    with probe.folder() as folder:
        config = _config(repo, probe, folder)
        tokenizer = gather_tokenizer(repo, probe, _subfolder(folder, "tokenizer"), config.model_type)
        counted = info.parameters_by_dtype
        weights = gather_weights(repo, probe, _subfolder(folder, "weights"), counted, is_adapter=is_adapter)
        adapter = _adapter(repo, probe, folder)
    card = gather_card(repo, info)
    return replace(facts, config=config, files=files, tokenizer=tokenizer, weights=weights, card=card, adapter=adapter)


def _subfolder(folder: Path, name: str) -> Path:
    inner = folder / name
    inner.mkdir()
    return inner


def _config(repo: ModelRepo, probe: Probe, folder: Path) -> ConfigFacts:
    try:
        is_saved = repo.save(CONFIG, folder, max_bytes=MAX_CONFIG)
    except TooLarge:
        return ConfigFacts("unreadable", error=f"it is larger than {MAX_CONFIG:,} bytes")
    return probe.config(folder) if is_saved else ConfigFacts("missing")


def _adapter(repo: ModelRepo, probe: Probe, folder: Path) -> AdapterFacts | None:
    try:
        is_saved = repo.save(ADAPTER_CONFIG, folder, max_bytes=MAX_ADAPTER_CONFIG)
    except TooLarge:
        return AdapterFacts(error=f"it is larger than {MAX_ADAPTER_CONFIG:,} bytes")
    return probe.adapter(folder) if is_saved else None
