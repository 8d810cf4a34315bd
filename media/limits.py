"""Descriptors: a recording and a WebSocket each hold one, and the usual limit of 1,024 is soon reached."""

from __future__ import annotations

import logging

_LOG = logging.getLogger("strep.limits")

WANTED_DESCRIPTORS = 65_536
FEW_DESCRIPTORS = 4096
"""Below this a busy server runs out."""


def attainable(soft: int | None, hard: int | None) -> int:
    """Return how many files a process may open when it has raised its soft limit; None is no limit."""
    wanted = WANTED_DESCRIPTORS if hard is None else min(hard, WANTED_DESCRIPTORS)
    return wanted if soft is None else max(soft, wanted)


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files as far as the hard one allows; return it, 0 where there is none.

    Not every system has such limits; where raising fails the old limit stays, and what runs into it is
    one recording or one connection, never the server.
    """
    try:
        import resource
    except ImportError:
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 0
    wanted = attainable(soft, None if hard == resource.RLIM_INFINITY else hard)
    if wanted > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            _LOG.warning("cannot raise the limit of open files from %d to %d: %s", soft, wanted, error)
            return soft
    if wanted < FEW_DESCRIPTORS:
        _LOG.warning("at most %d open files, and each recorded call needs one; see ulimit -Hn", wanted)
    return wanted
