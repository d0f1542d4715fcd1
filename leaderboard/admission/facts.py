"""What is known of a submission before its verdict: gathered by the bot, judged by the rules beside this module.

Everything here is what the Hub, the files of the model and the installed transformers say; nothing is what a request
file claims. Where something was not looked at, or could not be known, the field is None: a rule that needs it is
silent, since another one has said already why it is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Availability = Literal["found", "no-model", "no-revision", "gated", "disabled", "private"]
ConfigState = Literal["loaded", "missing", "unreadable", "remote-code", "unknown-architecture", "too-costly"]
TokenizerState = Literal["loaded", "missing", "unreadable", "remote-code", "too-costly", "too-large"]
TemplateState = Literal["absent", "works", "raises", "too-costly"]


@dataclass(frozen=True)
class Quantization:
    """What the config says of how its weights are quantised: `method` such as gptq, awq or bitsandbytes."""

    method: str
    bits: int | None = None


@dataclass(frozen=True)
class ConfigFacts:
    """What came of loading the model's config with the installed transformers, without remote code.

    `dtype` is that of the weights as the config has it (float16, bfloat16, float32, or "" where it does not say);
    `special_tokens` maps bos, eos and pad to the token ids that the config names: usually one, several where it holds
    a list. `layers` is num_hidden_layers.
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
    """What came of loading the tokenizer, without remote code, and of one conversation in its chat template."""

    state: TokenizerState
    vocabulary: int | None = None
    largest_id: int | None = None
    special_tokens: Mapping[str, int] = field(default_factory=dict)
    template: TemplateState = "absent"
    error: str = ""


@dataclass(frozen=True)
class ModelFile:
    """A file of the model's repo. `sha256` where LFS keeps it; `size` in bytes."""

    name: str
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Weights:
    """The safetensors that make the model, from their headers alone.

    `names` are the files that the index names, or the ones that load without an index; `missing` are those of the index
    that are not in the repo; `broken` maps a file to what is wrong with its header; `dtypes` maps a safetensors dtype
    (F16, BF16, F32, I32, …) to the number of values stored so; `nbytes` is the size of the data in all.
    """

    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    index_error: str = ""
    dtypes: Mapping[str, int] = field(default_factory=dict)
    parameters: int | None = None
    nbytes: int | None = None
    layers: tuple[int, ...] = ()
    """How many layers the tensors' names number, largest first: one number for a model of one stack."""


@dataclass(frozen=True)
class ModelCard:
    """The model card: `length` counts the characters of its text, without the metadata at its top."""

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
    """Whether tags, text or a mergekit file say that it is merged from others."""
    merge_traces: tuple[str, ...] = ()
    """What says so, in words fit for a sentence: 'the tag merge', 'mergekit_config.yml'."""


@dataclass(frozen=True)
class AdapterFacts:
    """adapter_config.json: `error` says why it could not be read."""

    base_model: str = ""
    kind: str = ""
    error: str = ""


@dataclass(frozen=True)
class ModelFacts:
    """What the Hub and the files say about a model at the revision that was asked for.

    `id` is the name by which the Hub knows it now: another than the one asked for where it was renamed. `base` are the
    facts about the model that a Delta or an Adapter is applied to, at its main branch.
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
    """Another request of the board that this one may repeat: its path, status, and where people find it."""

    path: str
    model: str
    status: str
    address: str = ""


@dataclass(frozen=True)
class BoardFacts:
    """What the board knows around a submission.

    `submitter` is who the Hub says submitted it ("" unknown). `same` are requests of the same model, commit, precision,
    weight type and chat template, at any path; `copies` are requests of other models with weights of the same sha256;
    `by_submitter` and `by_organisation` count the submissions within the board's window, without this one and without
    those that were refused or lost by no fault of the model. `flags` are the flags that hold for this model, under this
    name, an earlier name of it, or as a copy: in words fit for a sentence, with the address of the discussion.
    """

    now: float
    submitter: str = ""
    same: tuple[EarlierRequest, ...] = ()
    copies: tuple[EarlierRequest, ...] = ()
    by_submitter: int = 0
    by_organisation: int = 0
    flags: tuple[EarlierRequest, ...] = ()
    opted_out: bool = False
    base_opted_out: bool = False
    """The same of the model that a Delta or an Adapter is applied to, by any name of it."""
