"""Where recordings can be delivered to, as it is written: a directory, or a URL that fsspec knows."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def check_url(url: str) -> str:
    """Return the URL of a store, a directory as an absolute file: URL.

    Raises:
        ValueError: it names none; the text completes "'...' ".
    """
    directory = directory_of(url)
    if directory is not None:
        return directory.as_uri()
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        raise ValueError("is no store; for an S3 server say s3://BUCKET/PREFIX, and in AWS_ENDPOINT_URL where it is")
    if parts.username or parts.password:
        raise ValueError("has a password in it; credentials are taken from the environment, as AWS_ACCESS_KEY_ID")
    if not parts.netloc or parts.query or parts.fragment or ".." in parts.path.split("/"):
        raise ValueError("is not DIRECTORY, file:///DIRECTORY or s3://BUCKET/PREFIX")
    return url.rstrip("/")


def directory_of(url: str) -> Path | None:
    """Return the absolute path of a directory, given as path or as file: URL; None for every other URL."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path)) if parts.netloc in ("", "localhost") and parts.path else None
    return Path(url).absolute() if "://" not in url else None
