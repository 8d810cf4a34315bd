"""Which worker gets a datagram: a classic BPF program that the kernel runs for each one.

It looks at the call_leg_id alone, so that both directions of a leg, and the B leg of the same id, meet in one
worker, whatever ports they come from. Offsets count from the UDP payload; the call_leg_id lies at 8 to 24.
See socket(7), SO_ATTACH_REUSEPORT_CBPF.

The kernel steers what it has in hand. What a sender on the same machine lets the kernel cut up (UDP_SEGMENT), and
what the kernel would aggregate for a socket with UDP_GRO, is still one piece then, and goes where its first datagram
belongs. So no socket here may ask for UDP_GRO; from a network, everything comes as single datagrams.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys

FIRST_WORD, LAST_WORD = 8, 20
"""Of the call_leg_id. The one varies in identifiers made from time, the other in those made from counters."""
SHORTEST_BYTES = LAST_WORD + 4

SO_ATTACH_REUSEPORT_CBPF = 51
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, where to jump if true, if false, operand
_PROGRAM = struct.Struct("@HP")  # struct sock_fprog: number of instructions, their address

_LOAD_WORD, _A_TO_X, _XOR_X, _RETURN_A = 0x20, 0x07, 0xAC, 0x16
_MULTIPLY, _SHIFT_RIGHT, _MODULO = 0x24, 0x74, 0x94
_SPREAD, _LOW_BITS = 0x9E37_79B1, 16
"""Fibonacci hashing: identifiers made from time may grow by even steps; the remainder alone would not spread them."""


def is_supported() -> bool:
    """Whether this system can steer."""
    return sys.platform == "linux"


def serialize_program(workers: int) -> bytes:
    """Return the program: first word xor last, mixed, modulo `workers`; a datagram without them is for worker 0."""
    return b"".join(
        _INSTRUCTION.pack(code, 0, 0, operand)
        for code, operand in (
            (_LOAD_WORD, FIRST_WORD),  # a load beyond the end ends the program with 0
            (_A_TO_X, 0),
            (_LOAD_WORD, LAST_WORD),
            (_XOR_X, 0),
            (_MULTIPLY, _SPREAD),
            (_SHIFT_RIGHT, _LOW_BITS),
            (_MODULO, workers),
            (_RETURN_A, 0),
        )
    )


def worker_of(datagram: bytes, workers: int) -> int:
    """Return what the program returns."""
    if len(datagram) < SHORTEST_BYTES:
        return 0
    first, last = (int.from_bytes(datagram[offset : offset + 4]) for offset in (FIRST_WORD, LAST_WORD))
    return (((first ^ last) * _SPREAD & 0xFFFF_FFFF) >> _LOW_BITS) % workers


def worker_of_leg(call_leg_id: bytes, workers: int) -> int:
    """Return which worker gets the datagrams of a leg, by the 16 bytes of its id."""
    return worker_of(bytes(FIRST_WORD) + call_leg_id, workers)


def steer(sock: socket.socket, workers: int) -> None:
    """Let the kernel steer the datagrams of the group that `sock` is in; its sockets are numbered as they were bound.

    Raises:
        OSError: the kernel does not take the program.
    """
    program = serialize_program(workers)
    memory = ctypes.create_string_buffer(program, len(program))
    described = _PROGRAM.pack(len(program) // _INSTRUCTION.size, ctypes.addressof(memory))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, described)
