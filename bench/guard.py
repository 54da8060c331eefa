"""Opens an address that a stranger named: https to listed hosts alone, whatever they redirect to, and never inwards."""

import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from bench.errors import ArtefactError

Dial: TypeAlias = Callable[[str, float], socket.socket]
"""(host, seconds of patience) to a connection with it, encrypted and with its certificate held against its name."""
_PORT = 443
_REDIRECTS = 5
_HOST = re.compile(r"[a-z0-9.-]{1,253}")
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Stands for addresses of the older kind, the private ones among them (RFC 6052)."""


def dial(host: str, patience: float) -> socket.socket:
    """Connect to a host whose every address is a public one, on the very address that was looked at.

    Raises:
        ArtefactError: if one of its addresses is not public.
        OSError: if it has none, or does not answer as itself.
    """
    last: OSError = OSError(f"{host} has no address")
    for address in addresses(host):
        try:
            plain = socket.create_connection((address, _PORT), patience)
        except OSError as error:
            last = error
            continue
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    raise last


def addresses(host: str) -> list[str]:
    """Return the addresses of a host, as names resolve here.

    Raises:
        ArtefactError: if one of them is not public: then the name may lead into this network.
        OSError: if the name does not resolve.
    """
    found = [str(place[4][0]) for place in socket.getaddrinfo(host, _PORT, type=socket.SOCK_STREAM)]
    for text in found:
        if not public(ip_address(text.partition("%")[0])):
            raise ArtefactError(f"{host} has the address {text}, which is not a public one; nothing is asked of it.")
    return found


def public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address belongs to one host of the public network, in whatever spelling."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return public(address.ipv4_mapped)
        if address in _TRANSLATED or address.sixtofour is not None or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class Guard:
    """Opens addresses at some hosts, and follows redirects among them alone.

    No proxy is asked and no setting of the environment changes the way: what is connected to is what was looked at.

    Attributes:
        hosts: names; one with a dot in front stands for every name below it.
        dial: connects to a host.
    """

    hosts: tuple[str, ...]
    dial: Dial = dial

    def __call__(self, asked: urllib.request.Request, patience: float) -> Any:
        """Return the answer to a request, as ``urllib`` does.

        Raises:
            ArtefactError: if the address, or one that it redirects to, lies elsewhere.
            OSError: as ``urllib`` does.
        """
        self.hold(asked.full_url)
        opener = urllib.request.OpenerDirector()
        for handler in (
            _Https(self.dial),
            _Redirects(self.hold),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            opener.add_handler(handler)
        return opener.open(asked, timeout=patience)

    def hold(self, address: str) -> None:
        """Hold an address against the list.

        Raises:
            ArtefactError: if it is not https, names a port or a user, or its host is not listed.
        """
        try:
            parts = urlsplit(address)
        except ValueError:
            parts = urlsplit("")
        host = parts.netloc.removesuffix(f":{_PORT}")
        if parts.scheme != "https" or not _HOST.fullmatch(host) or not any(map(partial(_under, host), self.hosts)):
            raise ArtefactError(
                f"{address[:200]!r} is not asked for weights; expected https at {' or '.join(self.hosts) or 'no host'}."
            )


def _under(host: str, listed: str) -> bool:
    return host.endswith(listed) if listed.startswith(".") else host == listed


class _Connection(http.client.HTTPConnection):
    """A connection that somebody else makes; what is spoken over it is HTTP."""

    default_port = _PORT

    def __init__(self, host: str, *, dial: Dial, timeout: float) -> None:
        super().__init__(host, timeout=timeout)
        self._dial, self._patience = dial, timeout

    def connect(self) -> None:
        """Let the dialler connect."""
        self.sock = self._dial(self.host, self._patience)


class _Https(urllib.request.AbstractHTTPHandler):
    def __init__(self, dial: Dial) -> None:
        super().__init__()
        self._dial = dial

    def https_open(self, asked: urllib.request.Request) -> http.client.HTTPResponse:
        made: Any = partial(_Connection, dial=self._dial)
        return self.do_open(made, asked)

    https_request = urllib.request.AbstractHTTPHandler.do_request_


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = _REDIRECTS

    def __init__(self, hold: Callable[[str], None]) -> None:
        super().__init__()
        self._hold = hold

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        self._hold(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
