"""A page that is open, without the page: it looks at some calls, counts what it is told, and says so at the end."""

from __future__ import annotations

import asyncio
import json
import sys

import numpy as np
from websockets.asyncio.client import connect

from media.page.levels import LEVEL
from media.page.messages import HEADER, LEVELS


async def look(url: str, in_sight: int) -> None:
    """Look until standard input ends."""
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    heard, strangers, dropped, calls = 0, 0, 0, list[int]()
    async with connect(url, max_size=None, compression=None, proxy=None) as socket:
        while not over.done():
            message = await socket.recv()
            if isinstance(message, str):
                said = json.loads(message)
                if said["event"] == "calls" and len(calls) < in_sight:
                    calls = [*calls, *(call["call"] for call in said["begun"])][:in_sight]
                    await socket.send(json.dumps({"visible": calls, "ranking": True}))
                dropped = said.get("dropped", dropped)
            elif HEADER.unpack_from(message)[0] == LEVELS:
                records = np.frombuffer(message, LEVEL, offset=HEADER.size)
                strangers += int((~np.isin(records["call"], calls)).sum())
                if not heard:
                    print("looking", flush=True)
                heard += len(records)
    print(json.dumps({"records": heard, "strangers": strangers, "dropped": dropped}), flush=True)


if __name__ == "__main__":
    asyncio.run(look(sys.argv[1], int(sys.argv[2])))
