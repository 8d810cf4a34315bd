"""How people write endpoints, durations and sizes: each format's reading and its inverse, side by side.

``parse`` raises ValueError with a text that completes the sentence "'9000x' ...": which option it was, and
where it came from, is added by `media.options`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from media.config import Endpoint, RtpPorts
from media.decoding.payload_types import LARGEST, TELEPHONE_EVENT, PayloadType
from media.denoising.rules import parse_denoised

DEFAULT_HOST = "127.0.0.1"
"""What ``:9000`` means: nobody opens a port to the world by leaving something out."""

_ENDPOINT = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[^:]*)")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_RTP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_RTP_MAP = re.compile(
    r"(?P<number>\d{1,3})\s*=\s*(?P<name>[A-Za-z0-9-]+)(/(?P<clock>\d{1,6}))?(/(?P<channels>\d{1,3}))?", re.ASCII
)
_NUMBER_AND_UNIT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]*)", re.ASCII)
_MS_PER_UNIT = {"": 1000, "ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000}
_BYTES_PER_UNIT = {"": 1, "B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True)
class Format:
    """A way of writing a value.

    Attributes:
        metavar: its name in help texts.
        parse: text to value; raises ValueError.
        show: value to text, which `parse` takes back.
        is_secret: texts may hold a password: none is in an error, neither ours nor that of `parse`.
    """

    metavar: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str
    is_secret: bool = False


def parse_endpoint(text: str) -> Endpoint:
    """Return ``HOST:PORT``, ``[IPV6]:PORT`` or ``:PORT``, which means 127.0.0.1.

    Raises:
        ValueError: it is none of them.
    """
    match = _ENDPOINT.fullmatch(text.strip())
    if match is None:
        if text.count(":") > 1:
            raise ValueError("is ambiguous: an IPv6 host is written in brackets, as [::1]:9000")
        raise ValueError(f"is not HOST:PORT; a port of {DEFAULT_HOST} is written :9000")
    return Endpoint(_host(match), parse_port(match["port"]))


def _host(match: re.Match[str]) -> str:
    if match["ipv6"] is not None:
        try:
            ipaddress.IPv6Address(match["ipv6"])
        except ValueError:
            raise ValueError(f"has {match['ipv6']!r} where an IPv6 address should be") from None
        return match["ipv6"]
    host = match["host"] or DEFAULT_HOST
    if host.replace(".", "").isdecimal():
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError(f"has {host!r} where an IPv4 address should be") from None
    elif not _HOST_NAME.fullmatch(host):
        raise ValueError(f"has {host!r} where a host name or address should be")
    return host


def parse_port(text: str) -> int:
    """Return a port number; 0 lets the system choose one.

    Raises:
        ValueError: it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise ValueError(f"has {text!r} where a port from 0 to 65535 should be")
    return int(text)


def parse_rtp_ports(text: str) -> RtpPorts:
    """Return ``NAME=RX,TX``, each a port or HOST:PORT; a port alone is on the host before it, else 127.0.0.1.

    Raises:
        ValueError: it is something else.
    """
    name, equals, ports = (part.strip() for part in text.partition("="))
    rx_text, comma, tx_text = (part.strip() for part in ports.partition(","))
    if not equals or not comma or "," in tx_text:
        raise ValueError("is not NAME=RXPORT,TXPORT or NAME=HOST:RXPORT,HOST:TXPORT")
    if not _RTP_NAME.fullmatch(name):
        raise ValueError(
            f"has the name {name!r}; recordings are named after it: letters, digits and . _ -, at most 64"
        )
    rx = parse_endpoint(rx_text) if ":" in rx_text else Endpoint(DEFAULT_HOST, parse_port(rx_text))
    tx = parse_endpoint(tx_text) if ":" in tx_text else Endpoint(rx.host, parse_port(tx_text))
    return RtpPorts(name, rx, tx)


def parse_payload_type(text: str) -> PayloadType:
    """Return ``NUMBER=NAME``, ``NUMBER=NAME/CLOCK`` or ``NUMBER=NAME/CLOCK/CHANNELS``, as an SDP rtpmap has it.

    Raises:
        ValueError: it is something else, or a codec that is not served.
    """
    match = _RTP_MAP.fullmatch(text.strip())
    if match is None:
        raise ValueError("is not NUMBER=NAME/CLOCK")
    number, name = int(match["number"]), match["name"]
    if number > LARGEST:
        raise ValueError(f"has the number {number}; payload types are 0 to {LARGEST}")
    name = TELEPHONE_EVENT if name.lower() == TELEPHONE_EVENT else name.upper()
    if match["channels"] not in (None, "2" if name == "OPUS" else "1"):
        raise ValueError(f"has {match['channels']} channels; calls are mono")
    clock = match["clock"] or {"OPUS": "48000"}.get(name, "8000")
    if not int(clock):
        raise ValueError("has a clock of 0 Hz")
    payload_type = PayloadType(number, name, int(clock))
    try:
        payload_type.encoding  # noqa: B018
    except ValueError as error:
        raise ValueError(f"cannot be: {error}") from None
    return payload_type


def _show_rtp_ports(ports: RtpPorts) -> str:
    return f"{ports.name}={ports.rx},{ports.tx}"


