"""Hear one call through a pipe or a FIFO: how loud is each track, second by second? Python's own library is enough.

strep tap any | python feed_pipe.py
mkfifo call; strep tap any > call & python feed_pipe.py < call
"""

import array
import sys

RATE_HZ, CHANNELS = 8000, 2  # as `strep tap` is asked for: --rate, --track
second = RATE_HZ * CHANNELS * 2  # bytes

number = 0
while chunk := sys.stdin.buffer.read(second):
    pcm = array.array("h", chunk)
    inbound, outbound = pcm[0::2], pcm[1::2]
    print(number, "s", max(map(abs, inbound)), max(map(abs, outbound)), flush=True)
    number += 1
