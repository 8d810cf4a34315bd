"""What `strep serve` was told: by flag, variable, file or default, in that order.

All places are read by the same parser (`media.options`), and a value that cannot be is refused with its place
and an example in that place's spelling.

* A TOML file holds the options in a table ``[serve]`` or, if it has none, at the top.
* Bare numbers are seconds where a duration is meant, and bytes where a size is.
* What may be given more than once (``rtp``) is repeated as a flag, a list in TOML, and separated by semicolons
  in a variable: ``STREP_RTP="lab=4000,4001;office=4010,4011"``. Giving it in one place replaces it as a whole.
* An empty variable counts as not given. Variables that Kubernetes sets for a service named "strep" are passed
  over (``STREP_PORT_9000_UDP=...``); of others, a misspelt one is an error and a strange one a warning.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media.config import Endpoint, LogConfig, ProcessConfig, ServerConfig
from media.http.access import check_access
from media.nats.config import NatsConfig
from media.option import PREFIX, Option
from media.options import BY_NAME, OPTIONS
from media.sealing.checks import check_sealing, plain_beside
from strep.errors import ConfigurationError

TABLE = "serve"
CONFIG = "config"
"""The option that names the file; it has a flag and a variable like the others, but no key in a file."""
CONFIG_VARIABLE = PREFIX + CONFIG.upper()
_SEPARATOR = ";"
_KUBERNETES = re.compile(r"STREP_(SERVICE_(HOST|PORT)\w*|PORT(_\d+_(TCP|UDP)\w*)?)")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that `strep serve` was told.

    Attributes:
        server: for `media.server.Server`.
        log: for `media.logs`.
        warnings: what is odd, but no reason to refuse.
        processes: for `media.serve`.
    """

    server: ServerConfig
    log: LogConfig
    warnings: tuple[str, ...] = ()
    processes: ProcessConfig = field(default_factory=ProcessConfig)


@dataclass(frozen=True, slots=True)
class _Given:
    """An option's texts as found in one place; `place` and `example` are for the error message."""

    texts: list[str]
    place: str
    example: str


def load(flags: Mapping[str, Any], environment: Mapping[str, str], config_file: Path | None = None) -> Settings:
    """Put together what was given.

    Args:
        flags: by option name, text or a sequence of texts; None and () count as not given.
        environment: as `os.environ`.
        config_file: a TOML file; CONFIG_VARIABLE names one where this is None.

    Raises:
        ConfigurationError: something given cannot be used; the text says what, where, and how it is written.
    """
    path = config_file or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    given = _from_file(path) if path is not None else {}
    from_environment, warnings = _from_environment(environment)
    given |= from_environment
    given |= _from_flags(flags)
    values: dict[type, dict[str, Any]] = {ServerConfig: {}, ProcessConfig: {}, LogConfig: {}, NatsConfig: {}}
    for name, found in given.items():
        option = BY_NAME[name]
        values[option.owner][option.target] = _parse(option, found)
    server = ServerConfig(**values[ServerConfig], nats=NatsConfig(**values[NatsConfig]))
    processes = ProcessConfig(**values[ProcessConfig])
    _check(server)
    check_sealing(server)
    warnings += plain_beside(server)
    _check_http(server, processes)
    _check_media(server)
    if processes.metrics:
        check_access(processes.metrics, processes.metrics_token, "metrics", "sees how many calls there are")
    if processes.metrics and processes.metrics.port and processes.metrics == server.ws:
        raise ConfigurationError(f"ws and metrics are both on TCP {server.ws}; one of them must move")
    return Settings(server, LogConfig(**values[LogConfig]), tuple(warnings), processes)


def _parse(option: Option, given: _Given) -> Any:
    parsed = []
    for text in given.texts:
        try:
            parsed.append(option.format.parse(text))
        except ValueError as error:
            shown = "what is given" if option.format.is_secret else repr(text)
            raise ConfigurationError(
                f"{option.name} ({given.place}): {shown} {error}. For example: {given.example}"
            ) from None
    return tuple(parsed) if option.repeatable else parsed[0]


def _from_flags(flags: Mapping[str, Any]) -> dict[str, _Given]:
    given = {}
    for option in OPTIONS:
        value = flags.get(option.name)
        if value is not None and value != ():
            texts = [value] if isinstance(value, str) else list(value)
            given[option.name] = _Given(texts, f"flag {option.flag}", f"{option.flag} {option.example}")
    return given


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, _Given], list[str]]:
    given, strange = {}, dict(environment)
    strange.pop(CONFIG_VARIABLE, None)
    for option in OPTIONS:
        text = strange.pop(option.variable, "")
        texts = text.split(_SEPARATOR) if option.repeatable else [text]
        if text.strip():
            example = f"{option.variable}={option.example}"
            kept = [piece for piece in texts if piece.strip()]
            given[option.name] = _Given(kept or [text], f"variable {option.variable}", example)
    warnings = []
    for variable in sorted(strange):
        if not variable.startswith(PREFIX) or _KUBERNETES.fullmatch(variable):
            continue
        close = _closest(variable.removeprefix(PREFIX).lower(), [CONFIG, *BY_NAME])
        if close:
            raise ConfigurationError(f"variable {variable}: no such option; did you mean {PREFIX}{close.upper()}?")
        warnings.append(f"variable {variable} is no option of this program and is ignored")
    return given, warnings


