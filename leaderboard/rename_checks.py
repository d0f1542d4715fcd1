"""Whether a rename is right: what was found out about it, and each check with a sentence for people.

Two models are the same where the Hub itself says so, by sending whoever asks for the old name to the new one; or where
their weights are the same and whoever asks for it may write to both. Facts in, words out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboard.reasons import Problem, Reason, names, table
from leaderboard.renames import RenameComparison, RenamePlan

WORDS = table(
    (
        Reason("redirects", "The Hub sends {old} to {new}: it is the same model.", ""),
        Reason("same-weights", "{old} and {new} have the same weights, and {who} may write to both.", ""),
        Reason(
            "elsewhere",
            "The Hub sends {old} to {there}, not to {new}.",
            "Name the model as it is called on the Hub now.",
        ),
        Reason("no-new", "There is no model {new} on the Hub.", "Rename the model on the Hub first."),
        Reason(
            "no-old",
            "There is no {old} on the Hub any more, and it does not lead to {new}.",
            "Rename the model on the Hub: then its old name leads to the new one.",
        ),
        Reason(
            "other-weights",
            "{old} and {new} are two models on the Hub, with other weights.",
            "A rename keeps the model. Submit the new one instead.",
        ),
        Reason(
            "not-theirs",
            "{old} and {new} have the same weights, but I cannot see that {who} may write to both.",
            "Let an owner of both open a discussion that links this, or rename the model on the Hub.",
        ),
        Reason("free", "No other model's files are at {new}.", ""),
        Reason("not-free", "{new} has files here already: {paths}.", "Only a person can tell which are right."),
        Reason("no-flag", "No flag is left behind.", ""),
        Reason(
            "flag",
            "{model} is flagged, and the flag has to come along.",
            "Ask for the rename with /rename: it takes the flag along.",
        ),
        Reason("at-rest", "Nothing of it is being evaluated.", ""),
        Reason("running", "{model} is being evaluated right now.", "Wait until that is over."),
        Reason("exact", "It does all that this rename needs, and nothing else: {count}.", ""),
        Reason(
            "at-once",
            "The Hub does not lead from {old} to {new}, so all of it has to be done at once.",
            "Ask for the rename with /rename.",
        ),
        Reason(
            "conflicts",
            "It conflicts with what is there by now, so it cannot be merged.",
            "Ask for the rename with /rename: it starts from what is there.",
        ),
        Reason("other-branch", "It is for the branch {name}, and files lie on main.", "Open it for main."),
        Reason(
            "does-nothing",
            "It does nothing of what renaming {old} to {new} needs.",
            "Ask for the rename with /rename.",
        ),
        Reason("partial", "What it does is right: {count}. Left to do: {left}.", ""),
    )
)


@dataclass(frozen=True)
class RenameFacts:
    """What was found out. `leads` is what the Hub calls `plan.old` now ("": nothing), `new_exists` whether it knows
    `plan.new`; `same_weights` and `may_write` (to both) count where the names do not lead to one model."""

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
    """One check, and how it went."""

    ok: bool
    problem: Problem


@dataclass(frozen=True)
class RenameVerdict:
    """Every check. `partial`: what passed is only a part of the rename."""

    lines: tuple[RenameCheckLine, ...]
    partial: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return all(line.ok for line in self.lines)

    def with_problems(self, problems: Iterable[Problem]) -> RenameVerdict:
        """The same, and `problems` speak against it too."""
        known = {line.problem for line in self.lines}
        more = tuple(RenameCheckLine(False, problem) for problem in problems if problem not in known)
        return RenameVerdict((*self.lines, *more), self.partial)


def judge(facts: RenameFacts, checked: RenameComparison | None = None, *, escapes: bool = True) -> RenameVerdict:
    """Hold `facts` against the rules, and `checked`, what a pull request does, where it is one.

    `escapes` says that a flag would be left behind.
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
    old, new, who = facts.plan.old, facts.plan.new, facts.requester
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
    return _line(facts.may_write, code, old=old, new=new, who=who or "whoever asks for it")


def _free(facts: RenameFacts) -> RenameCheckLine:
    """Files of the new name may be there where both names are one model: the plan sees to it that none is lost."""
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
