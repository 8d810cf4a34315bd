"""The carriers' media streams as they are sent, a file each; `DIALECTS` names them."""

from __future__ import annotations

from media.carrier.dialects.contract import Dialect
from media.carrier.dialects.signalwire import SIGNALWIRE
from media.carrier.dialects.signalwire_tap import SIGNALWIRE_TAP
from media.carrier.dialects.telnyx import TELNYX
from media.carrier.dialects.tryvox import TRYVOX
from media.carrier.dialects.twilio import TWILIO

DIALECTS: dict[str, Dialect] = {
    "telnyx": TELNYX,
    "twilio": TWILIO,
    "signalwire": SIGNALWIRE,
    "signalwire-tap": SIGNALWIRE_TAP,
    "tryvox": TRYVOX,
}
