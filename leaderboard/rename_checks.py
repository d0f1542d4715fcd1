"""Checks whether a rename is right: the facts about it, and each check with a sentence for people.

Two names belong to one model if the Hub redirects the old name to the new one, or if the weights are the same and the
requester may write to both repos.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboard.reasons import Problem, Reason, names, table
from leaderboard.rename_comparison import RenameComparison
from leaderboard.renames import RenamePlan

WORDS = table(
    (
        Reason("redirects", "The Hub redirects {old} to {new}: it is the same model.", ""),
        Reason("same-weights", "{old} and {new} have the same weights, and {who} may write to both.", ""),
        Reason(
            "elsewhere",
            "The Hub redirects {old} to {there}, not to {new}.",
            "Use the model's present name on the Hub.",
        ),
        Reason("no-new", "There is no model {new} on the Hub.", "Rename the model on the Hub first."),
        Reason(
            "no-old",
            "There is no {old} on the Hub any more, and it does not redirect to {new}.",
            "Rename the model on the Hub: its old name then redirects to the new one.",
        ),
        Reason(
            "other-weights",
            "{old} and {new} are two models on the Hub with different weights.",
            "A rename keeps the weights. Submit {new} as a new model instead.",
        ),
        Reason(
            "not-theirs",
            "{old} and {new} have the same weights, but I cannot see that {who} may write to both.",
            "Ask an owner of both to open a discussion that links to this one, or rename the model on the Hub.",
        ),
        Reason("free", "No other model has files at {new}.", ""),
        Reason("not-free", "{new} has files here already: {paths}.", "Ask a maintainer to decide which to keep."),
        Reason("no-flag", "No flag is lost.", ""),
        Reason(
            "flag",
            "{model} is flagged, and the flag has to move with it.",
            "Ask for the rename with /rename, which moves the flag as well.",
        ),
        Reason("at-rest", "None of its requests is being evaluated.", ""),
        Reason("running", "{model} is being evaluated right now.", "Wait until the evaluation has ended."),
        Reason("exact", "It makes every change that this rename needs, and no other: {count}.", ""),
        Reason(
            "at-once",
            "The Hub does not redirect {old} to {new}, so all files have to be renamed at once.",
            "Ask for the rename with /rename.",
        ),
        Reason(
            "conflicts",
            "It conflicts with the present files, so it cannot be merged.",
            "Ask for the rename with /rename, which starts from the present files.",
        ),
        Reason("other-branch", "It targets the branch {name}; the files are on main.", "Open it for main."),
        Reason(
            "does-nothing",
            "It makes none of the changes that renaming {old} to {new} needs.",
            "Ask for the rename with /rename.",
        ),
        Reason("partial", "Its changes are right: {count}. Still to do: {left}.", ""),
    )
)


@dataclass(frozen=True)
class RenameFacts:
    """The facts about a rename. `leads` is the Hub's present name of `plan.old` ("": none); `new_exists`: the Hub has
    `plan.new`; `same_weights` and `may_write` (to both repos) count if the Hub does not redirect the old name."""

    plan: RenamePlan
    leads: str
    new_exists: bool
    same_weights: bool = False
    requester: str = ""
    may_write: bool = False
    new_files: Sequence[str] = ()
    flagged: Sequence[str] = ()
    running: Sequence[str] = ()


@dataclass(frozen=True)
class RenameCheckLine:
    """One check and its result."""

    ok: bool
    problem: Problem


@dataclass(frozen=True)
class RenameVerdict:
    """The results of all checks. `partial`: the pull request makes only some of the changes."""

    lines: tuple[RenameCheckLine, ...]
    partial: bool = False

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(line.ok for line in self.lines)

    def with_problems(self, problems: Iterable[Problem]) -> RenameVerdict:
        """Return this verdict with `problems` added as failed checks."""
        known = {line.problem for line in self.lines}
        more = tuple(RenameCheckLine(False, problem) for problem in problems if problem not in known)
        return RenameVerdict((*self.lines, *more), self.partial)


def judge(facts: RenameFacts, checked: RenameComparison | None = None, *, escapes: bool = True) -> RenameVerdict:
    """Check `facts`, and `checked` if a pull request makes the rename.

    `escapes`: the rename would lose a flag.
    """
    lines = [_same_model(facts), _free(facts), _flags(facts, escapes=escapes), _nothing_running(facts)]
    if checked is None:
        lines += [RenameCheckLine(False, problem) for problem in facts.plan.problems]
        return RenameVerdict(tuple(lines))
    lines += _files(facts, checked)
    is_partial = checked.verdict == "partial"
    if is_partial and facts.leads != facts.plan.new:
        lines.append(_line(False, "at-once", old=facts.plan.old, new=facts.plan.new))
    return RenameVerdict(tuple(lines), is_partial)


def _line(ok: bool, code: str, **words: object) -> RenameCheckLine:
    return RenameCheckLine(ok, WORDS[code].problem(**words))


def _same_model(facts: RenameFacts) -> RenameCheckLine:
    old, new, requester = facts.plan.old, facts.plan.new, facts.requester
    if facts.leads == new != "":
        return _line(True, "redirects", old=old, new=new)
    if facts.leads and facts.leads.lower() != old.lower():
        return _line(False, "elsewhere", old=old, new=new, there=facts.leads)
    if not facts.new_exists:
        return _line(False, "no-new", new=new)
    if not facts.leads:
        return _line(False, "no-old", old=old, new=new)
    if not facts.same_weights:
        return _line(False, "other-weights", old=old, new=new)
    code = "same-weights" if facts.may_write else "not-theirs"
    return _line(facts.may_write, code, old=old, new=new, who=requester or "the requester")


def _free(facts: RenameFacts) -> RenameCheckLine:
    """Files under the new name are allowed if both names are one model: the plan overwrites none of them."""
    if facts.new_files and facts.leads != facts.plan.new:
        return _line(False, "not-free", new=facts.plan.new, paths=names(facts.new_files))
    return _line(True, "free", new=facts.plan.new)


def _flags(facts: RenameFacts, *, escapes: bool) -> RenameCheckLine:
    if facts.flagged and escapes:
        return _line(False, "flag", model=names(facts.flagged))
    return _line(True, "no-flag")


def _nothing_running(facts: RenameFacts) -> RenameCheckLine:
    return _line(False, "running", model=facts.plan.old) if facts.running else _line(True, "at-rest")


def _files(facts: RenameFacts, checked: RenameComparison) -> Iterable[RenameCheckLine]:
    if checked.verdict == "wrong":
        if not checked.problems:
            return [_line(False, "does-nothing", old=facts.plan.old, new=facts.plan.new)]
        return [RenameCheckLine(False, problem) for problem in checked.problems]
    done = len(facts.plan.files) - len(checked.left)
    if checked.verdict == "exact":
        return [_line(True, "exact", count=_count(done))]
    return [_line(True, "partial", count=_count(done), left=_count(len(checked.left)))]


def _count(number: int) -> str:
    return "1 file" if number == 1 else f"{number:,} files"
