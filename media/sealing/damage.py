"""What of a sealed file is not what was written: where, why, and which of the audio is silent for it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

NOT_WRITTEN = "is not what was written"
NO_KEY = "cannot be opened, for the key before it is not what was written"
NO_KEY_FITS = (
    "cannot be opened with any of the keys: it was sealed for another one, or what says for whom was altered"
)
OUT_OF_ORDER = "is not in its order"
REPLACED = "is not all that was there when it was closed: records are missing, or others that it had once are back"


class Damage(msgspec.Struct, frozen=True):
    """A span of a sealed file.

    Attributes:
        start_bytes, length_bytes: of the sealed file.
        reason: what is wrong, to follow on "from byte ... to byte ...".
        start_samples, length_samples: of the opened file; None: no audio is known to be missing.
    """

    start_bytes: int
    length_bytes: int
    reason: str
    start_samples: int | None = None
    length_samples: int | None = None

    @property
    def end_bytes(self) -> int:
        """Where it ends."""
        return self.start_bytes + self.length_bytes

    def text(self, sample_rate_hz: int) -> str:
        """Return a line that says it."""
        line = f"from byte {self.start_bytes} to byte {self.end_bytes} it {self.reason}"
        if self.start_samples is None or self.length_samples is None:
            return line
        start_s, length_s = (count / sample_rate_hz for count in (self.start_samples, self.length_samples))
        return f"{line}; silent from {start_s:.2f} s on for {length_s:.2f} s"


def merged(damages: Iterable[Damage]) -> list[Damage]:
    """Return damages in their order, those that adjoin and are alike as one."""
    found: list[Damage] = []
    for damage in damages:
        before = found[-1] if found else None
        if before is None or (before.end_bytes, before.reason) != (damage.start_bytes, damage.reason):
            found.append(damage)
            continue
        spans = [
            (one.start_samples, one.start_samples + one.length_samples)
            for one in (before, damage)
            if one.start_samples is not None and one.length_samples is not None
        ]
        start = min((first for first, _ in spans), default=None)
        length = None if start is None else max(last for _, last in spans) - start
        size = before.length_bytes + damage.length_bytes
        found[-1] = Damage(before.start_bytes, size, damage.reason, start, length)
    return found
