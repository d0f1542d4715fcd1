"""Causes: the Hub, the network, and everything downloaded from the Hub or published to it."""

from __future__ import annotations

from leaderboard.causes.cause import AT_ONCE, LATER, ONCE, SHORTLY, TRIED_AGAIN, Cause
from leaderboard.evidence import begins, both, raised, text_matches

_FETCHING = ("claim", "download")
_ONLINE = (*_FETCHING, "publish")
"""The phases that use the Hub. In all others, a library calls it only if the model names files outside its repo."""
_OURS = "You don't need to do anything: the maintainers look into it, and the evaluation is retried."

ROWS = (
    Cause(
        "dataset-changed",
        "us",
        "The suite's questions differ from its pinned version: {detail}",
        _OURS,
        LATER,
        (
            both(raised("DatasetUnavailable"), text_matches(r"does not hold the questions that the suite pins")),
            both(raised("DatasetUnavailable"), text_matches(r"NonMatchingSplitsSizes|NonMatchingChecksum")),
            raised("NonMatchingSplitsSizesError", "NonMatchingChecksumError"),
        ),
    ),
    Cause(
        "dataset-gated",
        "us",
        "The suite's questions are gated, and the evaluation machine has no access to them: {detail}",
        _OURS,
        LATER,
        (both(raised("DatasetUnavailable", "DatasetNotFoundError"), text_matches(r"gated|GatedRepo|ask for access")),),
    ),
    Cause(
        "dataset-broken",
        "us",
        "The suite's questions cannot be read: {detail}",
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
        "The suite's questions could not be loaded: {detail}",
        _OURS,
        LATER,
        (
            raised("DatasetUnavailable", "DatasetNotFoundError", "DatasetsError"),
            begins(("ConnectionError", "ValueError"), r"couldn't (?:reach|find cache for) ", ("prepare",)),
        ),
    ),
    Cause(
        "model-gated",
        "submission",
        "The model is gated, and the leaderboard's account has no access to it.",
        "Remove the gate, or grant access to the leaderboard's account (the maintainers can tell you its name), and "
        "submit the model again.",
        signs=(raised("ModelGated"), raised("GatedRepoError", phases=_FETCHING)),
    ),
    Cause(
        "revision-gone",
        "submission",
        "The submitted commit is no longer in the model's repo: {detail}",
        "Submit a commit that exists in the repo now.",
        signs=(raised("RevisionGone"), raised("RevisionNotFoundError", phases=_FETCHING)),
    ),
    Cause(
        "model-gone",
        "submission",
        "The model's repo no longer exists on the Hub, or it is private: {detail}",
        "Make the repo public, or submit the model under its present name.",
        signs=(raised("ModelGone"), raised("RepositoryNotFoundError", phases=_FETCHING)),
    ),
    Cause(
        "hub-rate-limit",
        "hub",
        "The Hub limits our request rate: {detail}",
        TRIED_AGAIN,
        LATER,
        (
            both(raised("HfHubHTTPError", "HTTPStatusError"), text_matches(r"\b429\b|too many requests|rate limit")),
            both(raised("ConnectionError", phases=_FETCHING), text_matches(r"429 too many requests")),
        ),
    ),
    Cause(
        "publication-refused",
        "us",
        "The evaluation has finished, but the evaluation machine is not allowed to publish its details: {detail}",
        "You don't need to do anything: the maintainers check the machine's token, and the evaluation is retried.",
        LATER,
        (both(raised("PublicationFailed"), text_matches(r"\b40[13]\b|forbidden|unauthorized")),),
    ),
    Cause(
        "hub-access",
        "us",
        "The Hub does not accept the evaluation machine's token: {detail}",
        "You don't need to do anything: the maintainers check the token, and the evaluation is retried.",
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
        "The evaluation has finished, but its details could not be published: {detail}",
        TRIED_AGAIN,
        SHORTLY,
        (raised("PublicationFailed"),),
    ),
    Cause(
        "download-damaged",
        "hub",
        "A file of the model was damaged during the download: {detail}",
        TRIED_AGAIN,
        SHORTLY,
        (raised("BlobDiffers"), begins(("OSError",), r"consistency check failed", _FETCHING)),
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
            raised("HfHubHTTPError", "HTTPStatusError", "OfflineModeIsEnabled", phases=_ONLINE),
            raised("ConnectError", "ConnectTimeout", "ConnectionError", "RemoteProtocolError", phases=_ONLINE),
            raised("ReadError", "ReadTimeout", "WriteError", "PoolTimeout", phases=_ONLINE),
            raised("TimeoutError", "TimeoutException", "TooManyRedirects", phases=_ONLINE),
            # An HTML page in place of JSON or of a file, and a file that the Hub lists but does not send.
            raised("JSONDecodeError", "FileMetadataError", "DecodingError", phases=_ONLINE),
            raised("EntryNotFoundError", "RemoteEntryNotFoundError", "LocalEntryNotFoundError", phases=_ONLINE),
        ),
    ),
    Cause(
        "no-results",
        "unknown",
        "The evaluation finished without usable results: {detail}",
        "Check that the model computes finite numbers in the requested precision. The maintainers have the log.",
        signs=(raised("EvaluationFailed"),),
    ),
    Cause(
        "suite-changed",
        "us",
        "The suite was updated during the evaluation: {detail}",
        "You don't need to do anything: the model is evaluated again with the new version.",
        AT_ONCE,
    ),
    Cause(
        "results-refused",
        "us",
        "The evaluation has finished, but its results are invalid: {detail}",
        _OURS,
        ONCE,
    ),
    Cause(
        "samples-differ",
        "us",
        "The evaluation machine published scores that its own samples do not give: {detail}",
        "You don't need to do anything: these scores are not published, and another machine evaluates the model again.",
        SHORTLY,
    ),
    Cause(
        "answers-differ",
        "us",
        "The evaluation machine published answers that other machines do not get from this model: {detail}",
        "You don't need to do anything: its scores are not published, and another machine evaluates the model again.",
        SHORTLY,
    ),
)