def _number_and_unit(text: str, factors: dict[str, int], what: str) -> float:
    """Return the number times its unit's factor; units are recognised in any case."""
    match = _NUMBER_AND_UNIT.fullmatch(text.strip())
    by_lower_case = {unit.lower(): factor for unit, factor in factors.items()}
    factor = by_lower_case.get(match["unit"].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"is not {what}: a number and one of {', '.join(unit for unit in factors if unit)}")
    return float(match["number"]) * factor


def parse_duration_ms(text: str) -> float:
    """Return the milliseconds of ``30``, ``30s``, ``500ms``, ``2m`` or ``1h``; a bare number is seconds.

    Raises:
        ValueError: it is something else.
    """
    return _number_and_unit(text, _MS_PER_UNIT, "a duration")


def show_duration(milliseconds: float) -> str:
    """Return the shortest spelling in whole units, if there is one."""
    for unit, factor in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % factor == 0:
            return f"{int(milliseconds) // factor}{unit}"
    return f"{milliseconds:.15g}ms"


def parse_size_bytes(text: str) -> int:
    """Return the bytes of ``65536``, ``64KiB`` or ``16MiB``.

    Raises:
        ValueError: it is something else, or a fraction of a byte.
    """
    size = _number_and_unit(text, _BYTES_PER_UNIT, "a size")
    if size != int(size):
        raise ValueError("is not a whole number of bytes")
    return int(size)


def show_size(size_bytes: int) -> str:
    """Return the shortest spelling in binary units."""
    for unit in ("GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _BYTES_PER_UNIT[unit] == 0:
            return f"{size_bytes // _BYTES_PER_UNIT[unit]}{unit}"
    return str(size_bytes)


def _parse_whole(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit()):
        raise ValueError("is not a whole number")
    return int(text)


def _parse_directory(text: str) -> Path:
    if not text.strip():
        raise ValueError("is empty")
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return Path(text)


def _within(lowest: Any, highest: Any, read: Format) -> Format:
    """Return `read`, bounded."""

    def parse(text: str) -> Any:
        value = read.parse(text)
        if not lowest <= value <= highest:
            note = f" ({read.show(value)})" if read.show(value) != text else ""
            raise ValueError(f"is out of range{note}: {read.show(lowest)} to {read.show(highest)}")
        return value

    return Format(read.metavar, parse, read.show)


ENDPOINT = Format("HOST:PORT", parse_endpoint)
RTP_PORTS = Format("NAME=RX,TX", parse_rtp_ports, _show_rtp_ports)
PAYLOAD_TYPE = Format("NUMBER=NAME/CLOCK", parse_payload_type)
DENOISED = Format("SINK[:DIRECTION]", parse_denoised)
DIRECTORY = Format("DIRECTORY", _parse_directory)
FILE = Format("FILE", _parse_directory)


def seconds(lowest: float, highest: float) -> Format:
    """Return durations as seconds, float."""
    read = Format("DURATION", lambda text: parse_duration_ms(text) / 1000, lambda value: show_duration(value * 1000))
    return _within(lowest, highest, read)


def milliseconds(lowest: float, highest: float) -> Format:
    """Return durations as milliseconds, float."""
    return _within(lowest, highest, Format("DURATION", parse_duration_ms, show_duration))


def whole_milliseconds(lowest: int, highest: int) -> Format:
    """Return durations as milliseconds, int."""

    def parse(text: str) -> int:
        value = parse_duration_ms(text)
        if value != int(value):
            raise ValueError("is not a whole number of milliseconds")
        return int(value)

    return _within(lowest, highest, Format("DURATION", parse, show_duration))


def size_bytes(lowest: int, highest: int) -> Format:
    """Return sizes as bytes, int."""
    return _within(lowest, highest, Format("SIZE", parse_size_bytes, show_size))


def whole_number(lowest: int, highest: int) -> Format:
    """Return counts, int."""
    return _within(lowest, highest, Format("NUMBER", _parse_whole))


def choice(*names: str) -> Format:
    """Return one of `names`, in any case."""

    def parse(text: str) -> str:
        if text.strip().lower() not in names:
            raise ValueError(f"is not one of {', '.join(names)}")
        return text.strip().lower()

    return Format("|".join(names), parse)


def choices(*names: str) -> Format:
    """Return some of `names`, in any case, with commas between; the value is a tuple in the order of `names`."""

    def parse(text: str) -> tuple[str, ...]:
        given = [part.strip().lower() for part in text.split(",")]
        if not set(given) <= set(names):
            raise ValueError(f"is not some of {', '.join(names)}, with commas between")
        return tuple(name for name in names if name in given)

    return Format(",".join(names), parse, ",".join)


def rules(kind: type) -> Format:
    """Return a dataclass of whole numbers and truths, as ``name=value`` with commas between; the rest is default."""
    defaults = asdict(kind())

    def read(name: str, text: str) -> int | bool:
        if name not in defaults:
            raise ValueError(f"has {name!r}, which is none of {', '.join(defaults)}")
        if isinstance(defaults[name], bool):
            if text not in ("true", "false"):
                raise ValueError(f"has {name}={text}: true or false")
            return text == "true"
        return _parse_whole(text)

    def parse(text: str) -> Any:
        pairs = (part.partition("=") for part in text.split(",") if part.strip())
        return kind(**{name.strip(): read(name.strip(), value.strip()) for name, _, value in pairs})

    def show(value: Any) -> str:
        given = ((field.name, getattr(value, field.name)) for field in fields(value))
        return ",".join(f"{name}={str(one).lower()}" for name, one in given if one != defaults[name])

    return Format("NAME=VALUE,...", parse, show)
