"""What the reference page of files says beside what the models say: places, and fields known by their name alone."""

from __future__ import annotations

HEAD = """# Reference: files

The Hub is the only database, so all that Steward knows lies in files that people can read; and an operator writes two:
the [board file](#the-board-file) and, perhaps, a [suite file](#the-suite-file). Written by
`python -m steward.reference docs`.
"""
PLACES = (
    ("repo", "path", "what it is", "who writes it"),
    ("---", "---", "---", "---"),
    (
        "requests",
        "`{org}/{model}_eval_request_{private}_{precision}_{weight_type}.json`",
        "[a request](#a-request)",
        "people, front ends, the bot",
    ),
    ("requests", "`.steward/pauses`", "[what is paused](#a-pause-or-a-hold), by target", "the bot, people"),
    (
        "requests",
        "`.steward/adoption`",
        "[what was there before Steward](#the-record-of-adoption)",
        "`steward adopt`, once",
    ),
    (
        "results",
        "`{org}/{model}/results_{time}.json`",
        "the harness's results, with [a block](#the-block-in-results) of ours",
        "the bot",
    ),
    (
        "results",
        "`.steward/removed/{path}.removed`",
        "a file of a removed model, for `/restore`; `{path}` is where it was",
        "the bot",
    ),
    ("logs", "`{org}/{model}/{attempt}/log.txt`", "the log of an attempt, scrubbed and bounded", "the bot"),
    ("logs", "`{org}/{model}/{attempt}/outcome.json`", "[how it ended](#the-outcome-of-an-attempt)", "the bot"),
    (
        "logs",
        "`decisions/{year}/{month}/{day}/{id}.json`",
        "[a decision](#a-decision): who had what done by a command",
        "the bot",
    ),
    (
        "flags",
        "`flags/{org}/{model}.json`",
        "[a flag](#a-flag); tables for front ends beside it: [moderation](moderation.md#what-a-flag-does)",
        "the bot, people",
    ),
    (
        "contents",
        "`data/train-00000-of-00001.parquet`",
        "[the table of all evaluations](deploying.md#a-table-of-all-evaluations)",
        "the bot",
    ),
    (
        "details",
        "`README.md`",
        "a card that makes each task a config, and each run a split, for `load_dataset`",
        "a worker",
    ),
    (
        "details",
        "`{time}/details_{task}_{time}.parquet`",
        "every question, every answer, every score of one task",
        "a worker",
    ),
    ("details", "`{time}/results_{time}.parquet`, `results_{time}.json`", "the scores of a run", "a worker"),
    (
        "details",
        "`attempts/{attempt}/outcome.json`, `log.txt`",
        "how the attempt ended, in the same commit as all else of it",
        "a worker",
    ),
)
"""What lies where."""
FOOT = """
Each model has a details repo of its own, `details_{org}__{model}`. The Hub allows no name of more than 96 characters:
such a one is cut and ends in `_` and 16 digits of the model's sha256, and the status comment links it. `{time}` is ISO,
with `-` for `:`. The id of an attempt is `{12 digits of the request}-{8 of the commit}-{number}`.
"""

