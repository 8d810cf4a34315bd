"""Records in SQLite, and in a PostgreSQL of its own: once each, whatever happens on the way."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from media.cdr.database import RecordDatabase, check_url
from media.cdr.options import parse_database
from media.cdr.record import CallRecord, line_of
from media.cdr.writer import write_each
from strep.errors import ConfigurationError
from tests.cdr.records import a_record
from tests.patience import PATIENCE_S
from tests.sinks.rows import WALL_NS

sqlalchemy = pytest.importorskip("sqlalchemy")
BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class PostgreSql:
    """A cluster of its own, on a port of this machine, by a user that is not root."""

    def __init__(self, folder: Path) -> None:
        assert BIN is not None
        self.folder, self.port = folder, free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "postgres", "--no-sync")

    def _run(self, program: str, *arguments: str) -> None:
        assert BIN is not None
        command = [str(BIN / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=PATIENCE_S)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        wait = ("-w", "-t", str(int(PATIENCE_S)))
        self._run("pg_ctl", "-D", "data", "-l", "log", "-o", options, *wait, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSql]:
    if BIN is None or not (BIN / "initdb").exists():
        pytest.skip("no PostgreSQL here: make peers")
    pytest.importorskip("psycopg")
    with tempfile.TemporaryDirectory() as folder:  # not pytest's, which other users may not enter
        server = PostgreSql(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'calls.db'}"
    else:
        server = request.getfixturevalue("postgresql")
        yield server.url
        execute(server.url, "DROP TABLE IF EXISTS strep_calls")


def execute(url: str, statement: str) -> list[Any]:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(statement))
            return list(result) if result.returns_rows else []
    finally:
        engine.dispose()


def write(url: str, *records: CallRecord) -> int:
    database = RecordDatabase(url)
    database.open(WALL_NS)
    try:
        return write_each(database, records, WALL_NS)
    finally:
        database.close()


def test_the_table_is_made_and_a_row_has_what_the_record_says(url: str) -> None:
    record = a_record(1, to="+15550002", **{"from": "+15550001"})
    assert write(url, record) == 0
    columns = "call_id, caller, callee, duration_ms, packets, lost, digits, door, dialect, reason"
    rows = execute(url, f"SELECT {columns} FROM strep_calls")
    assert [tuple(row) for row in rows] == [
        ("leg-1", "+15550001", "+15550002", 2000, 100, 5, 0, "ws", "telnyx", "stop")
    ]
    [[document]] = execute(url, "SELECT record FROM strep_calls")
    assert (json.loads(document) if isinstance(document, str) else document) == json.loads(line_of(record))
    [[count]] = execute(url, "SELECT count(*) FROM strep_calls WHERE started_at > '2023-11-14 22:13:19+00:00'")
    assert count == 1


def test_what_is_there_already_is_left_out(url: str) -> None:
    write(url, a_record(1), a_record(2))
    assert write(url, a_record(2), a_record(3), a_record(3)) == 0
    assert [row[0] for row in execute(url, "SELECT call_id FROM strep_calls ORDER BY 1")] == [
        "leg-1",
        "leg-2",
        "leg-3",
    ]


@pytest.mark.parametrize(
    "values",
    [{"reason": None}, {"started_at": "yesterday"}, {"duration_ms": 1 << 70}],
)
def test_a_record_that_is_not_taken_costs_no_other(values: dict[str, Any], url: str) -> None:
    bad = msgspec.structs.replace(a_record(2), **values)
    assert write(url, a_record(1), bad, a_record(3)) == 1
    assert len(execute(url, "SELECT call_id FROM strep_calls")) == 2


def test_a_database_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="unable to open database file"):
        write(f"sqlite:///{tmp_path / 'nowhere' / 'calls.db'}", a_record(1))


@pytest.mark.peer
def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(RecordDatabase(f"sqlite:///{tmp_path / 'calls.db'}")) as database:
            database.open(WALL_NS)
            database.write([a_record(1)], WALL_NS)
            made = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert "calls.db" in made
    assert set(made.values()) == {0o600}


def test_a_server_that_goes_and_comes_back(postgresql: PostgreSql) -> None:
    database = RecordDatabase(postgresql.url)
    database.write([a_record(1)], WALL_NS)
    postgresql.stop()
    with pytest.raises(OSError, match=r"onnect"):
        database.write([a_record(2)], WALL_NS)
    postgresql.start()
    assert write_each(database, [a_record(1), a_record(2)], WALL_NS) == 0
    database.close()
    assert execute(postgresql.url, "SELECT count(*) FROM strep_calls")[0][0] == 2
    execute(postgresql.url, "DROP TABLE strep_calls")


def test_what_is_wrong_on_the_way_to_it_refuses_no_record(tmp_path: Path) -> None:
    database = RecordDatabase(f"sqlite:///{tmp_path / 'calls.db'}?detect_types=99999999999999")
    with pytest.raises(OSError, match="int"):
        database.write([a_record(1)], WALL_NS)
    database.close()


@pytest.mark.peer
def test_a_trigger_that_does_not_want_one_costs_no_other(postgresql: PostgreSql) -> None:
    write(postgresql.url, a_record(1))
    function = "BEGIN IF NEW.call_id = 'leg-2' THEN RAISE EXCEPTION 'not that one'; END IF; RETURN NEW; END"
    execute(postgresql.url, f"CREATE FUNCTION want() RETURNS trigger LANGUAGE plpgsql AS $$ {function} $$")
    execute(postgresql.url, "CREATE TRIGGER want BEFORE INSERT ON strep_calls FOR EACH ROW EXECUTE FUNCTION want()")
    assert write(postgresql.url, a_record(2), a_record(3)) == 1
    assert execute(postgresql.url, "SELECT count(*) FROM strep_calls")[0][0] == 2
    execute(postgresql.url, "DROP TABLE strep_calls; DROP FUNCTION want")


@pytest.mark.peer
def test_several_processes_make_the_table_at_once(postgresql: PostgreSql) -> None:
    program = (
        "import sys; from tests.cdr.records import a_record; from media.cdr.database import RecordDatabase\n"
        "RecordDatabase(sys.argv[1]).write([a_record(1), a_record(int(sys.argv[2]))], 0)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, postgresql.url, str(number)], stderr=subprocess.PIPE)
        for number in (2, 3)
    ]
    assert [process.communicate(timeout=PATIENCE_S)[1] for process in processes] == [b""] * 2
    assert execute(postgresql.url, "SELECT count(*) FROM strep_calls")[0][0] == 3
    execute(postgresql.url, "DROP TABLE strep_calls")


@pytest.mark.parametrize("text", ["calls.db", "mysql://root:secret@host/calls", "postgres://host/calls", "://"])
def test_urls_that_are_none_of_ours(text: str) -> None:
    with pytest.raises(ValueError, match="is not sqlite:///FILE") as error:
        parse_database(text)
    assert "secret" not in str(error.value)


def test_a_url_that_only_looks_like_one() -> None:
    check_url("postgresql+nothing://u:secret@h/d")
    with pytest.raises(ConfigurationError, match="cdr_database") as error:
        RecordDatabase("postgresql+nothing://u:secret@h/d")
    assert "secret" not in str(error.value)


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ConfigurationError, match=r"pip install '/path/to/strep\[cdr\]'"):
        RecordDatabase("sqlite:///calls.db")
