"""Search every line that was ever committed, in any branch, for keys and tokens.

    python .ci/audit_history.py

Print commit, file and kind of each likely secret, never the secret itself. Exit with status 1 if there is one.
The search covers known formats only: a search by entropy would report the project's many digests and ids.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from detect_secrets.core import scan
from detect_secrets.settings import transient_settings

FORMATS = (
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)
HUB_TOKEN = re.compile(r"\b(?:hf|hf_oauth|hf_jwt)_[A-Za-z0-9]{30,}\b")
HAS_DIGITS = re.compile(r"\d.*\d.*[A-Z]|[A-Z].*\d.*\d|\d.*[A-Z].*\d")
"""A real token mixes digits and capital letters; the tests' made-up tokens are words, and do not match."""
LONGEST = 2_000
PLANTED = ("-----BEGIN RSA " + "PRIVATE KEY-----", "ghp_" + "aB3d" * 9, "hf_" + "aB3dE6gH9k" * 4, "AKIA" + "Z7" * 8)
"""Made-up secrets. If the search misses one of them, `main` stops: its result would mean nothing."""


@dataclass(frozen=True)
class Line:
    """One line that a commit added."""

    commit: str
    path: str
    text: str


def added() -> Iterator[Line]:
    """Every line that any commit added, each text once."""
    command = ["git", "log", "--all", "--reverse", "-p", "-U0", "--no-color", "--no-ext-diff", "--format=commit %H"]
    seen: set[str] = set()
    commit = path = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as git:
        assert git.stdout is not None
        for raw in git.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if line.startswith("commit "):
                commit = line.removeprefix("commit ")
            elif line.startswith("+++ "):
                path = line.removeprefix("+++ b/")
            elif line.startswith("+") and line not in seen:
                seen.add(line)
                yield Line(commit, path, line[1:][:LONGEST])
    if git.returncode:
        raise SystemExit("git could not show its history")


def kinds(text: str) -> list[str]:
    """Return the kind of each likely secret in `text`."""
    types = [secret.type for secret in scan.scan_line(text)]
    return types + ["Token of the Hub" for match in HUB_TOKEN.findall(text) if HAS_DIGITS.search(match)]


def main() -> int:
    """Print each likely secret and the number of searched lines; return 1 if there is a likely secret."""
    lines = hits = 0
    with transient_settings({"plugins_used": [{"name": name} for name in FORMATS]}):
        if blind := sum(not kinds(planted) for planted in PLANTED):
            raise SystemExit(f"{blind} of {len(PLANTED)} planted secrets were not found: nothing can be said")
        for line in added():
            lines += 1
            for kind in kinds(line.text):
                hits += 1
                print(f"{line.commit[:10]} {line.path}: {kind}")
    print(f"{lines:,} lines of all commits looked at: {hits} of them look like secrets.")
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
