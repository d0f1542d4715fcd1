"""What evidence looks at: a suspected model, those that it may come from, its requests, and earlier flags.

Six calls at most for each model: what the Hub knows of it, card, config, index of the shards, mergekit file, adapter
config. Who else has the same weights is known from the index of requests, however many there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bot.core.context import BoardContext
from bot.model_facts.board_facts import model_of, one_digest
from bot.model_facts.card import MERGEKIT, gather_card
from bot.model_facts.repo import ModelRepo
from bot.probe.questions import INDEX_FILE
from hub.errors import BadRequest, Disabled, Gated, NotFound, TooLarge
from hub.records import Repo
from leaderboard.admission.facts import ModelFile
from leaderboard.requests import is_model
from leaderboard.suspicions import EvidenceCase, ExaminedModel, ExaminedRequest, models_named
from redis_state.board.entry import IndexEntry

MOST_OTHERS = 8
"""Other models that one case looks at."""
MAX_TEXT, MAX_INDEX = 100_000, 20_000_000
SINGLE = "model.safetensors"
_SHARD = re.compile(rb'"([^"\\]{1,300}\.safetensors)"')
_CONFIGS = {"config.json": "_name_or_path", "adapter_config.json": "base_model_name_or_path"}


def gather_case(context: BoardContext, model: str, named: Iterable[str] = ()) -> EvidenceCase:
    """All that speaks for or against `model`; `named` are models that a report names. Raises HubError."""
    subject = gather_subject(context, model) or ExaminedModel(model)
    twins = twins_of(context, subject)
    wanted = [*subject.declared, *(one for said in subject.traces.values() for one in said), *twins, *named]
    unique = {name.casefold(): name for name in wanted if is_model(name)}
    unique.pop(subject.model.casefold(), None)
    unique.pop(model.casefold(), None)
    found = {name: gather_subject(context, name) for name in list(unique.values())[:MOST_OTHERS]}
    # A name that leads to the model itself is an earlier one of it.
    aliases = tuple(name for name, one in found.items() if one is not None and one.model == subject.model)
    entries = [entry for entry in context.index.of_model(subject.model) if not entry.is_private]
    return EvidenceCase(
        subject,
        tuple(one for one in found.values() if one is not None and one.model != subject.model),
        tuple(_evaluated(context, entry) for entry in entries),
        tuple(context.flag_book.records()),
        context.board.admission.is_official(subject.author),
        tuple(name for name in (*aliases, model) if name != subject.model),
    )


def gather_subject(context: BoardContext, model: str) -> ExaminedModel | None:
    """`model` as the Hub has it now; None where it shows us none."""
    try:
        found = context.hub.model_facts(model)
    except (NotFound, BadRequest, Gated, Disabled):
        return None
    if found.private:
        return None
    files = {file.name: ModelFile(file.name, file.size, file.sha256) for file in found.files}
    repo = ModelRepo(context.hub, Repo("model", found.id), found.sha, files)
    try:
        names = weight_files(repo)
        card, traces = gather_card(repo, found), _traces(repo)
    except (Gated, Disabled, NotFound):
        names, card, traces = _by_name(list(files)), None, {}
    weights = {name: files[name].sha256 or "" for name in names}
    created = found.created_at.timestamp() if found.created_at is not None else 0.0
    return ExaminedModel(found.id, found.sha, weights, card, traces, created, context.address(Repo("model", found.id)))


def weight_files(repo: ModelRepo) -> list[str]:
    """The files that hold the weights: the one, those of the index, else what looks like them."""
    if repo.has(SINGLE) or not repo.has(INDEX_FILE):
        return [SINGLE] if repo.has(SINGLE) else _by_name(list(repo.files))
    try:
        index = repo.hub.read_file(repo.repo, INDEX_FILE, repo.sha, max_bytes=MAX_INDEX).data
    except TooLarge:
        index = b""
    # Names are picked out of a stranger's text; nothing of it is parsed.
    named = sorted({found.decode("utf-8", "replace") for found in _SHARD.findall(index)})
    return repo.among(named) or _by_name(list(repo.files))


def _by_name(names: Sequence[str]) -> list[str]:
    for suffix in (".safetensors", ".bin", ".gguf"):
        found = sorted(name for name in names if name.endswith(suffix) and "/" not in name)
        if found:
            return found
    return []


def _traces(repo: ModelRepo) -> dict[str, tuple[str, ...]]:
    """The models that its files name, beside the card: by place."""
    found: dict[str, tuple[str, ...]] = {}
    for name, field in _CONFIGS.items():
        if repo.has(name):
            text = repo.start(name, MAX_TEXT).decode("utf-8", "replace")
            said = re.search(rf'"{field}"\s*:\s*"([^"\\]{{1,200}})"', text)
            if said is not None and "/" in said[1] and is_model(said[1]):
                found[name] = (said[1],)
    for name in repo.among(MERGEKIT):
        named = tuple(one for one in models_named(repo.start(name, MAX_TEXT).decode("utf-8", "replace")))
        if named:
            found[name] = named
    return found


def digest_of(subject: ExaminedModel) -> str:
    """One digest for all its weights, as the index of requests has it; "" where one file's is not known."""
    return one_digest(list(subject.weights.values()))


def twins_of(context: BoardContext, subject: ExaminedModel) -> list[str]:
    """Models whose requests were judged with these very weights, and those that were flagged with them."""
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
