"""Whatever a user may want played, as a `PcmSource`: bounded memory, nothing that blocks the event loop.

::

    path, bytes, URL ──▶ decoding (a thread) ─┐
    array, AudioSegment ──▶ arrays ───────────┴▶ conversion ▶ DecodedAhead ─┐
    async iterator ──▶ IteratorSource (a task) ─────────────────────────────┴▶ PcmSource

Every failure is a `PlaybackError` of one line: raised by `open_source` where nothing could be played, else kept in
`PcmSource.error`.
"""

from __future__ import annotations

from media.talk.sources.opening import open_source
from media.talk.sources.urls import UrlRules

__all__ = ["UrlRules", "open_source"]
