"""A real S3 server, moto's, as a process, and a way to it that fails as networks do."""

from __future__ import annotations

import http.client
import importlib.util
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from media.delivery.object_store import PART_BYTES
from tests.patience import PATIENCE_S

PEERS = Path(__file__).resolve().parents[2] / ".peers"
IS_HERE = (PEERS / "moto").is_dir() and importlib.util.find_spec("s3fs") is not None
BUCKET = "calls"
USER = {"AWS_ACCESS_KEY_ID": "strep", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
_PROGRAM = "import sys; from moto.server import main; main(sys.argv[1:])"
_PIECE_BYTES = 1 << 14
_VERBS = (b"HEAD ", b"GET ", b"PUT ", b"POST ", b"DELETE ")


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def url_of(port: int) -> str:
    return f"http://127.0.0.1:{port}"


class S3Server:
    """moto on a port of its own; it forgets everything when it stops."""

    def __init__(self, **environment: str) -> None:
        self.port = free_port()
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return url_of(self.port)

    def start(self, *, bucket: bool = True) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "-H", "127.0.0.1", "-p", str(self.port)],
            env={"PYTHONPATH": str(PEERS), "PATH": "/usr/bin:/bin", **self._environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                break
            assert self._process.poll() is None, "moto ended"
            time.sleep(0.05)
        if bucket:
            self.client("s3").create_bucket(Bucket=BUCKET)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        while self._clients:
            self._clients.popitem()[1].close()

    def client(self, service: str) -> Any:
        """Return a client of ours, the same each time: it takes a third of a second to make one."""
        if service not in self._clients:
            import botocore.session

            names = {"aws_access_key_id": "strep", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
            session = botocore.session.Session()
            self._clients[service] = session.create_client(service, endpoint_url=self.url, **names)
        return self._clients[service]

    def objects(self) -> dict[str, bytes]:
        s3 = self.client("s3")
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        return {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


class Way:
    """A proxy in front of a server.

    Attributes:
        mode: "ok", "500", "held", which stops when more than a part was uploaded until `go_on`, or what happens to
            an upload that passes `after_bytes`: "cut", "corrupt".
        times: how often that happens; then all is well.
        uploaded_bytes: of all requests.
        happened: how often it did.
    """

    def __init__(self, port: int, at: int = 0) -> None:
        """Lead to `port`, from a port that is given or any."""
        self.mode, self.times, self.after_bytes = "ok", 1, 50_000
        self.uploaded_bytes = self.happened = 0
        self._port = port
        self._goes_on = threading.Event()
        self._server = socket.create_server(("127.0.0.1", at))
        self.url = url_of(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def go_on(self) -> None:
        self.mode = "ok"
        self._goes_on.set()

    def close(self) -> None:
        self._goes_on.set()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self.mode == "500" and self._happens():
                client.recv(1 << 16)
                client.sendall(
                    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                self._copy_requests(client, server)
                back.join(5)

    def _copy_requests(self, client: socket.socket, server: socket.socket) -> None:
        body_bytes = 0
        while piece := client.recv(_PIECE_BYTES):
            body_bytes = (
                0 if piece.split(b" ", 1)[0] in (b"HEAD", b"GET", b"PUT", b"POST") else body_bytes + len(piece)
            )
            self.uploaded_bytes += len(piece)
            if self.mode == "held" and self.uploaded_bytes > PART_BYTES:
                self._goes_on.wait()
            if self.mode in ("cut", "corrupt") and body_bytes > self.after_bytes and self._happens():
                if self.mode == "cut":
                    raise ConnectionError
                piece = bytes([piece[0] ^ 0xFF]) + piece[1:]
            server.sendall(piece)
        server.shutdown(socket.SHUT_WR)

    def _happens(self) -> bool:
        if self.happened >= self.times:
            return False
        self.happened += 1
        return True


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def authentication(port: int) -> Iterator[None]:
    """Have moto judge credentials, which otherwise it does not."""
    _judge(port, b"0")
    try:
        yield
    finally:
        _judge(port, b"inf")


def _judge(port: int, after_requests: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    with closing(connection):
        connection.request("POST", "/moto-api/reset-auth", after_requests)
        assert connection.getresponse().status == 200


@contextmanager
def running(server: S3Server) -> Iterator[S3Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()
