"""``GET /openapi.json``: all routes as OpenAPI 3.1, made from the types by which requests are judged and answered."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import Any

import msgspec
from aiohttp import web

from media.control.table import descriptions
from media.http import actions, alarms, calls, carrier, events, legs, pcm, recordings, watch
from media.http.api import json_reply
from media.http.describing import ErrorReply, Operation
from media.http.documents import Ready
from strep import __version__

PATH = "/openapi.json"
_REF = "#/components/schemas/{name}"
_ACCESS = (401, 403)
REFUSALS = {
    400: "The request cannot be read.",
    401: "The token is missing, or wrong.",
    403: "Only this machine may ask.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    409: "It cannot be done now, or not with this; the message says why.",
    413: "The body is too long.",
    415: "The body is no JSON.",
    422: "The body is not as its type says; the message names the field.",
    426: "This is for WebSockets.",
    501: "This server does not do that: see its options.",
    503: "Not now: come back in a second.",
}


class Description(msgspec.Struct):
    """An OpenAPI document."""

    openapi: str


OWN = (
    Operation(
        method="get",
        path="/readyz",
        summary="Tell whether a call may begin.",
        answer=Ready,
        refusals=(503,),
        is_open=True,
    ),
    Operation(method="get", path=PATH, summary="Return this document.", answer=Description),
)
OPERATIONS = (
    *calls.OPERATIONS,
    *actions.OPERATIONS,
    *events.OPERATIONS,
    *pcm.OPERATIONS,
    *legs.OPERATIONS,
    *carrier.OPERATIONS,
    *alarms.OPERATIONS,
    *watch.OPERATIONS,
    *recordings.OPERATIONS,
    *OWN,
)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [web.get(PATH, _show)]


async def _show(request: web.Request) -> web.Response:
    return json_reply(document())


@cache
def document() -> dict[str, Any]:
    """Return the document; not to be written to."""
    kinds = {kind for one in OPERATIONS for kind in (one.body, one.answer) if kind is not None} | {ErrorReply}
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "strep",
            "version": __version__,
            "description": "What a server tells of its calls, and what they can be told to do. docs/control.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": _schemas(sorted(kinds, key=lambda kind: kind.__name__)),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", one.path)
    ]
    in_query = [
        {"name": parameter.name, "in": "query", "description": parameter.text, "schema": parameter.schema}
        for parameter in one.parameters
    ]
    statuses = sorted({*one.refusals, *(() if one.is_open else _ACCESS)})
    refused = {"application/json": {"schema": {"$ref": _REF.format(name=ErrorReply.__name__)}}}
    found: dict[str, Any] = {
        "summary": one.summary,
        "operationId": re.sub(r"\W+", "_", f"{one.method}{one.path}").strip("_"),
        "parameters": [*in_path, *in_query],
        "responses": {
            str(one.status): _success(one),
            **({"204": {"description": "There is nothing."}} if one.may_be_empty else {}),
            **{str(status): {"description": REFUSALS[status], "content": refused} for status in statuses},
        },
    }
    if one.body is not None:
        found["requestBody"] = {
            "required": _is_required(one),
            "content": {"application/json": {"schema": _body(one)}},
        }
    if one.is_open:
        found["security"] = [{}]
    return found


def _success(one: Operation) -> dict[str, Any]:
    if one.answer is None:
        kind = "object" if one.media_type == "application/json" else "string"
        content = {one.media_type: {"schema": {"type": kind}}} if one.media_type else {}
        return {"description": "A file, or a stream.", **({"content": content} if content else {})}
    schema: dict[str, Any] = {"$ref": _REF.format(name=one.answer.__name__)}
    if one.is_wrapped:
        schema = {"type": "object", "required": ["data"], "properties": {"data": schema}}
    text = inspect.getdoc(one.answer) or ""
    return {"description": text.split("\n")[0], "content": {"application/json": {"schema": schema}}}


def _is_required(one: Operation) -> bool:
    assert one.body is not None
    return bool(one.one_of) or any(part.required for part in msgspec.structs.fields(one.body))


def _body(one: Operation) -> dict[str, Any]:
    assert one.body is not None
    reference = {"$ref": _REF.format(name=one.body.__name__)}
    if not one.one_of:
        return reference
    return {"allOf": [reference], "oneOf": [{"required": [name]} for name in one.one_of]}


def _schemas(kinds: list[type[msgspec.Struct]]) -> dict[str, Any]:
    """Return the schemas of types, and of those they are made of, with what their docstrings say."""
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    known = {kind.__name__: kind for kind in _all_of(kinds)}
    for name, schema in schemas.items():
        schema["description"] = schema.get("description", "").split("\n")[0]
        for field, text in descriptions(known[name]).items():
            part = schema["properties"][field]
            schema["properties"][field] = {**part, "description": text}
            if part.get("default", 0) is None:
                del schema["properties"][field]["default"]
    return schemas


def _all_of(kinds: list[type[msgspec.Struct]]) -> set[type[msgspec.Struct]]:
    found: set[type[msgspec.Struct]] = set()

    def look(kind: Any) -> None:
        if isinstance(kind, msgspec.inspect.StructType):
            if kind.cls not in found:
                found.add(kind.cls)
                for part in kind.fields:
                    look(part.type)
            return
        parts = (getattr(kind, name, None) for name in ("item_type", "value_type"))
        for inner in (*getattr(kind, "types", ()), *filter(None, parts)):
            look(inner)

    for kind in kinds:
        look(msgspec.inspect.type_info(kind))
    return found