def _from_file(path: Path) -> dict[str, _Given]:
    given = {}
    for key, value in _read_table(path).items():
        option = BY_NAME.get(key)
        if option is None:
            close = _closest(key, BY_NAME)
            hint = f"did you mean {close}?" if close else f"there are {', '.join(BY_NAME)}"
            raise ConfigurationError(f"{key} (file {path}): no such option; {hint}")
        place = f"file {path}"
        quoted = f'["{option.example}"]' if option.repeatable else f'"{option.example}"'
        example = f"{key} = {quoted}"
        values = value if option.repeatable and isinstance(value, list) else [value]
        for item in values:
            if isinstance(item, bool) or not isinstance(item, (str, int, float)):
                raise ConfigurationError(
                    f"{key} ({place}): a {type(item).__name__} is not text or a number. For example: {example}"
                )
        if values:
            given[key] = _Given([str(item) for item in values], place, example)
    return given


def _read_table(path: Path) -> dict[str, Any]:
    """Return the table `[serve]`, or the top level of a file that has none."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"config: cannot read {path}: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or not TOML
        raise ConfigurationError(f"config: {path} is not TOML: {error}") from None
    if TABLE not in document:
        for key, value in document.items():
            if isinstance(value, dict) and key not in BY_NAME:
                raise ConfigurationError(f"[{key}] (file {path}): no such table; options belong in [{TABLE}]")
        return document
    table = document[TABLE]
    if not isinstance(table, dict):
        raise ConfigurationError(f"{TABLE} (file {path}): must be a table, [{TABLE}]")
    stray = [key for key, value in document.items() if not isinstance(value, dict)]
    if stray:
        raise ConfigurationError(f"{stray[0]} (file {path}): stands outside the table [{TABLE}]; move it into it")
    return table


def _check_http(config: ServerConfig, processes: ProcessConfig) -> None:
    """Check who may reach it, and that it is there where legs can be announced nowhere else.

    Raises:
        ConfigurationError: it cannot be served, or is missing.
    """
    if config.http is None:
        if config.telnyx_public_keys:
            raise ConfigurationError("telnyx_public_key: webhooks come to the HTTP door; give http as well")
        if config.udp_legs == "registered" and config.udp is not None:
            raise ConfigurationError(
                "udp_legs: nobody could announce a leg, so that none would begin; give http, for POST /v1/legs, and "
                "telnyx_public_key for the carrier's webhooks. For example: --http 127.0.0.1:9080"
            )
        return
    check_access(config.http, config.http_token)
    if config.http.port and config.http in (config.ws, processes.metrics):
        raise ConfigurationError(f"http and another door are both on TCP {config.http}; one of them must move")


def _check_media(config: ServerConfig) -> None:
    """Check that what may be played can be there.

    Raises:
        ConfigurationError: there is no such directory.
    """
    if config.media is not None and not config.media.is_dir():
        raise ConfigurationError(f"media: there is no directory {config.media}; make it, and put audio files into it")


def _closest(name: str, known: Iterable[str]) -> str | None:
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def _check(config: ServerConfig) -> None:
    """Check what concerns more than one option.

    Raises:
        ConfigurationError: no door, or two of one name or address.
    """
    if config.udp is None and config.ws is None and not config.rtp:
        raise ConfigurationError(
            "no door: give at least one of udp, rtp and ws, where calls arrive. "
            "For example: strep serve --udp 127.0.0.1:9000 --record recordings"
        )
    names = [ports.name for ports in config.rtp]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigurationError(f"rtp: the name {twice!r} is given to two pairs of ports; each needs its own")
    owners: dict[Endpoint, str] = {}
    udp_sockets = [("udp", config.udp)] if config.udp else []
    for ports in config.rtp:
        udp_sockets += [(f"rx of rtp {ports.name}", ports.rx), (f"tx of rtp {ports.name}", ports.tx)]
    for owner, endpoint in udp_sockets:
        if endpoint.port and endpoint in owners:
            both = f"{owners[endpoint]} and {owner}"
            raise ConfigurationError(f"{both} are both on UDP {endpoint}; one of them must move")
        owners[endpoint] = owner
