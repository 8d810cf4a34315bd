"""`Check`: one rule, of which the program, its table for people and docs/doctor.md are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from media.doctor.demand import Demand
from media.doctor.facts import Facts


class Level(Enum):
    """How it is, from good to bad."""

    OK = "ok"
    UNKNOWN = "unknown"
    """It cannot be read here; nothing is wrong with that."""
    ADVICE = "advice"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of a machine.

    Attributes:
        level: see there.
        found: what there is, with figures.
        subject: of what, where a rule looks at several things.
        values: what the rule's remedy needs.
    """

    level: Level
    found: str
    subject: str = ""
    values: dict[str, object] = field(default_factory=dict)


def ok(found: str, subject: str = "") -> Verdict:
    """Return that all is well."""
    return Verdict(Level.OK, found, subject)


def unknown(found: str = "cannot be read here", subject: str = "") -> Verdict:
    """Return that nobody knows."""
    return Verdict(Level.UNKNOWN, found, subject)


def advice(found: str, subject: str = "", /, **values: object) -> Verdict:
    """Return that it could be better."""
    return Verdict(Level.ADVICE, found, subject, values)


def problem(found: str, subject: str = "", /, **values: object) -> Verdict:
    """Return that it will not do."""
    return Verdict(Level.PROBLEM, found, subject, values)


Judge = Callable[[Facts, Demand], Iterable[Verdict]]


@dataclass(frozen=True, slots=True)
class Check:
    """A rule.

    Attributes:
        name: by which programs know it.
        topic: its heading.
        bad: when it is a problem, or advice; for the page.
        meaning: what it is to a server.
        remedy: what to type; ``{value}`` is one of the verdict's.
        judge: facts and demand to verdicts, without a look at anything else.
    """

    name: str
    topic: str
    bad: str
    meaning: str
    remedy: str
    judge: Judge


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict with all that its rule has to say about it."""

    name: str
    topic: str
    subject: str
    level: Level
    found: str
    meaning: str
    remedy: str
    """Empty where there is nothing to be done."""


def examine(facts: Facts, demand: Demand, checks: Iterable[Check]) -> Iterator[Finding]:
    """Yield what all rules say."""
    for check in checks:
        for verdict in check.judge(facts, demand):
            is_bad = verdict.level in (Level.ADVICE, Level.PROBLEM)
            remedy = check.remedy.format_map(verdict.values) if is_bad else ""
            yield Finding(
                check.name, check.topic, verdict.subject, verdict.level, verdict.found, check.meaning, remedy
            )


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level; what is unknown counts as well."""
    levels = {finding.level for finding in findings} - {Level.UNKNOWN}
    return max(levels, key=list(Level).index, default=Level.OK)
