"""The reasons for which predictions are refused."""

from __future__ import annotations

from leaderboard.reasons import Reason, table

REASONS = table(
    (
        Reason(
            "predictions-not-taken",
            "This leaderboard takes models, but no files of predictions.",
            "Submit a model, or choose a leaderboard that takes predictions.",
        ),
        Reason(
            "models-not-taken",
            "This leaderboard takes predictions, and no models.",
            "Submit a file of predictions, as the leaderboard's page describes.",
        ),
        Reason(
            "predictions-by-file",
            "Predictions are submitted as files, not here.",
            "Open a pull request in the requests repo with {places} and its request.",
        ),
        Reason(
            "predictions-private",
            "A request for predictions cannot be private.",
            "Name the request file …_eval_request_False_predictions_Original.json.",
        ),
        Reason(
            "predictions-weights",
            "A request for predictions has the weight type Original.",
            "Name the request file …_eval_request_False_predictions_Original.json.",
        ),
        Reason(
            "predictions-place",
            "The request does not name its file of predictions.",
            'Commit it as {places}, and write its path into the field "predictions".',
        ),
        Reason(
            "predictions-gone",
            "There is no file {path} beside the request.",
            "Commit the file of predictions together with the request.",
        ),
        Reason(
            "predictions-submitter",
            "'{who}' submitted predictions in the folder of '{org}'.",
            "Put request and predictions into the folder {who}/: predictions belong to the account that submits them.",
        ),
        Reason(
            "predictions-quota",
            "'{who}' has reached the limit of {most} files of predictions in 7 days.",
            "Submit it again in a few days. Refused files do not count.",
        ),
        Reason(
            "predictions-season",
            "No season is open at the moment.{next}",
            "Submit it again when a season is open.",
        ),
        Reason(
            "predictions-too-large",
            "The file of predictions has more than {most} bytes.",
            "Keep the ids and the predictions only, or write it as parquet.",
        ),
        Reason(
            "predictions-rows",
            "The file of predictions has more than {most} rows.",
            "Write one row for each question.",
        ),
        Reason(
            "predictions-costly",
            "Reading the file of predictions takes too much time or memory.",
            "Write it as plain JSON lines or CSV. A compressed file may not be much larger when it is read.",
        ),
        Reason(
            "predictions-compressed",
            "The file of predictions is compressed ({kind}).",
            "Commit it without compression, or as parquet.",
        ),
        Reason(
            "predictions-encoding",
            "The file of predictions is not text in UTF-8{guess}.",
            "Save it in UTF-8.",
        ),
        Reason(
            "predictions-unreadable",
            "The file of predictions cannot be read as {format}: {why}.",
            "Check it with a program that reads {format}, and commit it again.",
        ),
        Reason(
            "predictions-fields",
            "The file of predictions does not have the field {fields} exactly once.",
            "Each row needs the fields '{id}' and '{prediction}'. The file has {present}.",
        ),
        Reason(
            "predictions-lines",
            "Lines that are no JSON objects ({count}): {first}.",
            'Write one object in each line, as in {{"{id}": …, "{prediction}": …}}.',
        ),
        Reason(
            "predictions-ids",
            "Rows without a usable id ({count}): {first}.",
            "An id is the text or the whole number that the question has.",
        ),
        Reason(
            "predictions-doubled", "Ids that occur more than once ({count}): {first}.", "Predict each question once."
        ),
        Reason(
            "predictions-foreign",
            "Ids that no question has ({count}): {first}.",
            "Remove these rows, or correct their ids.",
        ),
        Reason(
            "predictions-missing",
            "Questions without a prediction ({count}): {first}.",
            "Predict every question.",
        ),
        Reason(
            "predictions-wrong", "Predictions that are not {what} ({count}): {first}.", "Correct these predictions."
        ),
    )
)