WORDS = {
    "RequestFile": {
        "model": "`org/name`",
        "status": "PENDING, RERUN, RUNNING, FINISHED, FAILED, PENDING_NEW_EVAL or CANCELLED",
        "base_model": "what a Delta or an Adapter is applied to",
        "revision": "branch, tag or commit; the bot puts the commit there",
        "precision": "as in the file's name",
        "weight_type": "Original, Delta or Adapter, as in the file's name",
        "private": "as in the file's name",
        "use_chat_template": "whether questions are put by the model's chat template",
        "submitted_time": "ISO, in UTC",
        "model_type": "the category that its submitter names",
        "sender": "who submitted it, believed of the board's front ends alone",
        "job_id": "the attempt that runs",
        "steward": "Steward's own facts: below",
    },
    "StewardFacts": {"failure": "why it failed: below"},
    "PreviousResult": {
        "revision": "commit that it is of",
        "results": "path in the results repo",
        "log": "address of its log",
    },
    "Failure": {
        "cause": "a word of the [table of causes](diagnosis.md), or of the [rules](submitting.md)",
        "fault": "whose it is: `submission`, `us`, `hub` or `unknown`",
        "message": "one sentence for people",
        "advice": "what to do",
    },
    "StewardBlock": {
        "average": "mean of the normalised scores, 0-100",
        "use_chat_template": "whether questions were put by the model's chat template",
    },
    "Outcome": {
        "path": "of the request file",
        "details": "where the details are; null where it failed",
        "failure": "why it failed; null where it did not",
    },
    "CommandDecision": {
        "person": "id and name of whoever gave the command, as the Hub reported them",
        "roles": "what they were towards the board and the model",
        "command": "the line as it was written",
        "verb": "its verb",
        "arguments": "its arguments",
        "model": "the model that it was about",
        "requests": "paths of the requests that it was about",
        "allowed": "whether they might",
        "answer": "what the bot answered",
        "comment": "id of the comment",
    },
    "Board": {
        "name": "part of every key in Redis, and of every attempt's id: never change it",
        "title": "what people call it",
        "repos": "below",
        "maintainer_organisations": "organisations, as `{name, role}`, whose members of that role are maintainers",
        "threads": "when a request gets a discussion of its own",
        "precisions": "those that can be asked for",
        "max_request_bytes": "of a request file",
    },
    "BoardRepos": {
        "requests": "dataset of the request files",
        "results": "dataset of the results",
        "logs": "dataset of logs and decisions; private",
        "community": "where people talk",
        "community_type": "what kind of repo that is",
        "details_namespace": "organisation of the details; workers write here and nowhere else",
    },
    "TierLimits": {"small": "GB of weights of a small request, at most", "medium": "the same of a medium one"},
    "FlagRecord": {
        "status": "`flagged`, `lifted` or what else was decided",
        "category": "[what is held against it](moderation.md#you-decide)",
        "reason": "in the words of whoever decided",
        "scope": "revision and precision, where it is about one alone",
        "thread": "address of the discussion",
        "reporter": "who reported it",
        "reporter_id": "the id of that account",
        "evidence": "what was found",
        "weights": "digest of its weights: whoever has them is flagged too",
        "also": "other names of the model",
        "decisions": "all that was decided, with who, when and why",
    },
    "AdoptionRecord": {
        "board": "name of the board",
        "by": "who decided it: id and name",
        "commits": "repo → commit that it had",
        "threads": "repo → highest number of a thread that was there",
    },
    "Hold": {"reason": "why; everybody can read it", "by": "who decided it", "at": "when, ISO in UTC"},
    "Suite": {
        "name": "what results and pauses call it",
        "title": "what people call it",
        "version": "of the suite; any change of the file changes its digest",
        "run": "what the harness is told to evaluate: tasks, or groups of them",
        "benchmarks": "the columns of the leaderboard: below",
        "datasets": "where the questions lie: below; one of them where the suite defines its own tasks",
        "definitions": "tasks of the suite's own: below",
    },
    "Benchmark": {
        "name": "of the column",
        "source": "task or group whose entry in the harness's results holds the raw score",
        "tasks": "its tasks, as `{name, choices}`; `choices` is how many answers a guesser has",
        "metrics": "`metric,filter` in the harness's words; the raw score is their mean",
        "shots": "examples before each question",
        "normalise": "`whole`: the raw score above guessing, as 0-100; `subtasks`: so each task, then the mean",
        "choices": "answers that a guesser has, where the benchmark is normalised as a whole",
        "generative": "whether the model writes its answers",
    },
    "Dataset": {"repo": "its id on the Hub", "revision": "commit; left out: that of the moment, which is recorded"},
    "Definition": {
        "task": "its name",
        "output": "choose among `choices`, or write",
        "description": "what stands before the examples",
        "prompt": "how a question is put; `{{field}}` is a field of it",
        "target": "which field holds the right answer",
        "choices": "the answers to choose from",
        "until": "where a written answer ends",
        "max_tokens": "its length, at most",
    },
}
"""What fields mean whose model says no more than their name."""
COMMON = {
    "v": "version of the form",
    "version": "version of the form",
    "attempt": "the attempt's id",
    "model": "`org/name`",
    "revision": "commit of the model",
    "precision": "at which it was evaluated",
    "weight_type": "Original, Delta or Adapter",
    "base_revision": "the commit of that",
    "suite": "its name",
    "suite_digest": "what suite it was, to the last letter",
    "started": "when",
    "ended": "when",
    "versions": "package → version",
    "hardware": "what it ran on",
    "results_path": "of the results file",
}
