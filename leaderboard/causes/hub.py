"""The Hub, the way there, and what is fetched from it or published to it: repos, questions, details."""

from __future__ import annotations

from leaderboard.causes.cause import AT_ONCE, LATER, ONCE, SHORTLY, TRIED_AGAIN, Cause
from leaderboard.evidence import both, raised, text_matches

_FETCHING = ("claim", "download")
_OURS = "Nothing to do for you: the maintainers see it, and it is tried again."

ROWS = (
    Cause(
        "dataset-changed",
        "us",
        "The questions of the suite are not those that it pins: {detail}",
        _OURS,
        LATER,
        (
            both(raised("DatasetUnavailable"), text_matches(r"does not hold the questions that the suite pins")),
            text_matches(r"NonMatchingSplitsSizes|NonMatchingChecksum"),
        ),
    ),
    Cause(
        "dataset-gated",
        "us",
        "The questions of the suite are gated, and the evaluation machine may not read them: {detail}",
        _OURS,
        LATER,
        (both(raised("DatasetUnavailable", "DatasetNotFoundError"), text_matches(r"gated|GatedRepo|ask for access")),),
    ),
    Cause(
        "dataset-broken",
        "us",
        "The questions of the suite cannot be read: {detail}",
        _OURS,
        LATER,
        (
            raised("DatasetGenerationError", "DatasetGenerationCastError", "DataFilesNotFoundError"),
            both(
                raised("DatasetUnavailable"),
                text_matches(r"DatasetGeneration|DataFilesNotFound|BuilderConfig|could not cast|decoding|parse"),
            ),
        ),
    ),
    Cause(
        "dataset-unavailable",
        "us",
        "The questions of the suite could not be loaded: {detail}",
        _OURS,
        LATER,
        (
            raised("DatasetUnavailable", "DatasetNotFoundError", "DatasetsError"),
            text_matches(r"couldn't reach .{0,200} on the hub|couldn't find cache for", ("prepare", "load")),
        ),
    ),
    Cause(
        "model-gated",
        "submission",
        "The model is gated: its repo cannot be read without its owner's consent.",
        "Open the model to everybody, or ask the maintainers whether they may be let in, and submit it again.",
        signs=(raised("ModelGated"), raised("GatedRepoError", phases=_FETCHING)),
    ),
    Cause(
        "revision-gone",
        "submission",
        "The commit that was submitted is no longer in the model's repo: {detail}",
        "Submit a commit that exists.",
        signs=(raised("RevisionGone"), raised("RevisionNotFoundError", phases=_FETCHING)),
    ),
    Cause(
        "model-gone",
        "submission",
        "The model is no longer on the Hub where we can read it: {detail}",
        "Make the repo public, or submit the model under the name that it has now.",
        signs=(raised("ModelGone"), raised("RepositoryNotFoundError", phases=_FETCHING)),
    ),
    Cause(
        "hub-rate-limit",
        "hub",
        "The Hub asks us to slow down: {detail}",
        TRIED_AGAIN,
        LATER,
        (both(raised("HfHubHTTPError", "HTTPStatusError"), text_matches(r"\b429\b|too many requests|rate limit")),),
    ),
    Cause(
        "publication-refused",
        "us",
        "The evaluation is done, but the evaluation machine may not publish its details: {detail}",
        "Nothing to do for you: the maintainers check the machine's token, and it is tried again.",
        LATER,
        (both(raised("PublicationFailed"), text_matches(r"\b40[13]\b|forbidden|unauthorized")),),
    ),
    Cause(
        "hub-access",
        "us",
        "The Hub does not accept the evaluation machine's token: {detail}",
        "Nothing to do for you: the maintainers check the token, and it is tried again.",
        LATER,
        (
            both(
                raised("HfHubHTTPError", "LocalTokenNotFoundError"),
                text_matches(r"\b401\b|invalid (?:user )?token|unauthorized"),
            ),
        ),
    ),
    Cause(
        "publication-failed",
        "us",
        "The evaluation is done, but its details could not be published: {detail}",
        TRIED_AGAIN,
        SHORTLY,
        (raised("PublicationFailed"),),
    ),
    Cause(
        "download-damaged",
        "hub",
        "A file of the model arrived damaged: {detail}",
        TRIED_AGAIN,
        SHORTLY,
        (text_matches(r"consistency check failed|checksum mismatch|incomplete ?read", ("download",)),),
    ),
    Cause(
        "hub-error",
        "hub",
        "The Hub answered with an error: {detail}",
        TRIED_AGAIN,
        SHORTLY,
        (both(raised("HfHubHTTPError", "HTTPStatusError"), text_matches(r"\b5\d\d\b|server error")),),
    ),
    Cause(
        "network",
        "hub",
        "The Hub could not be reached: {detail}",
        TRIED_AGAIN,
        SHORTLY,
        (
            raised("HfHubHTTPError", "OfflineModeIsEnabled", "LocalEntryNotFoundError", "HTTPStatusError"),
            raised("ConnectError", "ConnectTimeout", "ReadTimeout", "ReadError", "ConnectionError", "TimeoutException"),
            raised("RemoteProtocolError", "WriteError", "PoolTimeout", "TimeoutError", phases=("download", "publish")),
        ),
    ),
    Cause(
        "no-results",
        "unknown",
        "The evaluation ran to its end without results that can be published: {detail}",
        "Check that the model computes finite numbers in the precision that was asked for. The maintainers have "
        "the log.",
        signs=(raised("EvaluationFailed"),),
    ),
    Cause(
        "suite-changed",
        "us",
        "The suite got a new version while the model was evaluated: {detail}",
        "Nothing to do for you: it is evaluated once more, by the new version.",
        AT_ONCE,
    ),
    Cause(
        "results-refused",
        "us",
        "The evaluation is done, but its results are not what they should be: {detail}",
        "Nothing to do for you: the maintainers look into it.",
        ONCE,
    ),
)
