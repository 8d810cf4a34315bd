"""`Gathering`: digits until there are enough of them, in one try or several. Sans-I/O.

Each *try* is a prompt, if there is one, and what is entered then::

                 key                           terminator, maximum, timeouts
      PROMPTED -------------------> ENTERING ------------------------------+--> OVER
         |   prompt ended              ^ key                                |
         +-----------------> AWAITED --+----------------- timeouts ---------+--> PROMPTED, the next try

The timers begin with the end of the prompt, or with the key that interrupts it. What was entered is judged as a
whole, when the try is over: a wrong key among six is no reason to cut off the other three, which would be taken for
the beginning of the next try.

The names of the rules, and their defaults, are those of Telnyx's ``gather``; `docs/listening.md` has the others'.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from strep.clock import NEVER_NS, NS_PER_MS

KEYS = "0123456789*#ABCD"
MAX_DIGITS = 128
MAX_TIMEOUT_MS = 3_600_000
MAX_TRIES = 100

Status = Literal["valid", "invalid", "timeout", "call_hangup", "cancelled"]
"""How it ended, in Telnyx's words: timeout, nothing was entered; cancelled, the application stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherRules:
    """What is to be entered.

    Attributes:
        minimum_digits: with less, what was entered is invalid.
        maximum_digits: with so many it is complete.
        valid_digits: any other makes it invalid.
        terminating_digit: completes it, and is no part of it; each of several; "" is none.
        timeout_ms: from the end of the prompt until it is complete.
        initial_timeout_ms: from the end of the prompt to the first digit.
        inter_digit_timeout_ms: between digits.
        maximum_tries: with the first.
    """

    minimum_digits: int = 1
    maximum_digits: int = MAX_DIGITS
    valid_digits: str = "0123456789#*"
    terminating_digit: str = "#"
    timeout_ms: int = 60_000
    initial_timeout_ms: int = 5000
    inter_digit_timeout_ms: int = 5000
    maximum_tries: int = 1

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ValueError: which one is out of range, and what it may be.
        """
        if not 1 <= self.minimum_digits <= self.maximum_digits <= MAX_DIGITS:
            numbers = f"minimum_digits={self.minimum_digits}, maximum_digits={self.maximum_digits}"
            raise ValueError(f"{numbers}: 1 to {MAX_DIGITS}, and the minimum is no more than the maximum")
        for name in ("valid_digits", "terminating_digit"):
            value = getattr(self, name)
            if any(key not in KEYS for key in value) or (name == "valid_digits" and not value):
                raise ValueError(f"{name}={value!r}: it is made of {KEYS}")
        for name in ("timeout_ms", "initial_timeout_ms", "inter_digit_timeout_ms"):
            if not 1 <= getattr(self, name) <= MAX_TIMEOUT_MS:
                raise ValueError(f"{name}={getattr(self, name)}: 1 to {MAX_TIMEOUT_MS} ms")
        if not 1 <= self.maximum_tries <= MAX_TRIES:
            raise ValueError(f"maximum_tries={self.maximum_tries}: 1 to {MAX_TRIES}")


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was entered.

    Attributes:
        digits: of the last try, without the terminating one.
        status: how it ended.
        reason: the same in words, with the figures that decided.
        terminating_digit: which one ended it, "" if none did.
        tries: how many it took.
    """

    digits: str
    status: Status
    reason: str
    terminating_digit: str
    tries: int

    @property
    def is_valid(self) -> bool:
        """Whether `digits` is what was asked for."""
        return self.status == "valid"


class Phase(Enum):
    """Where a gathering stands."""

    PROMPTED = "prompted"
    AWAITED = "awaited"
    ENTERING = "entering"
    OVER = "over"


