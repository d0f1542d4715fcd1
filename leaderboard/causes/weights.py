"""The files of a model: its weights, and what is wrong with them."""

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
        "The repo holds its weights as pickles alone, which can run code on whoever loads them: {detail}",
        "We load safetensors only. Load the model on a machine of your own, save it with `save_pretrained`, upload "
        "the .safetensors files, and submit the new commit.",
        signs=(raised("WeightsPickled"),),
    ),
    Cause(
        "shard-missing",
        "submission",
        "Some of the files that hold the weights are not in the repo: {detail}",
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
        "The repo holds no weights that we can load: {detail}",
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
        "The top folder of the repo holds more files than any model consists of: {detail}",
        "Keep what is not part of the model in folders below, or in another repo, and submit the new commit.",
        signs=(raised("TooManyFiles"),),
    ),
    Cause(
        "index-unusable",
        "submission",
        "The index of the weights, model.safetensors.index.json, cannot be used: {detail}",
        _SAVE_AGAIN,
        signs=(raised("IndexUnusable"),),
    ),
    Cause(
        "odd-files",
        "submission",
        "A file of the model is not what its name says: {detail}",
        "Upload the file itself, not a link to it, under a plain name in the top folder of the repo, and submit the "
        "new commit.",
        signs=(raised("OddFile"),),
    ),
    Cause(
        "weights-truncated",
        "submission",
        "A file of the weights is cut off or has bytes too many: {detail}",
        "The upload was most likely interrupted. Upload the file again, and submit the new commit.",
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
        "A file of the weights begins with a header that cannot be read: {detail}",
        _SAVE_AGAIN,
        signs=(raised("HeaderUnreadable"), both(raised("SafetensorError"), text_matches(r"header"))),
    ),
    Cause(
        "weights-dtype",
        "submission",
        "The weights are stored in a format that config.json does not announce: {detail}",
        "Quantised weights need their `quantization_config` in config.json; others have to be saved as float16, "
        "bfloat16 or float32. Save the model again, and submit the new commit.",
        signs=(raised("WeightsOfWrongType"),),
    ),
    Cause(
        "weights-shape",
        "submission",
        "The weights have other shapes than config.json says: {detail}",
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
        "Weights are missing for some of the model's layers, which would be filled with random numbers: {detail}",
        "Check the number of layers in config.json and that every shard was uploaded, and submit the new commit.",
        signs=(raised("WeightsIncomplete"),),
    ),
    Cause(
        "weights-not-finite",
        "submission",
        "The model's weights hold NaN or infinite numbers: {detail}",
        "The training, a merge or a conversion went wrong, or the numbers do not fit the precision: weights of "
        "bfloat16 may overflow in float16. Check the weights, and submit the new commit or another precision.",
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
