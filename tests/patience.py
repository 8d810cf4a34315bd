"""How long a test waits for what must come: long, because machines may be slow; it only bounds what never comes."""

from __future__ import annotations

PATIENCE_S = 300.0
