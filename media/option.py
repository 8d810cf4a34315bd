"""`Option`: the declaration of one option, for all places where it may be given."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

from media.config import ServerConfig
from media.formats import Format

PREFIX = "STREP_"


@dataclass(frozen=True, slots=True)
class Option:
    """One option, for all places where it may be given.

    Attributes:
        name: its key in a file; flag and variable are derived from it.
        section: its heading in the help text.
        format: how its value is written.
        example: a value.
        help: what it does, without the default.
        field: where the value goes; `name` unless given.
        repeatable: it may be given more than once; the value is a tuple.
        owner: whose field it is.
    """

    name: str
    section: str
    format: Format
    example: str
    help: str
    field: str = ""
    repeatable: bool = False
    owner: type[Any] = ServerConfig

    @property
    def flag(self) -> str:
        """The flag on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()

    @property
    def target(self) -> str:
        """The field of `owner` that takes the value."""
        return self.field or self.name

    @property
    def default(self) -> Any:
        """What holds when it is given nowhere."""
        field = next(field for field in fields(self.owner) if field.name == self.target)
        return field.default if field.default_factory is MISSING else field.default_factory()

    @property
    def default_text(self) -> str:
        """The default as it would be written; empty if there is none."""
        return self.format.show(self.default) if self.default not in (None, ()) else ""
