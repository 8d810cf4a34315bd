"""`Door`: may this request open a socket, and this stream begin? Judged before anything is allocated for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from websockets.http11 import Request

from media.admission.credentials import AUTH_HEADER, of_request
from media.admission.tokens import TokenGate, Verdict
from media.admission.twilio import HEADER, is_signed
from media.throttle import ThrottledLog
from media.ws.host import Handshake
from media.ws.options import WsServerOptions
from strep.clock import Clock

_LOG = logging.getLogger(__name__)
_REFUSED = (Verdict.UNKNOWN, Verdict.EXPIRED)


class Door:
    """Judges requests and streams as configured; without a gate it is open.

    Attributes:
        signed: requests that were let in because Twilio had signed them.
    """

    def __init__(self, options: WsServerOptions, clock: Clock) -> None:
        self.signed = 0
        self._options, self._clock = options, clock
        self._log = ThrottledLog(_LOG, clock)

    @property
    def gate(self) -> TokenGate | None:
        """Who judges tokens; None: nobody."""
        return self._options.gate

    def admit(self, request: Request, remote: str) -> Handshake | None:
        """Return who asks; None if that is refused already: by a token where one belongs, and it is wrong.

        Who has not shown one may still do so in the first frames.
        """
        headers = request.headers
        shown = of_request(request.path, headers.get_all(AUTH_HEADER), headers.get_all("Authorization"))
        handshake = Handshake(remote, request.path, (*shown.plain, *shown.perhaps), self._is_signed(request))
        gate = self._options.gate
        if gate is None or handshake.is_known or not shown.plain:
            return handshake
        verdict = gate.judge(handshake.credentials, self._clock.wall_ns())
        if verdict in _REFUSED:
            self._log.warning(f"connection from {remote} refused: it shows {verdict.value}")
            return None
        return handshake

    def judge(self, handshake: Handshake, shown: Sequence[str], stream_id: str) -> Verdict:
        """Judge a stream that wants to begin, by what its request and its frames have shown."""
        gate = self._options.gate
        if gate is None or handshake.is_known:
            return Verdict.GOOD
        return gate.judge((*shown, *handshake.credentials), self._clock.wall_ns(), stream_id)

    def _is_signed(self, request: Request) -> bool:
        options, signatures = self._options, request.headers.get_all(HEADER)
        if not options.twilio_auth_token or not signatures:
            return False
        base = options.public_url.rstrip("/") or f"wss://{(request.headers.get_all('Host') or [''])[0]}"
        is_signed_ = is_signed(options.twilio_auth_token, signatures[0], base + request.path)
        self.signed += is_signed_
        return is_signed_
