"""Capture files taken apart: pcap and pcapng, both byte orders, as frames with exact times in nanoseconds.

The layouts and constants are dpkt's. Its readers are not used, for what they lose: times become floats, which
cannot hold nanoseconds since 1970; a file that ends in the middle of a frame gives a short frame and no word
about it; and of a pcapng file only the first section's first interface is understood.

Specifications: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import dpkt
from dpkt import pcap, pcapng

from strep.clock import NS_PER_SECOND
from strep.errors import WireError

MAX_RECORD_BYTES = 1 << 20
"""A longer record is taken for damage; Wireshark refuses frames of more than 256 KiB."""
LATEST_NS = 1 << 62
"""Times beyond it (the year 2116) are damage, and would not fit into a column of int64."""


class Record(NamedTuple):
    """A frame as it was captured."""

    time_ns: int | None
    """Since the Unix epoch; None where the file does not say, or says nonsense."""
    link_type: int
    frame: bytes
    """What was captured of it; `media.captures.layers` sees whether that is all."""


class Damage(Exception):
    """The file cannot be read further; the text says where and why."""


def read_records(file: BinaryIO) -> Iterator[Record]:
    """Return the records of an open file; its format is checked before the first is asked for.

    Raises:
        WireError: not a capture at all. The iterator raises `Damage` where the file ends in the middle of a
            record or contradicts itself; all that lies before it has been yielded by then.
    """
    magic = file.read(4)
    if len(magic) < 4:
        raise WireError("NOT_A_CAPTURE", f"a file of {len(magic)} bytes is no capture")
    number = int.from_bytes(magic, "big")
    if number in pcap.MAGIC_TO_PKT_HDR:
        return _read_pcap(file, magic)
    if number == pcapng.PCAPNG_BT_SHB:
        return _read_pcapng(file, magic)
    hint = "; it is compressed, so gunzip it first" if magic[:2] == b"\x1f\x8b" else ""
    raise WireError("NOT_A_CAPTURE", f"neither pcap nor pcapng: it begins with {magic.hex(' ')}{hint}")


# -- pcap ----------------------------------------------------------------------------------------------

_NANOSECOND_MAGICS = (pcap.TCPDUMP_MAGIC_NANO, pcap.PMUDPCT_MAGIC_NANO)
_LITTLE_ENDIAN_MAGICS = (pcap.PMUDPCT_MAGIC, pcap.PMUDPCT_MAGIC_NANO, pcap.PACPDOM_MAGIC)
_LINK_TYPE_MASK = 0xFFFF
"""The upper half of the field tells about frame check sequences (draft-ietf-opsawg-pcap section 4)."""


def _read_pcap(file: BinaryIO, magic: bytes) -> Iterator[Record]:
    data = magic + file.read(pcap.FileHdr.__hdr_len__ - len(magic))
    number = int.from_bytes(magic, "big")
    try:
        header = (pcap.LEFileHdr if number in _LITTLE_ENDIAN_MAGICS else pcap.FileHdr)(data)
    except dpkt.Error as error:
        raise WireError("NOT_A_CAPTURE", f"the pcap file header ends after {len(data)} bytes") from error
    if header.v_major != pcap.PCAP_VERSION_MAJOR:
        raise WireError("NOT_A_CAPTURE", f"pcap version {header.v_major}.{header.v_minor}, known is 2")
    layout = struct.Struct(pcap.MAGIC_TO_PKT_HDR[number].__hdr_fmt__)
    unit_ns = 1 if number in _NANOSECOND_MAGICS else 1000
    return _pcap_records(file, layout, unit_ns, header.linktype & _LINK_TYPE_MASK)


def _pcap_records(file: BinaryIO, layout: struct.Struct, unit_ns: int, link_type: int) -> Iterator[Record]:
    while head := file.read(layout.size):
        if len(head) < layout.size:
            raise Damage(f"the file ends within a record header, at byte {file.tell()}")
        seconds, fraction, captured_bytes, *_ = layout.unpack(head)
        if captured_bytes > MAX_RECORD_BYTES:
            raise Damage(f"a record of {captured_bytes:,} bytes at byte {file.tell() - len(head)}")
        frame = _read_exactly(file, captured_bytes)
        yield Record(_sane(seconds * NS_PER_SECOND + fraction * unit_ns), link_type, frame)


def _read_exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise Damage(f"the file ends {count - len(data)} bytes before its last record does, at byte {file.tell()}")
    return data


def _sane(time_ns: int) -> int | None:
    return time_ns if 0 <= time_ns < LATEST_NS else None


# -- pcapng --------------------------------------------------------------------------------------------


class _Interface(NamedTuple):
    """An Interface Description Block: how to read the packets that refer to it."""

    link_type: int
    snap_bytes: int
    units_per_second: int
    offset_ns: int

    def time_ns(self, high: int, low: int) -> int | None:
        """Return a packet's 64-bit count of units as nanoseconds since the epoch, rounded down."""
        return _sane((high << 32 | low) * NS_PER_SECOND // self.units_per_second + self.offset_ns)


def _read_pcapng(file: BinaryIO, magic: bytes) -> Iterator[Record]:
    section = _Section(file, magic)  # a generator would not look at the file before it is asked to
    return section.records()


class _Section:
    """The walk over a pcapng file; a new section forgets byte order and interfaces of the one before."""

    def __init__(self, file: BinaryIO, magic: bytes) -> None:
        self._file = file
        try:
            self._begin(magic)
        except Damage as error:
            raise WireError("NOT_A_CAPTURE", f"no pcapng section header: {error}") from error

    def _begin(self, block_type: bytes) -> None:
        """Read a Section Header Block behind its type, which reads the same in both byte orders."""
        rest = self._file.read(8)
        order = {pcapng.BYTE_ORDER_MAGIC: ">", pcapng.BYTE_ORDER_MAGIC_LE: "<"}.get(int.from_bytes(rest[4:], "big"))
        if order is None:
            raise Damage(f"no byte order in the section header at byte {self._file.tell()}")
        self._order = order
        self._interfaces: list[_Interface] = []
        self._head = struct.Struct(order + "II")
        (length,) = struct.unpack(order + "I", rest[:4])
        body = rest[4:] + self._body(length, already=12)
        major, minor = struct.unpack_from(order + "HH", body, 4) if len(body) >= 8 else (0, 0)
        if major != pcapng.PCAPNG_VERSION_MAJOR:
            raise Damage(f"pcapng version {major}.{minor}, known is 1")

    def _body(self, length: int, already: int) -> bytes:
        """Return the rest of a block of `length` bytes, of which `already` have been read, less its trailer."""
        if not 12 <= length <= MAX_RECORD_BYTES or length % 4 or length < already + 4:
            raise Damage(f"a block of {length:,} bytes at byte {self._file.tell() - already}")
        body = _read_exactly(self._file, length - already)
        if body[-4:] != struct.pack(self._order + "I", length):
            raise Damage(f"a block whose two lengths differ, at byte {self._file.tell() - length}")
        return body[:-4]

    def records(self) -> Iterator[Record]:
        """Yield the packets of all sections."""
        while head := self._file.read(8):
            if len(head) < 8:
                raise Damage(f"the file ends within a block header, at byte {self._file.tell()}")
            block_type, length = self._head.unpack(head)
            if block_type == pcapng.PCAPNG_BT_SHB:
                self._file.seek(-4, 1)
                self._begin(head[:4])
                continue
            body = self._body(length, already=8)
            if block_type == pcapng.PCAPNG_BT_IDB:
                self._interfaces.append(self._interface(head + body + struct.pack(self._order + "I", length)))
            elif block_type in _PACKET_LAYOUTS:
                yield self._packet(block_type, body)

    def _interface(self, block: bytes) -> _Interface:
        layout = pcapng.InterfaceDescriptionBlockLE if self._order == "<" else pcapng.InterfaceDescriptionBlock
        try:
            parsed = layout(block)
        except (dpkt.Error, ValueError, struct.error) as error:  # dpkt decodes comments as it goes along
            raise Damage(f"an interface description that does not parse: {error}") from error
        units_per_second, offset_ns = 1_000_000, 0
        for option in parsed.opts:
            if option.code == pcapng.PCAPNG_OPT_IF_TSRESOL and option.data:
                resolution = option.data[0]
                units_per_second = (2 if resolution & 0x80 else 10) ** (resolution & 0x7F)
            elif option.code == pcapng.PCAPNG_OPT_IF_TSOFFSET and len(option.data) == 8:
                offset_ns = struct.unpack(self._order + "q", option.data)[0] * NS_PER_SECOND
        return _Interface(parsed.linktype, parsed.snaplen, units_per_second, offset_ns)

    def _packet(self, block_type: int, body: bytes) -> Record:
        layout = _PACKET_LAYOUTS[block_type]
        if len(body) < struct.calcsize(layout):
            raise Damage(f"a packet block of {len(body)} bytes, at byte {self._file.tell()}")
        fields = struct.unpack_from(self._order + layout, body)
        if block_type == pcapng.PCAPNG_BT_SPB:
            index, high, low, captured_bytes = 0, None, 0, fields[0]
        else:
            index, high, low, captured_bytes, _ = fields
        if index >= len(self._interfaces):
            raise Damage(f"a packet of an interface that nobody described, at byte {self._file.tell()}")
        interface = self._interfaces[index]
        if block_type == pcapng.PCAPNG_BT_SPB and interface.snap_bytes:
            captured_bytes = min(captured_bytes, interface.snap_bytes)
        start = struct.calcsize("=" + layout)
        if start + captured_bytes > len(body):
            raise Damage(f"a packet longer than its block, at byte {self._file.tell()}")
        time_ns = None if high is None else interface.time_ns(high, low)
        return Record(time_ns, interface.link_type, body[start : start + captured_bytes])


_PACKET_LAYOUTS = {
    # interface, (drops,) time high, time low, captured length, original length; behind type and length
    pcapng.PCAPNG_BT_EPB: "IIIII",
    pcapng.PCAPNG_BT_PB: "H2xIIII",
    pcapng.PCAPNG_BT_SPB: "I",  # has the original length and no time
}
