"""`Places`: where on the call's timeline a sample lies that a recognizer was given. Sans-I/O.

A recognizer counts what it was given, at its own rate, and was given speech only. So each stretch of speech that
follows on the last begins a new line here, and engine time is mapped back along the lines, exactly where both rates
are whole multiples.
"""

from __future__ import annotations

from bisect import bisect_right


class Places:
    """The timeline of one recognizer.

    Attributes:
        given_samples: what it was given so far, at the call's rate.
        end_samples: where on the call's timeline that ends.
    """

    def __init__(self, call_rate_hz: int, engine_rate_hz: int) -> None:
        self._call_hz, self._engine_hz = call_rate_hz, engine_rate_hz
        self._given: list[int] = []  # at the call's rate; of each stretch, where it begins
        self._lies: list[int] = []
        self.given_samples = self.end_samples = 0

    def give(self, position_samples: int, length_samples: int) -> None:
        """Take note that the recognizer was given what lies here."""
        if not self._given or position_samples != self.end_samples:
            self._given.append(self.given_samples)
            self._lies.append(position_samples)
        self.given_samples += length_samples
        self.end_samples = position_samples + length_samples

    def begin_of(self, engine_samples: int) -> int:
        """Return where something lies that begins here, in samples of the engine, on the call's timeline."""
        return self._place(self._at_call_rate(engine_samples))

    def end_of(self, engine_samples: int) -> int:
        """Return the same of an end: that of a stretch is not the beginning of the next."""
        given = self._at_call_rate(engine_samples)
        return self._place(given - 1) + 1 if given else self._place(0)

    def forget_before(self, engine_samples: int) -> None:
        """Forget the stretches that end before here: nothing is said of them any more."""
        first = bisect_right(self._given, self._at_call_rate(engine_samples)) - 1
        if first > 0:
            del self._given[:first], self._lies[:first]

    def _at_call_rate(self, engine_samples: int) -> int:
        given = round(engine_samples * self._call_hz / self._engine_hz)
        return min(max(given, 0), self.given_samples)

    def _place(self, given: int) -> int:
        if not self._given:
            return self.end_samples
        line = max(bisect_right(self._given, given) - 1, 0)
        return self._lies[line] + max(given - self._given[line], 0)
