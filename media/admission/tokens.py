"""Tokens: who shows one that is known may stream; compared in constant time, so that no answer tells how much fits.

There are two kinds. *Static* tokens are any text of at least `MIN_CHARACTERS`, good until the server is told others.
*Signed* ones are made, for one call as a rule, by whoever has the server's key (``strep token``, `sign`)::

    strep1.<last second of validity, Unix time>.<nonce>.<HMAC-SHA256 of all before the last dot, base64url>

A signed token is good until it expires, and for one stream: the first that shows it. That one may show it again,
for carriers dial the same address when a socket breaks. `media.admission.uses` remembers whose a token is.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from enum import Enum
from hashlib import sha256

from media.admission.uses import OwnUses, Uses
from strep.clock import NS_PER_SECOND
from strep.errors import ConfigurationError

PREFIX = "strep1"
MIN_CHARACTERS = 16
"""Of a static token: what is shorter can be guessed."""
MAX_CHARACTERS = 512
"""What is longer is no token, and is not looked at."""
MAX_SHOWN = 16
"""So many of one socket are looked at."""


class Verdict(Enum):
    """What became of the tokens that a peer showed; the values are for people."""

    GOOD = "good"
    NONE = "no token"
    UNKNOWN = "no token that is known"
    EXPIRED = "a token that has expired"
    USED = "a token of another stream"
    FULL = "more signed tokens than can be remembered"


def new_token() -> str:
    """Return a static token nobody can guess, 43 characters."""
    return secrets.token_urlsafe(32)


def sign(key: bytes, expires_s: int, nonce: str | None = None) -> str:
    """Return a signed token that is good up to and with the second `expires_s` of Unix time."""
    said = f"{PREFIX}.{expires_s}.{nonce or secrets.token_urlsafe(12)}"
    return f"{said}.{_mac(key, said)}"


class TokenGate:
    """Judges what peers show.

    Attributes:
        verdicts: how often each was given, to streams that wanted to begin.
        is_live: tells whether a stream is, which goes on with the signed token that it has and no other: else who has
            one for a call of its own would get into another's, by its stream_id.
    """

    def __init__(self, tokens: Iterable[str] = (), key: bytes | None = None, uses: Uses | None = None) -> None:
        """Let those in who have one of `tokens`, or one signed with `key`; `uses` knows whose those are.

        Raises:
            ConfigurationError: a token that is too short or too long, or a key that is too short.
        """
        known = list(tokens)
        if any(not MIN_CHARACTERS <= len(token) <= MAX_CHARACTERS for token in known):
            raise ConfigurationError(
                f"a token has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters; `strep token` makes a good one"
            )
        if key is not None and len(key) < MIN_CHARACTERS:
            raise ConfigurationError(f"a key has at least {MIN_CHARACTERS} bytes; `strep token` makes a good one")
        self.verdicts: dict[Verdict, int] = dict.fromkeys(Verdict, 0)
        self.is_live: Callable[[str], bool] = lambda stream_id: False
        self._digests = [_digest(token) for token in known]
        self._key = key
        self._uses: Uses = uses or OwnUses()

    def judge(self, shown: Iterable[str], wall_ns: int, stream_id: str | None = None) -> Verdict:
        """Judge the tokens that a peer has shown.

        Args:
            shown: candidates; those beyond `MAX_SHOWN` are not looked at.
            wall_ns: wall time, ns since the epoch.
            stream_id: who wants to begin, and has a good signed token for itself from now on; None only asks.
        """
        candidates = [token for token in list(shown)[:MAX_SHOWN] if token and len(token) <= MAX_CHARACTERS]
        verdicts = [self._judge_one(token, wall_ns, stream_id) for token in candidates]  # all: no early end
        verdict = next((said for said in Verdict if said in verdicts), Verdict.NONE)
        if stream_id is not None:
            self.verdicts[verdict] += 1
        return verdict

    def _judge_one(self, token: str, wall_ns: int, stream_id: str | None) -> Verdict:
        digest = _digest(token)
        if sum(hmac.compare_digest(digest, known) for known in self._digests):
            return Verdict.GOOD
        said, _, mac = token.rpartition(".")
        if self._key is None or not hmac.compare_digest(_mac(self._key, said).encode(), mac.encode(errors="replace")):
            return Verdict.UNKNOWN
        prefix, expires, nonce = said.split(".", 2)  # it is ours: it has that form
        if prefix != PREFIX or wall_ns // NS_PER_SECOND > int(expires):
            return Verdict.EXPIRED
        if stream_id is None:
            return Verdict.GOOD
        begins, now_s = not self.is_live(stream_id), wall_ns // NS_PER_SECOND
        is_its = self._uses.claim(nonce, int(expires), stream_id, now_s, begins=begins)
        return Verdict.FULL if is_its is None else Verdict.GOOD if is_its else Verdict.USED


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="replace")).digest()


def _mac(key: bytes, said: str) -> str:
    mac = hmac.digest(key, said.encode(errors="replace"), "sha256")
    return urlsafe_b64encode(mac).rstrip(b"=").decode()
