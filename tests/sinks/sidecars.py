"""Sidecars, as the schema has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

from media.sinks.sidecar import (
    SCHEMA_PATH,
)

SCHEMA = json.loads(SCHEMA_PATH.read_bytes())


def check(path: Path) -> dict[str, Any]:
    """Return the document after the schema and the sums have been checked."""
    document: dict[str, Any] = json.loads(path.read_bytes())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    for track in document["tracks"]:
        spans = track["ledger"]
        assert sum(track["totals"].values()) == track["length_samples"]
        assert track["start_samples"] + track["length_samples"] <= document["length_samples"]
        for kind, total in track["totals"].items():
            listed = sum(span["length_samples"] for span in spans if span["kind"] == kind)
            assert kind == "received" or track["ledger_truncated"] or listed == total
        ends = [span["start_samples"] + span["length_samples"] for span in spans]
        assert all(end <= span["start_samples"] for end, span in zip(ends, spans[1:], strict=False))
    if document["tracks"] and document["state"] == "complete":
        longest = max(track["start_samples"] + track["length_samples"] for track in document["tracks"])
        assert document["length_samples"] == longest
    return document
