"""Shell: `Alarms`, a look a second on the event loop, and a line in the log for each that is raised or cleared."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from media.alarms.board import AlarmBoard, Snapshot
from media.alarms.rules import RULES
from media.repeat import Repeater
from strep.clock import NS_PER_SECOND, Clock, iso8601

_LOG = logging.getLogger("strep.alarms")
LOOK_EVERY_S = 1.0
_RULES = {rule.name: rule for rule in RULES}


class Alarms:
    """The alarms of a process, kept up to date."""

    def __init__(self, snapshot: Callable[[], Snapshot], clock: Clock) -> None:
        """Look at what `snapshot` returns; `start` begins."""
        self._snapshot, self._clock = snapshot, clock
        self._board = AlarmBoard(RULES)
        self._looks = Repeater(LOOK_EVERY_S, self.look)
        self._looked_ns: int | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._looks.start()

    def stop(self) -> None:
        """Stop."""
        self._looks.stop()
        self._looked_ns = None

    def look(self) -> None:
        """Look once, and log what has changed; an alarm changes at most twice in `Rule.clear_after` seconds."""
        self._looked_ns = now_ns = self._clock.now_ns()
        for alarm in self._board.look(self._snapshot(), now_ns):
            rule = alarm.rule
            if alarm.is_raised:
                level = logging.ERROR if rule.severity == "critical" else logging.WARNING
                text = "alarm %s: %s (%s). What to do: %s"
                _LOG.log(level, text, rule.name, rule.meaning, alarm.detail, rule.remedy)
            else:
                _LOG.warning("alarm %s is over", rule.name)

    def report(self) -> dict[str, Any]:
        """Return what is raised, and how old that is; see `report_of`; from any thread."""
        return report_of(self.snapshot(), self._clock.wall_ns()) | {"age_s": self.age_s}

    @property
    def age_s(self) -> float:
        """How long ago the event loop had its last look, 0 while it is to have none; from any thread."""
        looked_ns = self._looked_ns
        return 0.0 if looked_ns is None else (self._clock.now_ns() - looked_ns) / NS_PER_SECOND

    def snapshot(self) -> list[Snapshot]:
        """Return all alarms; see `AlarmBoard.snapshot`."""
        return self._board.snapshot(self._clock.now_ns())


def report_of(alarms: Iterable[Snapshot], wall_ns: int) -> dict[str, Any]:
    """Return what is raised among the alarms of a snapshot, critical ones first, JSON values.

    ``{"status", "alarms": [{"name", "severity", "since", "meaning", "detail", "remedy"}]}``; "ok" if there are none.
    """
    raised = sorted((alarm for alarm in alarms if alarm.get("is_raised")), key=lambda alarm: str(alarm["severity"]))
    said = [
        {
            "name": alarm["name"],
            "severity": alarm["severity"],
            "since": iso8601(wall_ns - alarm["age_ns"]),
            "meaning": _RULES[alarm["name"]].meaning,
            "detail": alarm["detail"],
            "remedy": _RULES[alarm["name"]].remedy,
        }
        for alarm in raised
    ]
    return {"status": said[0]["severity"] if said else "ok", "alarms": said}
