"""Facts that the Hub derives from a repo's files: card, configuration, tags, library, task, parameters."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, BinaryIO

from localhub.git.trees import TreeEntry
from localhub.json_values import JsonObject, to_json_values
from localhub.repos.cards import README, card_data
from localhub.repos.eval_results import benchmark_tasks
from localhub.repos.lfs_store import LfsStore
from localhub.repos.records import Repo
from localhub.repos.weights import safetensors_info

_CONFIG_KEYS = ("architectures", "model_type", "auto_map", "quantization_config", "diffusers", "adapter_transformers")
_TOKENIZER_KEYS = ("bos_token", "eos_token", "pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
_MAX_JSON_BYTES = 10 << 20
_HEADS = {
    "ForCausalLM": ("AutoModelForCausalLM", "text-generation"),
    "ForConditionalGeneration": ("AutoModelForSeq2SeqLM", "text2text-generation"),
    "ForMaskedLM": ("AutoModelForMaskedLM", "fill-mask"),
    "ForSequenceClassification": ("AutoModelForSequenceClassification", "text-classification"),
    "ForTokenClassification": ("AutoModelForTokenClassification", "token-classification"),
    "ForQuestionAnswering": ("AutoModelForQuestionAnswering", "question-answering"),
    "LMHeadModel": ("AutoModelForCausalLM", "text-generation"),
}
_FORMATS = {".safetensors": "safetensors", ".bin": "pytorch", ".gguf": "gguf", ".onnx": "onnx", ".h5": "tf"}
_ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/([0-9]{4}\.[0-9]{4,5})")


class RepoFacts:
    """Facts about one commit of a repo; each file is read when a fact first needs it."""

    def __init__(self, repo: Repo, commit: str | None, lfs: LfsStore) -> None:
        self.repo = repo
        self.commit = commit
        self._lfs = lfs

    @cached_property
    def files(self) -> list[TreeEntry]:
        """Every file, in git's order."""
        entries = self.repo.git.entries(self.commit, recursive=True) if self.commit else []
        return [entry for entry in entries if entry.type == "file"]

    @cached_property
    def readme(self) -> bytes:
        """The text of the card."""
        return (self.repo.git.file(self.commit, README) if self.commit else None) or b""

    @cached_property
    def card(self) -> JsonObject:
        """The card's metadata."""
        return card_data(self.readme)

    @cached_property
    def raw_config(self) -> Mapping[str, Any]:
        """The content of `config.json`; empty without a valid one."""
        return self._json("config.json")

    @property
    def config(self) -> Mapping[str, Any] | None:
        """The part of the configuration that the Hub shows."""
        config = {key: self.raw_config[key] for key in _CONFIG_KEYS if key in self.raw_config}
        tokenizer = self._json("tokenizer_config.json")
        special = {key: _token_text(tokenizer[key]) for key in _TOKENIZER_KEYS if tokenizer.get(key)}
        if isinstance(tokenizer.get("chat_template"), str | list):
            special["chat_template"] = tokenizer["chat_template"]
        return {**config, **({"tokenizer_config": special} if special else {})} or None

    @property
    def transformers_info(self) -> dict[str, str] | None:
        """The class of transformers that loads the model, and its task."""
        head = self._head
        return {"auto_model": head[0], "pipeline_tag": head[1], "processor": "AutoTokenizer"} if head else None

    @property
    def pipeline_tag(self) -> str | None:
        """The task: from the card, else from the architecture."""
        value = self.card.get("pipeline_tag")
        return value if isinstance(value, str) else self._head[1] if self._head else None

    @property
    def library_name(self) -> str | None:
        """The library: from the card, else peft or transformers if the files show it."""
        value = self.card.get("library_name")
        if isinstance(value, str):
            return value
        if any(entry.path == "adapter_config.json" for entry in self.files):
            return "peft"
        return "transformers" if self.raw_config.get("model_type") else None

    @property
    def safetensors(self) -> JsonObject | None:
        """Parameters by dtype, from the headers of the weights."""
        entries = {entry.path: entry for entry in self.files}
        return safetensors_info(entries, lambda path: self._open(entries.get(path)))

    @property
    def tags(self) -> list[str]:
        """The tags that the Hub derives, each once."""
        derived = self._model_tags() if self.repo.type == "model" else self._card_tags()
        return [*dict.fromkeys(tag for tag in derived if tag), "region:us"]

    def _model_tags(self) -> Iterator[str]:
        if self.library_name:
            yield self.library_name
        suffixes = {entry.path[entry.path.rfind(".") :] for entry in self.files if "." in entry.path}
        yield from (name for suffix, name in _FORMATS.items() if suffix in suffixes)
        if isinstance(self.raw_config.get("model_type"), str):
            yield self.raw_config["model_type"]
        if self.pipeline_tag:
            yield self.pipeline_tag
        if "auto_map" in self.raw_config:
            yield "custom_code"
        yield from self._card_tags()

    def _card_tags(self) -> Iterator[str]:
        yield from _texts(self.card.get("tags"))
        if self.repo.type == "model":
            yield from _texts(self.card.get("language"))
            prefixed = {"datasets": "dataset", "license": "license", "base_model": "base_model"}
        else:
            names = ("task_categories", "task_ids", "size_categories", "multilinguality", "language", "license")
            prefixed = dict(zip(names, names, strict=True))
            if self.repo.type == "dataset" and benchmark_tasks(self.repo.git) is not None:
                yield "benchmark:official"
        for field, prefix in prefixed.items():
            yield from (f"{prefix}:{value}" for value in _texts(self.card.get(field)))
        yield from (f"arxiv:{paper}" for paper in _ARXIV.findall(self.readme.decode("utf-8", "replace")))

    @cached_property
    def _head(self) -> tuple[str, str] | None:
        architectures = self.raw_config.get("architectures")
        first = architectures[0] if isinstance(architectures, list) and architectures else ""
        return next(
            (head for suffix, head in _HEADS.items() if isinstance(first, str) and first.endswith(suffix)), None
        )

    def _json(self, path: str) -> Mapping[str, Any]:
        data = self.repo.git.file(self.commit, path) if self.commit else None
        try:
            value = to_json_values(json.loads(data)) if data and len(data) <= _MAX_JSON_BYTES else {}
        except (ValueError, RecursionError):  # an invalid file counts as empty
            return {}
        return value if isinstance(value, dict) else {}

    def _open(self, entry: TreeEntry | None) -> BinaryIO | None:
        if entry is None:
            return None
        pointer = self.repo.git.facts([entry.oid])[entry.oid].pointer
        if pointer is None:
            return io.BytesIO(self.repo.git.read(entry.oid))
        path = self._lfs.path(pointer.sha256)
        held = self._lfs.size(self.repo.oid, pointer.sha256) is not None and path.exists()
        return path.open("rb") if held else None


def _texts(value: object) -> list[str]:
    """The texts of a card's value, which may be one text or a list."""
    values = value if isinstance(value, list) else [value]
    return [str(item) for item in values if isinstance(item, str | int) and not isinstance(item, bool)]


def _token_text(value: object) -> object:
    """The text of a special token, which may be an object in the configuration."""
    return value.get("content") if isinstance(value, Mapping) else value
