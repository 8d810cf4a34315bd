"""One S3 server for all, and deliveries that are not put off on a busy machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.delivery import companion
from tests.delivery import s3
from tests.patience import PATIENCE_S


@pytest.fixture(scope="session")
def _eager_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text("import os\n\nos.nice = lambda _: 0\n")
    return folder


@pytest.fixture(autouse=True)
def eager(_eager_site: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have processes that deliver keep their priority: at the lowest one, they may not run for minutes. And wait.

    Returns the PYTHONPATH that does it, for processes with an environment of their own.
    """
    path = os.pathsep.join([str(_eager_site), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(companion, "CLOSE_S", PATIENCE_S)
    return path


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[s3.S3Server]:
    with s3.running(s3.S3Server()) as server:
        yield server


@pytest.fixture
def server(_s3_server: s3.S3Server) -> s3.S3Server:
    """An S3 server, with nothing in it."""
    client = _s3_server.client("s3")
    for key in _s3_server.objects():
        client.delete_object(Bucket=s3.BUCKET, Key=key)
    return _s3_server
