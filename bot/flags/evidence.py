"""Gather the facts for evidence: the suspected model, the models that it may come from, its requests, earlier flags.

Each model costs at most six calls: the Hub's facts, card, config, shard index, mergekit file, adapter config. Models
with the same weights come from the index of requests, at no call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.core.context import BoardContext
from bot.model_facts.board_facts import combined_digest, model_of
from bot.model_facts.card import MERGEKIT, gather_card
from bot.model_facts.repo import ModelRepo
from bot.probe.questions import INDEX_FILE
from hub.errors import BadRequest, Disabled, Gated, TooLarge
from hub.records import Repo
from hub.retries import unless_gone
from leaderboard.admission.facts import ModelFile
from leaderboard.flag_evidence import EvidenceCase, ExaminedModel, ExaminedRequest, models_named
from leaderboard.request_paths import is_model
from redis_state.board.entry import IndexEntry

MAX_OTHERS = 8
"""Other models that one case examines."""
MAX_TEXT, MAX_INDEX = 100_000, 20_000_000
"""Bytes that are read of a config or card, and of a shard index."""
SINGLE = "model.safetensors"
_SHARD = re.compile(rb'"([^"\\]{1,300}\.safetensors)"')
_CONFIGS = {"config.json": "_name_or_path", "adapter_config.json": "base_model_name_or_path"}


def gather_case(context: BoardContext, model: str, named: Sequence[str] = ()) -> EvidenceCase:
    """The facts for and against a flag on `model`; `named` are those that a report or a flag names. Raises HubError."""
    subject = gather_subject(context, model) or ExaminedModel(model)
    twins = twins_of(context, subject)
    candidates = [*subject.declared, *(name for names in subject.traces.values() for name in names), *twins, *named]
    unique = {name.casefold(): name for name in candidates if is_model(name)}
    unique.pop(subject.model.casefold(), None)
    unique.pop(model.casefold(), None)
    others = {name: gather_subject(context, name) for name in list(unique.values())[:MAX_OTHERS]}
    # A name that the Hub redirects to the model itself is an earlier name of it.
    aliases = tuple(
        name for name, examined in others.items() if examined is not None and examined.model == subject.model
    )
    entries = [entry for entry in context.index.of_model(subject.model) if not entry.is_private]
    examined_names = {name.casefold() for name, examined in others.items() if examined is not None}
    own_names = {subject.model.casefold(), model.casefold()}
    return EvidenceCase(
        subject,
        tuple(examined for examined in others.values() if examined is not None and examined.model != subject.model),
        tuple(_evaluated(context, entry) for entry in entries),
        tuple(context.flag_book.records()),
        context.board.admission.is_official(subject.author),
        tuple(name for name in (*aliases, model) if name != subject.model),
        frozenset(name.casefold() for name in named) - examined_names - own_names,
    )


def gather_subject(context: BoardContext, model: str) -> ExaminedModel | None:
    """`model` as the Hub has it now; None where the bot cannot read it, or it is private."""
    try:
        facts = unless_gone(lambda: context.hub.model_facts(model))
    except (BadRequest, Gated, Disabled, TooLarge):
        return None
    if facts is None or facts.private:
        return None
    files = {file.name: ModelFile(file.name, file.size, file.sha256) for file in facts.files}
    repo = ModelRepo(context.hub, Repo("model", facts.id), facts.sha, files)
    try:
        contents = unless_gone(lambda: (weight_files(repo), gather_card(repo, facts), _traces(repo)))
    except (Gated, Disabled):
        contents = None
    names, card, traces = contents or (_by_name(list(files)), None, {})
    weights = {name: files[name].sha256 or "" for name in names}
    created = facts.created_at.timestamp() if facts.created_at is not None else 0.0
    return ExaminedModel(facts.id, facts.sha, weights, card, traces, created, context.address(Repo("model", facts.id)))


def weight_files(repo: ModelRepo) -> list[str]:
    """The files that hold the weights: the single file, those of the shard index, else files with a weights suffix."""
    if repo.has(SINGLE) or not repo.has(INDEX_FILE):
        return [SINGLE] if repo.has(SINGLE) else _by_name(list(repo.files))
    try:
        index = repo.hub.read_file(repo.repo, INDEX_FILE, repo.sha, max_bytes=MAX_INDEX).data
    except TooLarge:
        index = b""
    # The index is untrusted: a pattern picks out the names, no parser runs on it.
    named = sorted({name.decode("utf-8", "replace") for name in _SHARD.findall(index)})
    return repo.among(named) or _by_name(list(repo.files))


def _by_name(names: Sequence[str]) -> list[str]:
    for suffix in (".safetensors", ".bin", ".gguf"):
        matching = sorted(name for name in names if name.endswith(suffix) and "/" not in name)
        if matching:
            return matching
    return []


def _traces(repo: ModelRepo) -> dict[str, tuple[str, ...]]:
    """The models that the repo's files name, except the card; by file."""
    traces: dict[str, tuple[str, ...]] = {}
    for name, field in _CONFIGS.items():
        if repo.has(name):
            text = repo.start(name, MAX_TEXT).decode("utf-8", "replace")
            match = re.search(rf'"{field}"\s*:\s*"([^"\\]{{1,200}})"', text)
            if match is not None and "/" in match[1] and is_model(match[1]):
                traces[name] = (match[1],)
    for name in repo.among(MERGEKIT):
        models = tuple(models_named(repo.start(name, MAX_TEXT).decode("utf-8", "replace")))
        if models:
            traces[name] = models
    return traces


def digest_of(subject: ExaminedModel) -> str:
    """One digest of all weights of `subject`, as in the index of requests; "" if the digest of a file is unknown."""
    return combined_digest(list(subject.weights.values()))


def twins_of(context: BoardContext, subject: ExaminedModel) -> list[str]:
    """Models with the same weights: those of requests, and flagged ones."""
    weights = digest_of(subject)
    if not weights:
        return []
    flagged = [record.model for record in context.flag_book.of_weights(weights)]
    paths = context.index.neighbours.find(models=(), weights=weights, accounts=(), window=(0.0, 0.0))
    entries = [entry for entry in context.index.find(sorted(paths)) if entry is not None and entry.weights == weights]
    return list(dict.fromkeys([*flagged, *(model_of(entry) for entry in entries if not entry.is_private)]))


def _evaluated(context: BoardContext, entry: IndexEntry) -> ExaminedRequest:
    return ExaminedRequest(
        entry.path,
        entry.precision,
        entry.sha or (entry.standing.revision if len(entry.standing.revision) == 40 else ""),
        entry.standing.category,
        context.address(context.requests, entry.path),
    )
