"""The contract of a question: a file of this package has one as its ``QUESTION``, and `QUESTIONS` names the file.

A new one: write ``benchmarks/NAME.py`` with a settings structure, a function that measures and a `Question`, then add
its name to `QUESTIONS`. The command, its options, the lock that keeps benchmarks apart, the JSON, the tables, the
page and the picture come by themselves.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.progress import Say
from benchmarks.report import Report

QUESTIONS = {
    "receive": "What does a packet cost, in our receiver and in others?",
    "profile": "Where does a packet's time go, in the kernel, in numpy and in Python?",
    "scale": "Does a packet get cheaper with more calls, and is an idle server idle?",
    "capacity": "How many calls does this machine carry, and what gives way first?",
    "latency": "How long does audio take from the kernel to a sink?",
    "memory": "What does a call weigh, and what stays when it has gone?",
    "soak": "What is left after an hour of calls that come and go?",
    "floods": "What do floods do to the calls that are being recorded?",
    "workers": "What do several workers cost, and does a leg stay in one of them?",
    "startup": "How long does a server take to start?",
    "offer": "How many packets a second does the load generator offer from one core, and when?",
    "talk": "How late does audio go out to calls that are talked to, and how soon do they fall silent?",
    "websocket": "What does a media frame cost over WebSocket, and how many calls does a core carry?",
    "mp3": "What does it take to make an MP3 message?",
    "pieces": "How many calls can be talked to in MP3 mode, and what does encoding do to the rest?",
    "deliver": "What does it cost to make FLAC, MP3 or Opus of a call, and what does reception notice of it?",
    "feed": "What does it cost to feed live audio to other programs?",
    "page": "What does a live page cost reception?",
    "hearing": "Are all keys heard, none twice and none in speech or music, and what does it cost to listen?",
    "quality": "Does the opinion of a call follow from what the network really did to it?",
    "machines": "Is a person told from a machine, a fax or silence, and when has a machine's greeting ended?",
    "denoise": "How much noise goes, what becomes of speech and keys, and what does it cost?",
    "conceal": "How does speech sound of which packets are lost, and what does it take to conceal that?",
    "nats": "What does it take to publish calls on NATS JetStream, and what does it cost reception?",
    "transcribe": "How much of what is said is understood, how soon is it known, and what does it cost?",
}
"""Name, which is the file's, and the question in one line; in the order of ``strep bench all``."""

GOALS = {
    "receive": "at 1,000 calls at most 2.0 times the floor; others in times of ours: asyncio 15, uvloop 2, "
    "GStreamer 5, Go 1",
    "scale": "cost falls with every step; idle below 0.5 % of a core",
    "capacity": "2,500 calls for 60 s, no packet lost",
    "latency": "8 ms at p99",
    "memory": "96 KiB per call; nothing stays",
    "soak": "an hour of 500 calls: no file missing, every packet accounted for, memory and descriptors flat",
    "floods": "not a packet lost that the kernel has not dropped; memory bounded",
    "workers": "1.1; both directions of a leg in one worker",
    "startup": "ready in 0.5 s; imports in 0.15 and 0.25 s",
    "offer": "500,000 packets/s",
    "talk": "5 ms late at p99 with 500 calls",
    "websocket": "800 calls; ahead of everybody per frame",
    "pieces": "no hole at 500 calls",
    "hearing": "every key once; none where there is none",
    "machines": "no person who says hello, no fax and no silence is taken for anything else",
    "denoise": "12 dB of steady noise; speech whole; no key lost; 400 us",
    "conceal": "better than repetition at 1, 3, 5 and 10 % lost, by PESQ",
    "transcribe": "at most 0.2 of the words wrong in sentences, 0.1 in digits, of a voice that the model knows",
}
"""What we want of an answer, for the overview of the page; a question without one only explains."""


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        name: of the file and of the command.
        explains: what is measured and how, paragraphs for ``--help``.
        settings: a frozen `msgspec.Struct`; its fields are the options, see `benchmarks.options`.
        quick: those of ``--quick``: seconds, enough to see that it works.
        measure: (settings, say, scratch) -> report. Takes as long as it takes; `scratch` is an empty
            directory that is removed afterwards. A run in which the referee found something is named in
            `Report.complaints`, and its figures are in no table.
    """

    name: str
    explains: str
    settings: type[Any]
    quick: Any
    measure: Callable[[Any, Say, Path], Report]


def find(name: str) -> Question:
    """Import the question `name`."""
    question: Question = importlib.import_module(f"benchmarks.{name}").QUESTION
    return question