class Gathering:
    """One gathering, from its first prompt to its result.

    Whoever runs it plays a prompt whenever `phase` has become PROMPTED, tells it by `prompt_ended`, and falls silent
    when the phase is another before that.

    Attributes:
        phase: where it stands.
        tries: which try it is, from 1 on.
        digits: what was entered in it so far.
        was_invalid: the try before this one was invalid, and not just silent.
        result: when it is over.
    """

    def __init__(self, rules: GatherRules, now_ns: int, *, has_prompt: bool) -> None:
        self.rules = rules
        self.tries, self.was_invalid = 0, False
        self.result: Gathered | None = None
        self._has_prompt = has_prompt
        self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        self.tries += 1
        self.digits = ""
        self.phase = Phase.PROMPTED
        self._total_ns = self._next_ns = NEVER_NS
        if not self._has_prompt:
            self._await(now_ns)

    def _await(self, now_ns: int) -> None:
        self.phase = Phase.AWAITED
        self._total_ns = now_ns + self.rules.timeout_ms * NS_PER_MS
        self._next_ns = now_ns + self.rules.initial_timeout_ms * NS_PER_MS

    # -- what happens --------------------------------------------------------------------------------

    def prompt_ended(self, now_ns: int) -> None:
        """Take note that the prompt was heard to its end."""
        if self.phase is Phase.PROMPTED:
            self._await(now_ns)

    def receive(self, digit: str, now_ns: int) -> None:
        """Take a key; what is none, and what comes behind the end, is ignored."""
        self.poll(now_ns)
        if self.phase is Phase.OVER or len(digit) != 1 or digit not in KEYS:
            return
        if self.phase is Phase.PROMPTED:
            self._await(now_ns)
        self.phase = Phase.ENTERING
        if digit in self.rules.terminating_digit:
            self._end_try(f"ended by {digit}", now_ns, terminating_digit=digit)
            return
        self.digits += digit
        self._next_ns = now_ns + self.rules.inter_digit_timeout_ms * NS_PER_MS
        if len(self.digits) == self.rules.maximum_digits:
            self._end_try(f"{_count(len(self.digits))}, which is the most", now_ns)

    def poll(self, now_ns: int) -> None:
        """End a try whose time is over."""
        due_ns = self.deadline()
        if due_ns > now_ns:
            return
        rules = self.rules
        if self._total_ns <= self._next_ns:
            cause = f"not complete within {rules.timeout_ms} ms"
        elif self.phase is Phase.AWAITED:
            cause = f"no digit within {rules.initial_timeout_ms} ms"
        else:
            cause = f"no other digit within {rules.inter_digit_timeout_ms} ms"
        self._end_try(cause, due_ns)
        self.poll(now_ns)  # without a prompt the next try may be over as well: the depth is that of the tries

    def deadline(self) -> int:
        """Return when `poll` is due, in ns; `NEVER_NS` if nothing is waited for but the prompt."""
        return min(self._total_ns, self._next_ns)

    def hang_up(self, reason: str) -> None:
        """Take note that the call is over."""
        self._end("call_hangup", f"the call ended: {reason}")

    def cancel(self, reason: str = "stopped by the application") -> None:
        """End it without a result."""
        self._end("cancelled", reason)

    # -- the end -------------------------------------------------------------------------------------

    def _end_try(self, cause: str, now_ns: int, terminating_digit: str = "") -> None:
        status, why = self._judge(terminating_digit)
        reason = f"{cause}{why}"
        if status == "valid" or self.tries == self.rules.maximum_tries:
            self._end(status, reason, terminating_digit)
            return
        self.was_invalid = status == "invalid"
        self._begin(now_ns)

    def _judge(self, terminating_digit: str) -> tuple[Status, str]:
        wrong = sum(digit not in self.rules.valid_digits for digit in self.digits)
        if wrong:
            return "invalid", f"; {wrong} of {_count(len(self.digits))} not valid"  # not which: it may be of a PIN
        if len(self.digits) >= self.rules.minimum_digits:
            return "valid", ""
        if not self.digits and not terminating_digit:
            return "timeout", ""
        return "invalid", f"; {_count(len(self.digits))} of at least {self.rules.minimum_digits}"

    def _end(self, status: Status, reason: str, terminating_digit: str = "") -> None:
        if self.result is None:
            self.result = Gathered(self.digits, status, reason, terminating_digit, self.tries)
            self.phase = Phase.OVER
            self._total_ns = self._next_ns = NEVER_NS


def _count(digits: int) -> str:
    return "1 digit" if digits == 1 else f"{digits} digits"
