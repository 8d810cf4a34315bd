"""A reader of the feed in a process of its own: reads to the end, and says how much that was.

``python -m benchmarks.feed_reader ws://HOST:PORT/v1/pcm?...`` prints "listening", then, when the server has closed,
as JSON how many messages and samples came and how many numbers were missing.
"""

from __future__ import annotations

import json
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from media.feed.wire import parse


def read(url: str) -> dict[str, int]:
    """Read until the server closes."""
    expected: dict[tuple[str, int], int] = {}
    messages = samples = missing = 0
    with connect(url, compression=None, max_size=None, proxy=None) as socket:
        socket.recv()
        print("listening", flush=True)
        try:
            while True:
                data = socket.recv()
                if isinstance(data, str):
                    continue
                message = parse(data)
                key = message.call_id, int(message.track)
                missing += message.sequence_number - expected.get(key, 0)
                expected[key] = message.sequence_number + 1
                messages += 1
                samples += message.samples
        except ConnectionClosed:
            return {"messages": messages, "samples": samples, "missing": missing}


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1])))
