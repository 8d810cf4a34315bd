"""`RecordDatabase`: records as rows of a table, in SQLite or PostgreSQL, by SQLAlchemy's core.

The table is made at the start if it is not there; docs/observing.md tells of its columns. A record that is written
again - an answer was lost on the way, a file is loaded - is left out: ``(call_id, started_at)`` is unique.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from media.cdr.record import CallRecord
from media.cdr.writer import first_line
from media.sinks.sidecar import plain
from strep.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

_ABOUT_ROWS = ("54", "P0")
"""Classes of SQLSTATE beside those for which there are exceptions (PostgreSQL, appendix A): a limit of the program is
exceeded, such as the size of a key; a trigger does not want the row."""
_LOG = logging.getLogger("strep.cdr")
TABLE = "strep_calls"
NOT_INSTALLED = "cdr_database needs SQLAlchemy, and psycopg for PostgreSQL: pip install '/path/to/strep[cdr]'"
DIALECTS = ("sqlite", "postgresql")
CONNECT_TIMEOUT_S = 10
"""To connect, and to wait for another writer of SQLite."""
STATEMENT_TIMEOUT_S = 30


class RecordDatabase:
    """Where records are inserted."""

    name = "database"

    def __init__(self, url: str) -> None:
        """Prepare to use the database at `url`, of the form that SQLAlchemy has; nothing is connected.

        Raises:
            ConfigurationError: it is no such URL, or a package is missing.
        """
        self._engine, self._table = _engine(url), _table()
        self._is_made = False

    def open(self, wall_ns: int) -> None:
        """Do nothing: a database that is not there may come yet, and calls do not wait for it."""

    def write(self, records: Sequence[CallRecord], wall_ns: int) -> None:
        """Insert records.

        Raises:
            OSError: the database is not there, or does not let us: none of them is written.
            Exception: any other; it will never take one of them, and none of them is written.
        """
        rows, is_there = [_row(record) for record in records], False
        try:
            self._make()
            with self._engine.begin() as connection:
                is_there = True
                connection.execute(self._insert(), rows)
        except Exception as error:
            if is_there and _is_about_the_rows(error):
                raise
            self._is_made = False  # who knows what became of it
            raise OSError(first_line(error)) from error

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def _make(self) -> None:
        """Make the table if it is not there; of several processes that begin at once one does."""
        from sqlalchemy import text

        if self._is_made:
            return
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # "if not exists" alone fails for the second of two at once
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('strep_calls'))"))
            self._table.metadata.create_all(connection)
        self._is_made = True

    def _insert(self) -> Any:
        if self._engine.dialect.name == "sqlite":
            from sqlalchemy.dialects.sqlite import insert as insert_sqlite

            return insert_sqlite(self._table).on_conflict_do_nothing()
        from sqlalchemy.dialects.postgresql import insert

        return insert(self._table).on_conflict_do_nothing()


def check_url(url: str) -> None:
    """Check that `url` names a database that we can use.

    Raises:
        ValueError: it does not; a password is not in the text.
    """
    driver = url.partition("://")[0]
    if "://" not in url or driver.partition("+")[0] not in DIALECTS:
        raise ValueError("is not sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE")


def _engine(url: str) -> Engine:
    try:
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    except ImportError:
        raise ConfigurationError(NOT_INSTALLED) from None
    try:
        parsed = sqlalchemy.make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            engine = sqlalchemy.create_engine(parsed, connect_args={"timeout": CONNECT_TIMEOUT_S})
            sqlalchemy.event.listen(engine, "do_connect", _keep_from_others)
            sqlalchemy.event.listen(engine, "connect", _prepare_sqlite)
            return engine
        return sqlalchemy.create_engine(parsed, pool_size=1, pool_pre_ping=True, connect_args=_postgresql())
    except ImportError:
        raise ConfigurationError(NOT_INSTALLED) from None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigurationError(f"cdr_database: {type(error).__name__}: it is no URL of a database") from None


def _postgresql() -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "strep",
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S}s",
        "tcp_user_timeout": STATEMENT_TIMEOUT_S * 1000,
    }


def _keep_from_others(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
    """Make the file before SQLite does, closed to other users; what SQLite puts beside it has the same mode."""
    name = str(arguments[0])
    if name != ":memory:":
        with suppress(OSError):  # SQLite says why
            os.close(os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")  # who reads does not hold up who writes
    connection.execute("PRAGMA synchronous=FULL")


def _table() -> Table:
    from sqlalchemy import (
        JSON,
        BigInteger,
        Column,
        DateTime,
        Index,
        Integer,
        MetaData,
        PrimaryKeyConstraint,
        Table,
        Text,
    )
    from sqlalchemy.dialects.postgresql import JSONB

    def moment(name: str) -> Column[datetime]:
        return Column(name, DateTime(timezone=True), nullable=False)

    def text(name: str, *, nullable: bool = False) -> Column[str]:
        return Column(name, Text, nullable=nullable)

    def number(name: str) -> Column[int]:
        return Column(name, Integer, nullable=True)  # of a call whose process was killed nobody knows it

    return Table(
        TABLE,
        MetaData(),
        text("call_id"),
        moment("started_at"),
        moment("ended_at"),
        Column("duration_ms", BigInteger, nullable=False),
        text("door"),
        text("dialect", nullable=True),
        text("caller", nullable=True),
        text("callee", nullable=True),
        text("reason"),
        number("packets"),
        number("lost"),
        number("digits"),
        Column("record", JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        PrimaryKeyConstraint("call_id", "started_at"),
        Index("strep_calls_started_at", "started_at"),
    )


def _row(record: CallRecord) -> dict[str, Any]:
    return {
        "call_id": record.call_id,
        "started_at": datetime.fromisoformat(record.started_at),
        "ended_at": datetime.fromisoformat(record.ended_at),
        "duration_ms": record.duration_ms,
        "door": record.door,
        "dialect": record.dialect,
        "caller": record.caller,
        "callee": record.callee,
        "reason": record.reason,
        "packets": _sum(track.packets for track in record.tracks),
        "lost": _sum(track.lost for track in record.tracks),
        "digits": record.digits,
        "record": msgspec.to_builtins(record, enc_hook=plain),
    }


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _is_about_the_rows(error: Exception) -> bool:
    """Return whether what is wrong is a value, and not the database or the way to it."""
    from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return isinstance(error, DataError | IntegrityError) or state[:2] in _ABOUT_ROWS
    if isinstance(error, StatementError):  # a value could not even be given to the driver
        return True
    return not isinstance(error, SQLAlchemyError | OSError | MemoryError)
