"""Causes: the model's weight files."""

from __future__ import annotations

from leaderboard.causes.cause import LOADING, Cause
from leaderboard.evidence import both, raised, text_matches

_SAVE_AGAIN = (
    "Save the model with `save_pretrained`, upload every file again, check that `from_pretrained` loads it without a "
    "warning, and submit the new commit."
)

ROWS = (
    Cause(
        "weights-pickled",
        "submission",
        "The repo has its weights only as pickle files, which can run code when they are loaded: {detail}",
        "We load safetensors only. Load the model on your own machine, save it with `save_pretrained`, upload the "
        ".safetensors files, and submit the new commit.",
        signs=(raised("WeightsPickled"),),
    ),
    Cause(
        "shard-missing",
        "submission",
        "Some of the weight files are missing from the repo: {detail}",
        "Upload every file that model.safetensors.index.json names, and submit the new commit.",
        signs=(
            raised("ShardMissing"),
            text_matches(r"no such file or directory: .{0,400}-of-\d+\.safetensors", LOADING),
            text_matches(r"does not appear to have files? named .{0,200}-of-\d+\.safetensors", LOADING),
        ),
    ),
    Cause(
        "weights-missing",
        "submission",
        "The repo has no weights that we can load: {detail}",
        "We load safetensors only. Save the model with `save_pretrained`, upload every shard and the index, "
        "and submit the new commit.",
        signs=(
            raised("WeightsMissing"),
            text_matches(
                r"no file named .{0,200}(?:safetensors|\.bin)|does not appear to have files? named .{0,200}safetensors"
            ),
            text_matches(r"no such file or directory: .{0,400}\.safetensors", LOADING),
        ),
    ),
    Cause(
        "too-many-files",
        "submission",
        "The top folder of the repo has more files than any model needs: {detail}",
        "Move files that are not part of the model to subfolders or to another repo, and submit the new commit.",
        signs=(raised("TooManyFiles"),),
    ),
    Cause(
        "index-unusable",
        "submission",
        "The index of the weights, model.safetensors.index.json, is invalid: {detail}",
        _SAVE_AGAIN,
        signs=(raised("IndexUnusable"),),
    ),
    Cause(
        "odd-files",
        "submission",
        "A file of the model has an unexpected type or name: {detail}",
        "Upload the file itself instead of a link to it, under a plain name in the top folder of the repo, and submit "
        "the new commit.",
        signs=(raised("OddFile"),),
    ),
    Cause(
        "weights-truncated",
        "submission",
        "A weight file is incomplete or has extra bytes: {detail}",
        "The upload was probably interrupted. Upload the file again, and submit the new commit.",
        signs=(
            raised("WeightsTruncated"),
            both(
                raised("SafetensorError"),
                text_matches(
                    r"file not fully covered|metadata ?incomplete ?buffer|header too small|invalid header length"
                ),
            ),
        ),
    ),
    Cause(
        "weights-header",
        "submission",
        "The header of a weight file cannot be read: {detail}",
        _SAVE_AGAIN,
        signs=(raised("HeaderUnreadable"), both(raised("SafetensorError"), text_matches(r"header"))),
    ),
    Cause(
        "weights-dtype",
        "submission",
        "The weights are stored in a format that config.json does not declare: {detail}",
        "Quantised weights need a `quantization_config` in config.json; other weights must be saved as float16, "
        "bfloat16 or float32. Save the model again, and submit the new commit.",
        signs=(raised("WeightsOfWrongType"),),
    ),
    Cause(
        "weights-shape",
        "submission",
        "The shapes of the weights do not match config.json: {detail}",
        "Check that config.json belongs to these weights (sizes, number of heads, vocabulary), and submit the new "
        "commit.",
        signs=(
            raised("WeightsOfWrongShape"),
            text_matches(r"size mismatch for|mismatched sizes|ignore_mismatched_sizes", LOADING),
        ),
    ),
    Cause(
        "weights-incomplete",
        "submission",
        "Weights are missing for some layers, which would be filled with random numbers: {detail}",
        "Check the number of layers in config.json, upload every shard, and submit the new commit.",
        signs=(raised("WeightsIncomplete"),),
    ),
    Cause(
        "weights-not-finite",
        "submission",
        "The model's weights contain NaN or infinite values: {detail}",
        "Check the training, the merge or the conversion that produced the weights, and submit the new commit. Weights "
        "trained in bfloat16 may overflow in float16: then submit the model in bfloat16.",
        signs=(raised("WeightsNotFinite"),),
    ),
    Cause(
        "weights-corrupted",
        "submission",
        "The model's weights cannot be read: {detail}",
        "Upload the safetensors files again, check that `from_pretrained` loads them, and submit the new commit.",
        signs=(raised("SafetensorError"), text_matches(r"error while deserializing header")),
    ),
)
