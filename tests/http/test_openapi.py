"""The description of the HTTP interface: it is of all routes and of no other, and answers are as it says."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import jsonschema
import msgspec
import pytest
from aiohttp import web
from click.testing import CliRunner
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from media.cli import strep
from media.control.table import ACTIONS, descriptions
from media.http import app
from media.http.documents import LiveTrack
from media.http.openapi import OPERATIONS, document
from strep.statistics import TrackStatistics
from tests.control.acting import acting
from tests.control.called import CONTENT, calling
from tests.http.door import hall
from tests.http.test_calls import talk

DOCUMENT = "urn:openapi"
PLAIN = json.loads(json.dumps(document()))
REGISTRY: Registry[Any] = Registry().with_resource(DOCUMENT, DRAFT202012.create_resource(PLAIN))
UNDESCRIBED = re.compile(r"/(?!v1/|healthz|readyz|openapi\.json)")
"""Paths of pages for people."""


def described() -> set[tuple[str, str]]:
    return {(method, path) for path, operations in document()["paths"].items() for method in operations}


def served() -> set[tuple[str, str]]:
    found = set[tuple[str, str]]()
    routes = [route for make in app.ROUTES for route in make()]
    for route in [*routes, web.get("/readyz", app._readiness)]:
        names = ACTIONS if "{action}" in route.path else [""]
        found |= {(route.method.lower(), route.path.replace("{action}", name)) for name in names}
    return {(method, path) for method, path in found if not UNDESCRIBED.match(path)}


def judge(path: str, status: int, answer: Any, method: str = "get") -> None:
    """Check an answer against what is said of it."""
    pointer = f"{path}/{method}/responses/{status}/content/application~1json/schema"
    pointer = pointer.replace("/", "~1", path.count("/"))
    schema = {"$ref": f"{DOCUMENT}#/paths/{pointer}"}
    jsonschema.Draft202012Validator(schema, registry=REGISTRY).validate(answer)


def test_every_route_is_in_it_and_no_other() -> None:
    assert described() == served()


def test_the_command_prints_it() -> None:
    result = CliRunner().invoke(strep, ["openapi"])
    assert (result.exit_code, json.loads(result.output)) == (0, PLAIN)


def test_schemas_are_schemas_and_references_lead_somewhere() -> None:
    schemas = document()["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    assert set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document()))) <= schemas.keys()


def test_everything_is_explained() -> None:
    for operation in OPERATIONS:
        for kind in filter(None, (operation.body, operation.answer)):
            if kind.__name__ != "Description":
                assert descriptions(kind).keys() == {part.name for part in msgspec.structs.fields(kind)}, kind
    for name, schema in document()["components"]["schemas"].items():
        assert schema["description"].endswith("."), name


def test_tracks_are_those_of_the_timeline() -> None:
    known = {part.name for part in fields(TrackStatistics)} | {"direction", "length_samples"}
    assert {part.name for part in msgspec.structs.fields(LiveTrack)} >= known


@pytest.mark.realtime
class TestAnswers:
    async def test_of_reading(self) -> None:
        async with hall() as found:
            talk(found, 2)
            calls = (await found.get("/v1/calls"))[1]
            judge("/v1/calls", 200, calls)
            judge("/v1/calls/{call_id}", 404, (await found.get("/v1/calls/none"))[1])
            for path in ("/v1/legs", "/v1/alarms", "/healthz", "/readyz", "/openapi.json"):
                status, answer, _ = await found.get(path)
                judge(path, status, answer)
            status, answer, _ = await found.get(
                "/v1/legs", "POST", b'{"call_leg_id": "7f3a1c52-c9d0-11f0-8e41-02420a5b6c7d"}'
            )
            judge("/v1/legs", status, answer, "post")

    async def test_is_served_to_whoever_has_the_token(self) -> None:
        async with hall("secret") as found:
            assert (await found.get("/openapi.json"))[0] == 401
            status, answer, _ = await found.get("/openapi.json", Authorization="Bearer secret")
            assert (status, answer) == (200, PLAIN)

    async def test_of_a_wrong_method(self) -> None:
        async with hall() as found:
            status, _, headers = await found.get("/v1/calls", "POST", b"{}")
            assert (status, headers["Allow"]) == (405, "GET,HEAD")

    async def test_of_actions(self) -> None:
        async with calling() as (acted, _):
            for name, body in (
                ("playback_start", {"playback_content": CONTENT, "loop": "infinity"}),
                ("playback_volume", {"volume_db": 1}),
                ("gather", {}),
                ("clear", {}),
                ("transcription_stop", {}),
                ("record_start", {}),
                ("speak", {}),
            ):
                path = f"/v1/calls/s1/actions/{name}"
                status, answer = await acted.ask(path, json.dumps(body).encode())
                judge(path.replace("s1", "{call_id}"), status, answer, "post")
            status, answer = await acted.ask("/v1/calls/s1")
            judge("/v1/calls/{call_id}", status, answer)
            assert answer["is_gathering"]

    async def test_off(self) -> None:
        async with acting(actions="off") as acted:
            status, answer = await acted.ask("/v1/calls/s1/actions/clear", b"{}")
            judge("/v1/calls/{call_id}/actions/clear", status, answer, "post")
