"""The facts about a submission that the bot gathers and the rules judge.

All facts come from the Hub, the files of the model and the installed transformers; none is a claim of the request file.
An unknown fact is None, and a rule that needs it gives no result, because another rule already reports why it is
unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Availability = Literal["found", "no-model", "no-revision", "gated", "disabled", "private", "unreadable"]
ConfigState = Literal["loaded", "missing", "unreadable", "remote-code", "unknown-architecture", "too-costly"]
TokenizerState = Literal["loaded", "missing", "unreadable", "remote-code", "too-costly", "too-large"]
TemplateState = Literal["absent", "works", "raises", "too-costly"]


@dataclass(frozen=True)
class Quantization:
    """The quantisation that the config declares; `method` is gptq, awq, bitsandbytes and so on."""

    method: str
    bits: int | None = None


@dataclass(frozen=True)
class ConfigFacts:
    """The result of loading the model's config with the installed transformers, without remote code.

    `dtype` is the dtype of the weights in the config (float16, bfloat16, float32, or "" if unknown); `special_tokens`
    maps bos, eos and pad to the token ids in the config: usually one, several for a list. `layers` is
    num_hidden_layers.
    """

    state: ConfigState
    architecture: str = ""
    model_type: str = ""
    error: str = ""
    transformers: str = ""
    is_causal: bool | None = None
    vocabulary: int | None = None
    context: int | None = None
    dtype: str = ""
    quantization: Quantization | None = None
    special_tokens: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    layers: int | None = None


@dataclass(frozen=True)
class TokenizerFacts:
    """The result of loading the tokenizer without remote code, and of one conversation in its chat template."""

    state: TokenizerState
    vocabulary: int | None = None
    largest_id: int | None = None
    special_tokens: Mapping[str, int] = field(default_factory=dict)
    template: TemplateState = "absent"
    error: str = ""


@dataclass(frozen=True)
class ModelFile:
    """A file of the model's repo. `sha256` is known for LFS files only; `size` in bytes."""

    name: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Weights:
    """The safetensors files of the model, from their headers alone.

    `names` are the files that the index names, or that load without an index; `missing` are files of the index that are
    not in the repo; `broken` maps a file to the error in its header; `dtypes` maps a safetensors dtype (F16, BF16, F32,
    I32, …) to its number of values; `nbytes` is the total size of the data.
    """

    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    index_error: str = ""
    dtypes: Mapping[str, int] = field(default_factory=dict)
    parameters: int | None = None
    nbytes: int | None = None
    layers: tuple[int, ...] = ()
    """The numbers of layers in the names of the tensors, largest first: one number for a model with one stack."""


@dataclass(frozen=True)
class ModelCard:
    """The model card; `length` counts the characters of its text without the metadata."""

    exists: bool
    length: int = 0
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    base_models: tuple[str, ...] = ()
    relation: str | None = None
    """`base_model_relation`: adapter, merge, quantized or finetune."""
    tags: tuple[str, ...] = ()
    is_merge: bool = False
    """Whether tags, text or a mergekit file declare a merge."""
    merge_traces: tuple[str, ...] = ()
    """The declarations, worded for a sentence: 'the tag merge', 'mergekit_config.yml'."""


@dataclass(frozen=True)
class AdapterFacts:
    """The contents of adapter_config.json; `error` says why it is unreadable."""

    base_model: str = ""
    kind: str = ""
    error: str = ""


@dataclass(frozen=True)
class ModelFacts:
    """The facts about a model at the requested revision, from the Hub and from its files.

    `id` is its present name on the Hub, which differs from the requested name after a rename. `base` holds the facts
    about the base model of a Delta or an Adapter, at its main branch.
    """

    availability: Availability
    sha: str | None = None
    config: ConfigFacts | None = None
    files: tuple[ModelFile, ...] = ()
    id: str = ""
    is_private: bool = False
    is_gated: bool = False
    tokenizer: TokenizerFacts | None = None
    weights: Weights | None = None
    card: ModelCard | None = None
    adapter: AdapterFacts | None = None
    base_name: str = ""
    base: ModelFacts | None = None


@dataclass(frozen=True)
class EarlierRequest:
    """Another request of the board that a submission may repeat; `address` is its URL."""

    path: str
    model: str
    status: str
    address: str = ""


@dataclass(frozen=True)
class BoardFacts:
    """The board's facts about a submission.

    `submitter` is the submitter that the Hub reports ("" unknown). `same` holds requests of the same model, commit,
    precision, weight type and chat template, at any path; `copies` holds requests of other models with the same sha256
    of the weights; `by_submitter` and `by_organisation` count the submissions within the board's window, without this
    one and without those that were refused or that failed through no fault of the model. `flags` holds the flags of
    this model, of its earlier names and of models with the same weights, worded for a sentence, with the URL of the
    discussion. `shares_details`: another accepted model's details are in the dataset that this one's would be in.
    """

    now: float
    submitter: str = ""
    same: tuple[EarlierRequest, ...] = ()
    copies: tuple[EarlierRequest, ...] = ()
    by_submitter: int = 0
    by_organisation: int = 0
    flags: tuple[EarlierRequest, ...] = ()
    shares_details: bool = False
    opted_out: bool = False
    base_opted_out: bool = False
    """Whether the authors of the base model of a Delta or an Adapter opted out, under any of its names."""
