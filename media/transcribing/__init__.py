"""Speech into text, while it is spoken, by engines that plug in.

::

    PcmBatch ─▶ gate ─▶ speech ─▶ pool ─▶ worker process ─▶ Recognizer      (one per track)
    (sink)     voices only         bounded queues, deadlines      │ Result, in the engine's time
                                     ▼                            │
    <call>.transcript.jsonl, <call>.vtt, events ◀─ call's time ◀──┘

`contract` is what an engine is, `engines` those that come along, `plugins` finds the others. `gate` lets only
speech through, `pool` assigns tracks to processes (`process`, which run `worker`) and replaces those that hang or
die, `desk` is the thread that does so, `sink` wires it up.
"""
