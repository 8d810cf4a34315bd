"""How people write addresses, shares and times on the command line, and what they are told if they do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from media.carrier.keys import KEYS
from media.carrier.network import Span
from media.carrier.udp import Address
from strep.clock import NS_PER_SECOND

Context = click.Context | None
Parameter = click.Parameter | None
if TYPE_CHECKING:  # a generic class since click 8.2, and only there to be subscripted
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType


class AddressParameter(_ParamType):
    """``HOST:PORT``; an IPv6 host in brackets."""

    name = "host:port"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> Address:
        """Return (host, port)."""
        host, colon, port = str(value).rpartition(":")
        if not colon or not host:
            self.fail(f"{value!r} is not HOST:PORT, like 127.0.0.1:9000 or [::1]:9000", param, ctx)
        return host.strip("[]"), self.port(port, param, ctx)

    def port(self, text: str, param: Parameter, ctx: Context) -> int:
        """Return a port number."""
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
            self.fail(f"{text!r} is not a port from 1 to 65535", param, ctx)
        return int(text)


class RtpAddressParameter(AddressParameter):
    """``HOST:RXPORT,TXPORT``."""

    name = "host:rxport,txport"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> Any:
        """Return (host, port) of inbound and of outbound audio."""
        first, comma, tx_port = str(value).rpartition(",")
        if not comma:
            self.fail(f"{value!r} is not HOST:RXPORT,TXPORT, like 127.0.0.1:4000,4001", param, ctx)
        host, rx_port = super().convert(first, param, ctx)
        return (host, rx_port), (host, self.port(tx_port, param, ctx))


class ShareParameter(_ParamType):
    """``2%`` or ``0.02``."""

    name = "share"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> float:
        """Return the share, 0 to 1."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{value!r} is not a share like 2% or 0.02", param, ctx)
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not a share from 0 to 100% (a bare number is a fraction: 0.02)", param, ctx)
        return share


class NumberParameter(_ParamType):
    """``2.5``; not negative, and within reason."""

    name = "number"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> float:
        """Return the number."""
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < 1e6:
            self.fail(f"{value!r} is not a number from 0 to a million", param, ctx)
        return number


class SecondsParameter(_ParamType):
    """``2.5``, a time of the call."""

    name = "seconds"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> int:
        """Return nanoseconds."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < 1e6:
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return round(seconds * NS_PER_SECOND)


class SpanParameter(SecondsParameter):
    """``4+5``: from second 4 on, for 5 seconds."""

    name = "start+length"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> Any:
        """Return a `Span`."""
        start, plus, length = str(value).partition("+")
        if not plus:
            self.fail(f"{value!r} is not START+LENGTH in seconds, like 4+5", param, ctx)
        return Span(super().convert(start, param, ctx), super().convert(length, param, ctx))


class PressParameter(SecondsParameter):
    """``2.5:1#``: at a time, the keys 1 and #."""

    name = "seconds:digits"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> Any:
        """Return nanoseconds and the digits."""
        time, colon, digits = str(value).partition(":")
        if not colon or not digits:
            self.fail(f"{value!r} is not SECONDS:DIGITS, like 2.5:1#", param, ctx)
        if set(digits.upper()) - set(KEYS):
            self.fail(f"{digits!r} has keys that no telephone has; give --press again for another moment", param, ctx)
        return super().convert(time, param, ctx), digits.upper()


class SayParameter(SecondsParameter):
    """``1:hello.wav``: at a time, a file."""

    name = "seconds:file"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> Any:
        """Return nanoseconds and the path."""
        time, colon, path = str(value).partition(":")
        if not colon or not Path(path).is_file():
            self.fail(f"{value!r} is not SECONDS:FILE, like 1:hello.wav, with a file that is there", param, ctx)
        return super().convert(time, param, ctx), Path(path)


ADDRESS = AddressParameter()
PRESS = PressParameter()
SAY = SayParameter()
RTP_ADDRESS = RtpAddressParameter()
SHARE = ShareParameter()
NUMBER = NumberParameter()
SECONDS = SecondsParameter()
SPAN = SpanParameter()
