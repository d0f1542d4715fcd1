"""Every sentence that `steward init --space` prints about the bot's Space."""

from __future__ import annotations

from leaderboard.reasons import Reason, table

PROBLEMS = table(
    (
        Reason("space-name", "{name!r} cannot be the name of a Space.", "Give --bot-space the form ORG/NAME."),
        Reason(
            "space-clash",
            "{name} is the board's community Space, which shows the leaderboard.",
            "Give --bot-space another name: the bot needs a Space of its own.",
        ),
        Reason(
            "space-owner",
            "The bot's token (account {account}) may not create a Space in {owner}.",
            "Make {account} a member of {owner} with the role write, use a token that may write there, or give "
            "--bot-space another owner.",
        ),
        Reason(
            "space-options",
            "--hardware, --storage, --sleep and --wheel are for the bot's Space, and no Space is asked for.",
            "Add --space, and leave out --url or name the Space with --bot-space.",
        ),
        Reason("space-no-owner", "There is no organisation {owner} on the Hub.", "Correct --bot-space."),
        Reason(
            "space-foreign",
            "The Space {name} exists, and the bot's token may not write to it.",
            "Give --bot-space another name, or let the bot's account write to that Space.",
        ),
        Reason(
            "space-sdk",
            "The Space {name} exists with the SDK {sdk}, and the bot needs a Docker Space.",
            "Give --bot-space another name, or delete that Space.",
        ),
        Reason(
            "space-files",
            "The Space {name} holds files that are not Steward's: {files}.",
            "Give --bot-space another name, or delete these files.",
        ),
        Reason(
            "space-board",
            "The Space {name} runs another board, {other}.",
            "Give --bot-space another name: one Space runs one board.",
        ),
        Reason(
            "space-secret",
            "The Space {name} has a webhook secret, which the Hub does not show, and this machine has none.",
            "Set STEWARD_WEBHOOK_SECRET_FILE to the file with that secret, or use --new-secret.",
        ),
        Reason(
            "space-both",
            "The Space {name} has {key} as a variable, and the bot needs a secret of that name.",
            "Delete the variable in the Space's settings: a Space with both does not start.",
        ),
        Reason(
            "space-variable",
            "The Space {name} has {key} as a secret, and the bot needs a variable of that name.",
            "Delete the secret in the Space's settings: a Space with both does not start.",
        ),
        Reason("hardware", "The Hub has no hardware {hardware!r} for Spaces.", "Use one of {known}."),
        Reason(
            "hardware-pay",
            "The hardware {hardware} costs money, and {owner} has no payment method on the Hub.",
            "Add one in the settings of {owner}, or leave out --hardware: cpu-basic is free.",
        ),
        Reason(
            "storage",
            "{storage!r} cannot be the name of a bucket.",
            "Give --storage a name as in our-board/bot-data, or write small for a bucket beside the Space.",
        ),
        Reason(
            "storage-owner",
            "{account} may not create the bucket {bucket}.",
            "Name a bucket of the board's organisation, or leave out --storage: the Hub's repos hold every decision.",
        ),
        Reason(
            "storage-public",
            "The bucket {bucket} is public, and the queue server's data is for the bot alone.",
            "Make it private in its settings, or name another one.",
        ),
        Reason(
            "storage-taken",
            "The {kind} {source} is mounted at {path} of the Space {name}.",
            "Unmount it in the Space's settings, or leave out --storage.",
        ),
        Reason(
            "sleep",
            "{hardware} sleeps after two days without a visitor: its --sleep cannot be set.",
            "Give --hardware a paid kind too, or leave out --sleep.",
        ),
        Reason("sleep-value", "--sleep cannot be {sleep} seconds.", "Use -1 (never), or a number from 60."),
        Reason(
            "unpublished",
            "This is Steward {version}, which is on no package index, so a Space cannot install it.",
            "Build a wheel (`python -m build --wheel`), and give its path with --wheel.",
        ),
        Reason(
            "wheel",
            "{path} is not a wheel of Steward: {why}.",
            "Give --wheel the file steward_leaderboard-…-py3-none-any.whl.",
        ),
        Reason(
            "suite-file",
            "The suite file {path} is not below this folder, so the Space cannot have it at the same path.",
            "Put it beside the board file, and name it there by a relative path.",
        ),
        Reason(
            "suite-name",
            "The name of the suite file {path} has characters other than letters, digits, dots, dashes and '_': "
            "the image of the Space could not copy it.",
            "Rename it, and correct `suite` in the board file.",
        ),
        Reason("repo-write", "The bot's token may not write to the {kind} {repo}.", "Let {account} write to it."),
        Reason(
            "repo-twice",
            "The board file names {repo} for {roles}: each needs a repo of its own.",
            "Correct `repos` in the board file.",
        ),
        Reason(
            "logs-public",
            "{repo} is public, and is for logs that not everybody may read.",
            "Make it private in its settings on the Hub.",
        ),
        Reason(
            "other-server",
            "Webhooks of {account} report {repo} to {url}: another server runs this board.",
            "Stop that server, and delete these webhooks in the Hub's settings; or name another board file.",
        ),
        Reason(
            "webhook-secret",
            "The webhook secret holds characters that the Hub does not take.",
            "Use letters, digits and signs of ASCII alone, or let `init` generate one.",
        ),
        Reason(
            "board-folder",
            "The folder {folder} of the board file cannot be written to.",
            "Set STEWARD_BOARD to a path in a folder of yours.",
        ),
    )
)
"""Code → the sentences of a problem that keeps `init --space` from making the Space."""

DONE = "Next: open {host}. The Hub builds the Space in a few minutes; until then its page says so."
LOCAL_REDIS = "REDIS_URL names this machine, so the Space starts a queue server of its own."
LOOK = "See its log at {page}, and check with `steward doctor` in the Space's terminal."
FAILED = "The setup failed: {reason}"
UNDONE = "Removed again: {what}."
NOT_UNDONE = "Could not be removed: {what}: {reason} Remove it by hand."
RUN_AGAIN = "Everything is as before. Run the command again when the cause is mended."
REMAINS = "The rest is as before. Run the command again when the cause is mended: it continues with what is there."
NEW_ADDRESS = "The Hub serves the Space at {host}, where its webhooks cannot arrive safely: {reason}"


EXISTS = "The Docker Space {space} is up to date."
STEPS = {
    "create": ("create", "Created", "the Docker Space {space}, in which the bot runs."),
    "variable": ("set", "Set", "the variable {key}={value} of the Space {space}."),
    "secret": ("set", "Set", "the secret {key} of the Space {space}."),
    "hardware": ("request", "Requested", "the hardware {value} for the Space {space}."),
    "bucket": ("create", "Created", "the private bucket {value}."),
    "volume": ("mount", "Mounted", "the bucket {value} for the queue server's data in the Space {space}."),
    "files": ("write", "Wrote", "{value} in the Space {space}."),
}
"""Kind of a step → the verb after "Would", the verb when it is done, and the rest of the line."""


def step_line(kind: str, *, apply: bool, **details: str) -> str:
    """The line of one step, which is done with `apply` and planned without."""
    would, done, rest = STEPS[kind]
    return f"{done if apply else f'Would {would}'} {rest.format(**details)}"
