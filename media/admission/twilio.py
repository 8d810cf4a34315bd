"""Twilio's signature of the request that opens a media stream: header X-Twilio-Signature ("Validating requests").

HMAC-SHA1, in base64, of the URL that Twilio was given, with the account's auth token as the key; a WebSocket's
request has no parameters to add. Proxies change what we see of the URL: then the address that Twilio was told must be
configured.
"""

from __future__ import annotations

import hmac
from base64 import b64encode

HEADER = "X-Twilio-Signature"


def is_signed(auth_token: str, signature: str, url: str) -> bool:
    """Tell whether `signature` is Twilio's of `url`, with or without a slash at its end; in constant time."""
    given = signature.encode(errors="replace")
    forms = {url, url.rstrip("/"), url.rstrip("/") + "/"}
    return bool(sum(hmac.compare_digest(_sign(auth_token, form), given) for form in forms))


def _sign(auth_token: str, url: str) -> bytes:
    return b64encode(hmac.digest(auth_token.encode(), url.encode(errors="replace"), "sha1"))
