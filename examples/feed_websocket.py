"""Hear all live calls: how loud is each track, second by second? Needs `pip install websockets` and nothing of strep.

python feed_websocket.py ws://127.0.0.1:9080/v1/pcm?format=int16
"""

import array
import struct
import sys

from websockets.sync.client import connect

HEADER = struct.Struct("<4sBBBBHHIQqqII")  # see docs/feed.md; little-endian, as are most machines

with connect(sys.argv[1], compression=None, max_size=None) as socket:
    for message in socket:
        if isinstance(message, str):  # news in JSON: a call began, or ended
            print(message, flush=True)
            continue
        magic, version, form, track, flags, begin, id_bytes, rate, number, position, origin, samples, lost = (
            HEADER.unpack_from(message)
        )
        assert (magic, version, form) == (b"SPCM", 1, 1)
        call = message[HEADER.size : HEADER.size + id_bytes].decode()
        pcm = array.array("h", message[begin:])
        print(call, ("in", "out")[track], f"{position / rate:.3f} s", max(map(abs, pcm), default=0), flush=True)
