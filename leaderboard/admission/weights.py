"""Rules about the weights: that they are there, whole, and safe to load. Nothing here needs more than their headers."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.submission import AdmissionRule, Submission, is_readable
from leaderboard.reasons import Problem, Reason, bounded, names, table

REASONS = table(
    (
        Reason(
            "weights-missing",
            "There are no weights in the repo of {model}.",
            "Upload them with save_pretrained(), and submit the new commit.",
        ),
        Reason(
            "weights-not-safetensors",
            "The weights of {model} are there as pickle files only ({files}), which can run code when they are loaded.",
            "Convert them: load the model with from_pretrained() and upload what save_pretrained() writes, which is "
            "safetensors. The Space 'safetensors/convert' does the same for you.",
        ),
        Reason(
            "weights-gguf",
            "The weights of {model} are there as GGUF only ({files}); this leaderboard loads safetensors.",
            "Submit the model that they were made from.",
        ),
        Reason(
            "weights-not-loadable",
            "The repo of {model} has safetensors files ({files}), but none that from_pretrained() would load.",
            "Call the file model.safetensors, or upload the shards together with model.safetensors.index.json.",
        ),
        Reason(
            "index-unreadable",
            "The index of the weights, model.safetensors.index.json, cannot be read: {error}.",
            "Upload the index that save_pretrained() wrote, and submit the new commit.",
        ),
        Reason(
            "weights-incomplete",
            "The index of the weights names files that are not in the repo: {files}.",
            "Upload every shard, and submit the new commit.",
        ),
        Reason(
            "weights-broken",
            "Not every safetensors file can be read: {files}.",
            "The upload was probably cut short: upload them again, and check that from_pretrained() loads the model.",
        ),
        Reason(
            "layers-missing",
            "The config of {model} says that it has {said} layers, but the weights hold {held} of them.",
            "The missing ones would be filled with random numbers. Upload all weights, or mend num_hidden_layers.",
        ),
    )
)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")


def _named(it: Submission, *endings: str) -> list[str]:
    return [file.name for file in it.model.files if file.name.casefold().endswith(endings)]


def _safetensors(it: Submission) -> Iterator[Problem]:
    if _named(it, ".safetensors"):
        return
    pickled, gguf = _named(it, *_PICKLES), _named(it, ".gguf")
    code = "weights-not-safetensors" if pickled else "weights-gguf" if gguf else "weights-missing"
    yield REASONS[code].problem(model=it.name, files=names(pickled or gguf))


def _shards(it: Submission) -> Iterator[Problem]:
    weights, there = it.model.weights, _named(it, ".safetensors")
    assert weights is not None
    if weights.index_error:
        yield REASONS["index-unreadable"].problem(error=weights.index_error.rstrip("."))
    elif weights.missing:
        yield REASONS["weights-incomplete"].problem(files=names(weights.missing))
    elif not weights.names:
        yield REASONS["weights-not-loadable"].problem(model=it.name, files=names(there))


def _shards_known(it: Submission) -> bool:
    return it.model.weights is not None and bool(_named(it, ".safetensors")) and not it.is_bare_adapter


def _headers(it: Submission) -> Iterator[Problem]:
    weights = it.model.weights
    assert weights is not None
    if weights.broken:
        told = "; ".join(f"{bounded(name, 60)} ({bounded(error, 80)})" for name, error in weights.broken.items())
        yield REASONS["weights-broken"].problem(files=told)


def _headers_known(it: Submission) -> bool:
    return it.model.weights is not None and bool(it.model.weights.names)


def _layers(it: Submission) -> Iterator[Problem]:
    """More than the config says is no problem: models with a head for the next token's next token have such."""
    assert it.config is not None
    assert it.config.layers is not None
    assert it.model.weights is not None
    held = max(it.model.weights.layers)
    if held < it.config.layers:
        yield REASONS["layers-missing"].problem(model=it.name, said=it.config.layers, held=held)


def _layers_known(it: Submission) -> bool:
    config, weights = it.config, it.model.weights
    whole = weights is not None and bool(weights.layers) and not weights.missing and not weights.broken
    return it.weight_type != "Adapter" and whole and config is not None and config.layers is not None


RULES = (
    AdmissionRule(
        "safetensors",
        "The weights are safetensors",
        "Pickled weights can run code when they are loaded, so only safetensors are.",
        "Open LLM Leaderboard's page for submitters: “safetensors”; FAQ: “we don't want to run possibly unsafe code”",
        _safetensors,
        is_readable,
        of_base=True,
    ),
    AdmissionRule(
        "shards",
        "The weights are complete",
        "A single file that `from_pretrained()` loads, or an index and every shard that it names.",
        "FAQ: failures come from “corrupted files”",
        _shards,
        _shards_known,
        of_base=True,
    ),
    AdmissionRule(
        "headers",
        "The weights can be read",
        "The header of every file fits the file. Only the headers are read for this, not the weights.",
        "FAQ: failures come from “corrupted files”",
        _headers,
        _headers_known,
        of_base=True,
    ),
    AdmissionRule(
        "layers",
        "The weights hold every layer",
        "As many layers as the config says: missing ones would be filled with random numbers, and quietly evaluated.",
        "FAQ: failures come from “corrupted files, config problems”",
        _layers,
        _layers_known,
        of_base=True,
    ),
)
