"""Listen to calls on NATS JetStream: python nats_consumer.py nats://127.0.0.1:4222 [PARTITION]

All that are started with the same partition, or with none, share its work, and go on where they were when they died.
"""

import asyncio
import sys

import nats
from nats.js.api import ConsumerConfig

from media.feed.wire import parse


async def main(url: str, partition: str = "*") -> None:
    client = await nats.connect(url)
    durable = "listeners" + partition.replace("*", "")
    config = ConsumerConfig(ack_wait=5)  # what one took that died is another's so many seconds later
    subscription = await client.jetstream().pull_subscribe(f"strep.pcm.{partition}.>", durable, config=config)
    while True:
        try:
            messages = await subscription.fetch(100, timeout=5)
        except TimeoutError:  # nothing came
            continue
        for message in messages:
            pcm = parse(message.data)
            print(pcm.call_id, pcm.track.name.lower(), pcm.position_samples, pcm.pcm().size, flush=True)
            await message.ack()


asyncio.run(main(*sys.argv[1:]))
