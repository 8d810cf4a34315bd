"""Writing datagrams with their times as a capture: Ethernet, IPv4 or IPv6, UDP; nanosecond pcap by default."""

from __future__ import annotations

import ipaddress
from decimal import Decimal
from types import TracebackType
from typing import BinaryIO

from dpkt import pcap
from dpkt.ethernet import ETH_TYPE_IP, ETH_TYPE_IP6, Ethernet
from dpkt.ip import IP, IP_PROTO_UDP
from dpkt.ip6 import IP6
from dpkt.udp import UDP

from strep.clock import NS_PER_SECOND
from strep.errors import UsageError

Address = tuple[str, int]
"""IP address as text, and port."""

SNAPLEN_BYTES = 262_144
_UDP_HEADER_BYTES = 8
_SOURCE_MAC, _DESTINATION_MAC = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")


class CaptureWriter:
    """Writes a pcap file; a context manager that closes it.

    Args:
        file: open for writing in binary mode.
        nanoseconds: False writes the older format of microseconds, rounding times down.
    """

    def __init__(self, file: BinaryIO, *, nanoseconds: bool = True) -> None:
        self._nanoseconds = nanoseconds
        self._writer = pcap.Writer(file, snaplen=SNAPLEN_BYTES, linktype=pcap.DLT_EN10MB, nano=nanoseconds)

    def write(self, time_ns: int, source: Address, destination: Address, payload: bytes) -> None:
        """Append one datagram that was seen at `time_ns`, nanoseconds since the Unix epoch.

        Raises:
            UsageError: the addresses are not of one family, or the time is before 1970 or after 2106.
        """
        if not 0 <= time_ns < (1 << 32) * NS_PER_SECOND:
            raise UsageError(f"{time_ns} ns is no time that a pcap file can hold")
        if not self._nanoseconds:
            time_ns -= time_ns % 1000
        # A float has no room for nanoseconds since 1970; dpkt computes with whatever type it is given.
        self._writer.writepkt_time(frame(source, destination, payload), Decimal(time_ns).scaleb(-9))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def __enter__(self) -> CaptureWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def frame(source: Address, destination: Address, payload: bytes) -> bytes:
    """Return the Ethernet frame of one UDP datagram, checksums included.

    Raises:
        UsageError: the addresses are not of one family.
    """
    packet, ethernet_type = ip_packet(source, destination, payload)
    return bytes(Ethernet(src=_SOURCE_MAC, dst=_DESTINATION_MAC, type=ethernet_type, data=packet))


def ip_packet(source: Address, destination: Address, payload: bytes) -> tuple[bytes, int]:
    """Return the IP packet of one UDP datagram and its EtherType."""
    from_ip, to_ip = ipaddress.ip_address(source[0]), ipaddress.ip_address(destination[0])
    if from_ip.version != to_ip.version:
        raise UsageError(f"no datagram goes from {from_ip} to {to_ip}")
    udp = UDP(sport=source[1], dport=destination[1], ulen=_UDP_HEADER_BYTES + len(payload), data=payload)
    if from_ip.version == 4:
        return bytes(IP(src=from_ip.packed, dst=to_ip.packed, p=IP_PROTO_UDP, data=udp)), ETH_TYPE_IP
    ip6 = IP6(src=from_ip.packed, dst=to_ip.packed, nxt=IP_PROTO_UDP, hlim=64, plen=udp.ulen, data=udp)
    return bytes(ip6), ETH_TYPE_IP6
