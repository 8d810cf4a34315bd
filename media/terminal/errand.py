"""`Errand`: what is done to a call from a terminal: which call is meant, the action, and what comes of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar, cast

import click

from media.cli import FAILED, OK
from media.terminal.client import ANY_CALL, Door, NoSuchCall, ServerRefuses, Unreachable
from media.terminal.printable import printable

OTHERWISE, CALL_ENDED = 3, 4
"""Exit codes: see ``strep call --help``."""
_MOST_NAMED = 5
_STATUS = 404

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Ending:
    """What an action that is waited for ends with.

    Attributes:
        kinds: names of the events that may tell of it.
        key: the field that says of which one: the same in the answer, and in the event.
        code: returns the exit code; None: this is not the end of it.
        stop: the action that stops it, when who waits is interrupted; "": none.
        result: returns what programs want of it.
        remark: returns what people want of it.
        outlives_call: the event may come behind the end of the call.
        stops_by_key: `stop` takes the field `key`.
    """

    kinds: tuple[str, ...]
    key: str
    code: Callable[[dict[str, Any]], int | None]
    stop: str
    result: Callable[[dict[str, Any]], str]
    remark: Callable[[dict[str, Any]], str]
    outlives_call: bool = False
    stops_by_key: bool = True


@dataclass
class Errand:
    """To one call of one server.

    Attributes:
        door: of the server.
        given: how the call was named.
        as_json: whether JSON is printed.
        command_id: given to the action; one that was given before is not done again.
    """

    door: Door
    given: str
    as_json: bool = False
    command_id: str = ""

    def find(self) -> dict[str, Any]:
        """Return the call that is meant.

        Raises:
            NoSuchCall: none is, or more than one.
        """
        if self.given in ANY_CALL:
            calls = self.door.calls()
            if not calls:
                raise NoSuchCall("there is no live call")
            return max(calls, key=lambda call: str(call["started_at"]))
        from urllib.parse import quote

        try:
            found: dict[str, Any] = self.door.get(f"/v1/calls/{quote(self.given, safe='')}")
        except ServerRefuses as error:
            if error.status != _STATUS:
                raise
        else:
            return found
        likely = [call for call in self.door.calls() if call["call_id"].startswith(self.given)]
        if len(likely) == 1:
            return likely[0]
        if not likely:
            raise NoSuchCall(f"there is no live call {self.given!r}; `strep calls` lists those that are")
        names = ", ".join(printable(call["call_id"]) for call in likely[:_MOST_NAMED])
        more = f" and {len(likely) - _MOST_NAMED} more" if len(likely) > _MOST_NAMED else ""
        raise NoSuchCall(f"{len(likely)} live calls begin with {self.given!r}: {names}{more}")

    def do(self, action: str, body: dict[str, Any], *, shows: str = "") -> None:
        """Do something that is done at once; `shows` names the field of the answer that programs want."""
        answer = self._act(self.find()["call_id"], action, body)
        if self.as_json:
            click.echo(json.dumps(answer))
        elif shows:
            value = answer.get(shows)
            for line in value if isinstance(value, list) else [value] if value else []:
                click.echo(printable(line))

    def follow(self, action: str, body: dict[str, Any], ending: Ending) -> NoReturn:
        """Do something, and exit when it is over, by how it ended."""
        call_id = self.find()["call_id"]
        with self.door.events(call_id, (*ending.kinds, "call_ended")) as events:
            answer = self._act(call_id, action, body)
            if self.as_json:
                click.echo(json.dumps(answer))
            mine = {ending.key: answer.get(ending.key)} if ending.key else {}
            try:
                code = self._wait(call_id, events, ending, mine)
            except KeyboardInterrupt:
                if ending.stop:
                    with suppress(click.ClickException):  # it may be over meanwhile
                        self._act(call_id, ending.stop, mine if ending.stops_by_key else {}, is_new=True)
                raise
        raise SystemExit(code)

    def _wait(self, call_id: str, events: Iterable[dict[str, Any]], ending: Ending, mine: dict[str, Any]) -> int:
        for event in events:
            if event.get("call_id") != call_id:
                continue
            if event["event"] in ending.kinds:
                # An event that does not say which one it is of, is of the only one there may be.
                is_mine = all(event.get(name, value) == value for name, value in mine.items())
                code = ending.code(event) if is_mine else None
            else:
                code = CALL_ENDED if event["event"] == "call_ended" and not ending.outlives_call else None
            if code is not None:
                self._tell(event, ending, code)
                return code
        raise Unreachable("the server has stopped, and nobody tells how it ended")

    def _tell(self, event: dict[str, Any], ending: Ending, code: int) -> None:
        if self.as_json:
            click.echo(json.dumps(event))
            return
        if event["event"] not in ending.kinds:
            click.echo("the call has ended before", err=True)
            return
        if code == OK and (result := ending.result(event)):
            click.echo(printable(result))
        if remark := ending.remark(event):
            click.echo(printable(remark), err=True)

    def _act(self, call_id: str, action: str, body: dict[str, Any], *, is_new: bool = False) -> dict[str, Any]:
        command_id = self.command_id if self.command_id and not is_new else str(uuid.uuid4())
        try:
            return self.door.act(call_id, action, body | {"command_id": command_id})
        except ServerRefuses as error:
            if error.code == "no_such_call":
                raise NoSuchCall(f"call {printable(call_id)} has ended") from error
            if error.status == _STATUS:
                raise ServerRefuses(
                    error.status, error.code, f"the server does no actions: {error.format_message()}"
                ) from error
            raise


def how_play_ended(event: dict[str, Any]) -> int | None:
    """Return the exit code of the end of a play."""
    return {"completed": OK, "cancelled": OTHERWISE, "call_hangup": CALL_ENDED}.get(event.get("status", ""), FAILED)


def _play_remark(event: dict[str, Any]) -> str:
    why = f": {event['error']}" if event.get("error") else ""
    estimated = "" if event.get("is_measured", True) else " (by the clock)"
    return f"{event.get('status', 'over')}, {event.get('heard_ms', 0) / 1000:.1f} s heard{estimated}{why}"


PLAYED = Ending(("playback_ended",), "playback_id", how_play_ended, "playback_stop", lambda _: "", _play_remark)


def acting(*, waits: bool = False) -> Callable[[F], F]:
    """Add the options that all actions have, and give the function an `Errand` first, and whether to wait."""

    def decorate(function: F) -> F:
        command: Any = function
        if waits:
            command = click.option("--wait", is_flag=True, help="Until it is over; the exit code tells how.")(command)
        for option, name, help_ in (
            ("--command-id", "command_id", "Do it once: what this id was given for before is not done again."),
            ("--token", "token", "As of `strep call`."),
            ("--url", "url", "As of `strep call`."),
        ):
            command = click.option(
                option, expose_value=False, callback=_set_later(name), help=help_, hidden=name in ("token", "url")
            )(command)
        command = click.option(
            "--json", is_flag=True, expose_value=False, callback=_set_later("as_json"), help="Print JSON."
        )(command)
        return cast(F, click.pass_obj(command))

    return decorate


def _set_later(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Return what puts an option of an action where that of `strep call` is."""

    def put(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value and isinstance(ctx.obj, Errand):
            setattr(ctx.obj.door if name in ("url", "token") else ctx.obj, name, value)

    return put


def given(**body: Any) -> dict[str, Any]:
    """Return the fields of a body that were given; the server knows the defaults of the others."""
    return {name: value for name, value in body.items() if value not in (None, "", False, ())}
