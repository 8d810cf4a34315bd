"""Audio from the web: where it may come from, how long it may take, and how much of it.

A URL may come from whoever is on the phone. So names are resolved once, what they resolve to is judged, and that very
address is connected to; every redirect goes the same way. Everything here runs in a worker thread.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from media.talk.contract import PlaybackError
from media.talk.sources.conversion import shown
from media.talk.sources.line import Line

_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {"User-Agent": "strep", "Accept": "audio/*, */*;q=0.5", "Accept-Encoding": "identity"}
_SAFE = "/%:@!$&'()*+,;=~?[]"
"""Characters that a path or a query may hold as they are (RFC 3986 sections 3.3 and 3.4)."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
MAX_URL_CHARACTERS = 8000
"""RFC 9110 section 4.1: what every server should take; others may refuse more."""


@dataclass(frozen=True, slots=True)
class UrlRules:
    """What a URL is allowed.

    Attributes:
        allow_private: loopback, private, link-local and other addresses that are not of the public internet.
        redirects: how many are followed.
        connect_s: to connect to one address, and for TLS.
        stall_s: without a byte; and over so long a wait, `media.talk.sources.line.SLOWEST_BYTES_PER_S` must come.
        open_s: until there is something to play, all in all.
        size_bytes: of the body.
        tls: how certificates are judged; None is the system's way.
    """

    allow_private: bool = False
    redirects: int = 3
    connect_s: float = 5.0
    stall_s: float = 10.0
    open_s: float = 20.0
    size_bytes: int = 64 * 2**20
    tls: ssl.SSLContext | None = None


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet, also where IPv6 wraps an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if ip in _NAT64:
            wrapped = ipaddress.IPv4Address(ip.packed[-4:])
        if wrapped is not None and not is_public(str(wrapped)):
            return False
        if ip.is_site_local:  # fec0::/10: deprecated (RFC 3879), and still routed inside of some sites
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def name_of(url: str) -> str:
    """Return a URL as errors show it: without what may be a secret."""
    return shown(url.partition("?")[0].partition("#")[0])


def request(url: str, rules: UrlRules, line: Line) -> http.client.HTTPResponse:
    """Ask for `url`, and for where it redirects to, by `line`, and return the answer with its body unread.

    Raises:
        PlaybackError: not allowed, not there, too slow, too large, or no success.
    """
    for _ in range(rules.redirects + 1):
        what = name_of(url)
        try:
            answer = _ask(_parts(url, what), what, rules, line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise PlaybackError(f"{what}: {failure(error, rules)}") from error
        location = answer.getheader("Location")
        refusal = "" if answer.status in _REDIRECTS and location else _refusal(answer, rules)
        if refusal is None:
            return answer
        answer.close()
        if refusal:
            raise PlaybackError(f"{what}: {refusal}")
        url = urljoin(url, str(location))
    raise PlaybackError(f"{what}: more than {rules.redirects} redirects")


def failure(error: Exception, rules: UrlRules) -> str:
    """Return what went wrong with a connection in words."""
    if isinstance(error, TimeoutError):
        allowed = f"{rules.connect_s:g} s to connect, {rules.stall_s:g} s without a byte are allowed"
        return f"stalled ({allowed}); fetch it first, and play the file"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'verify_message', '') or error.reason or error}"
    if isinstance(error, http.client.HTTPException):
        return f"no HTTP answer ({shown(repr(error))})"
    return shown(getattr(error, "strerror", None) or str(error))


def _parts(url: str, what: str) -> SplitResult:
    if len(url) > MAX_URL_CHARACTERS:
        raise PlaybackError(f"{what}: a URL of {len(url)} characters; {MAX_URL_CHARACTERS} are allowed")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise PlaybackError(f"{what}: only http and https can be played, not {shown(parts.scheme) or 'nothing'}")
    if not parts.hostname:
        raise PlaybackError(f"{what}: there is no host in it")
    if parts.username is not None:
        raise PlaybackError("a URL with a user name or password in it is not played")
    return parts


def _ask(parts: SplitResult, what: str, rules: UrlRules, line: Line) -> http.client.HTTPResponse:
    is_tls = parts.scheme == "https"
    host, port = str(parts.hostname).encode("idna").decode(), parts.port or (443 if is_tls else 80)
    connected = _connected(host, port, what, rules, line)
    connection: http.client.HTTPConnection
    if is_tls:
        tls = rules.tls or ssl.create_default_context()
        try:
            connected = tls.wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise
        connection = http.client.HTTPSConnection(host, port, context=tls)
    else:
        connection = http.client.HTTPConnection(host, port)
    line.take(connected)
    connection.sock = line
    target = quote(parts.path or "/", _SAFE) + (f"?{quote(parts.query, _SAFE)}" if parts.query else "")
    connection.request("GET", target, headers=_HEADERS)
    return connection.getresponse()


def _connected(host: str, port: int, what: str, rules: UrlRules, line: Line) -> socket.socket:
    """Return a connection to one of the addresses of `host` that are allowed; the name is looked up once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    allowed = [address for address in addresses if rules.allow_private or is_public(address)]
    if not allowed:
        raise PlaybackError(
            f"{what}: {addresses[0]} is no address of the public internet, which is not allowed; "
            "fetch it yourself and play its bytes"
        )
    refusal: OSError | None = None
    for address in allowed:
        line.check()
        try:
            return socket.create_connection((address, port), timeout=rules.connect_s)
        except OSError as error:
            refusal = error
    raise refusal or OSError("there is no address")


def _refusal(answer: http.client.HTTPResponse, rules: UrlRules) -> str | None:
    """Return why an answer is not taken, None if it is."""
    encoding = answer.getheader("Content-Encoding", "identity")
    if answer.status != HTTPStatus.OK:
        return f"the answer is {answer.status} {shown(answer.reason)}".rstrip()
    if answer.length is not None and answer.length > rules.size_bytes:
        return f"{answer.length} bytes are more than the {rules.size_bytes} allowed"
    return f"it comes with Content-Encoding {shown(encoding)}" if encoding.lower() != "identity" else None
