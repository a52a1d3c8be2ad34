"""A host as a person types it where a target may stand: a URL, HOST, HOST:PORT, or HOST:PORT/PROTOCOL. Pure."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from egressctl.errors import InvalidInput
from egressctl.manifests.formats import HTTP_PROTOCOLS, PROTOCOLS, TLS_PROTOCOLS, is_label
from egressctl.manifests.yaml_reader import quote_text
from egressctl.model.blocks import parse_address
from egressctl.model.probe import BARE_SCHEME, origin_url

FILE_SUFFIXES = (".yaml", ".yml", ".json")
"""No host ends like this, and a file that is named without a folder has to."""

_SCHEMES = {
    "https": ("TLS", 443),
    "wss": ("TLS", 443),
    "http": ("HTTP", 80),
    "ws": ("HTTP", 80),
    "tcp": ("TCP", 0),
    "postgres": ("TCP", 5432),
    "postgresql": ("TCP", 5432),
    "mysql": ("TCP", 3306),
    "redis": ("TCP", 6379),
    "mongodb": ("TCP", 27017),
    "amqp": ("TCP", 5672),
    "kafka": ("TCP", 9092),
}
"""What a scheme says of the protocol, and of the port where none is said: an address as an application's settings have it."""
SAFE_PROTOCOLS = {443: "TLS", 80: "HTTP"}
"""What is safe to say of a port that says nothing itself: there the name decides, not the address."""
_PORTS = {protocol: port for port, protocol in SAFE_PROTOCOLS.items()}
_WORD = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|(?:\*\.)?[^\s/:@?#\[\]*]+(?:\.[^\s/:@?#\[\]*]+)+\.?)(?::(?P<port>[0-9]{1,9}))?(?P<rest>[/?].*)?"
)
_LONGEST_NAME = 59
"""Beyond that, an entry's name, with its suffix, is no label any more."""


class TypedHost(NamedTuple):
    """What a word says. `port` is 0 and `protocol` empty where it does not say them; `url` is the URL that it is, or empty."""

    host: str
    port: int = 0
    protocol: str = ""
    url: str = ""

    @property
    def known_port(self) -> int:
        """The port, that of the scheme or 443 where none is said."""
        return self.port or _PORTS.get(self.protocol, 443)

    @property
    def known_protocol(self) -> str:
        """The protocol, else what is safe on the port; empty where that is not known."""
        return self.protocol or SAFE_PROTOCOLS.get(self.known_port, "")

    @property
    def target_name(self) -> str:
        """The name of the target that is made of it: `api-example-com`, with the port behind it unless it is 443.

        An address is called `host-192-0-2-7`.
        """
        base = re.sub(r"[^a-z0-9]+", "-", self.host.lower().replace("*.", "any-", 1)).strip("-")
        base = f"host-{base}" if is_address(self) else base
        port = "" if self.known_port == 443 else f"-{self.known_port}"
        if not is_label(base) or len(base) + len(port) > _LONGEST_NAME:
            mark = f"{zlib.crc32(self.host.encode()):08x}"
            base = f"{base[: _LONGEST_NAME - len(port) - len(mark) - 1].strip('-')}-{mark}"
        return base + port

    @property
    def probe_url(self) -> str:
        """The URL that asks for it: a bare connection where no more is known than the port."""
        if self.url:
            return self.url
        protocol = self.known_protocol
        scheme = "https" if protocol in TLS_PROTOCOLS else "http" if protocol in HTTP_PROTOCOLS else "tcp"
        return origin_url(scheme, self.host, self.known_port)


def read_typed_host(word: str) -> TypedHost | None:
    """Read a word as a host; None for one that is none: a name of something, or a file.

    A host has a dot, or a scheme before it, or is an address of IPv6, in brackets or bare. Raises InvalidInput for a scheme,
    port or protocol that there is not.
    """
    scheme, mark, rest = word.partition("://")
    if mark:
        return _read_url(scheme.lower(), rest)
    if ":" in word and "[" not in word and parse_address(word):
        return TypedHost(f"[{word.lower()}]")
    found = _WORD.fullmatch(word)
    if found is None or (word.endswith(FILE_SUFFIXES) and not found["port"]):
        return None
    host, port, path = found["host"].lower(), int(found["port"] or 0), found["rest"] or ""
    if found["port"] and not 0 < port < 65536:
        raise InvalidInput(f"{quote_text(word)}: {found['port']} is no port number", hint="1 to 65535")
    if path[1:].upper() in PROTOCOLS - {""}:
        return TypedHost(host, port, path[1:].upper())
    if found["port"] and re.fullmatch(r"/[A-Za-z][A-Za-z0-9]*", path) and port not in SAFE_PROTOCOLS:
        known = ", ".join(sorted(PROTOCOLS - {""}))
        raise InvalidInput(f"{quote_text(word)}: Istio knows no protocol {quote_text(path[1:])}", hint=f"one of {known}")
    if len(path) < 2:
        return TypedHost(host, port)
    secure = SAFE_PROTOCOLS.get(port or 443, "TLS") == "TLS"
    return TypedHost(host, port, "TLS" if secure else "HTTP", f"{'https' if secure else 'http'}://{found[0]}")


def _read_url(scheme: str, rest: str) -> TypedHost:
    # What stands before an @ may be a password, and is never shown.
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    shown = f"{scheme}://{authority.rpartition('@')[2]}"
    if scheme not in _SCHEMES:
        raise InvalidInput(f"{quote_text(shown)}: there is no such scheme to ask", hint="https://, http:// or tcp://HOST:PORT")
    protocol, usual = _SCHEMES[scheme]
    web = {"TLS": "https", "HTTP": "http"}.get(protocol)
    if web:
        found = _WORD.fullmatch(rest)
        # Whatever else is wrong with it, what reads URLs says it.
        port = int(found["port"] or 0) if found else 0
        return TypedHost(found["host"].lower() if found else "", port, protocol, f"{web}://{rest}")
    found = _WORD.fullmatch(authority.rpartition("@")[2].split(",")[0])
    if found is None:
        raise InvalidInput(f"{quote_text(shown)} names no host", hint=f"such as {BARE_SCHEME}db.example.com:5432")
    host, port = found["host"].lower(), int(found["port"] or usual)
    if not 0 < port < 65536:
        said = f"{port} is no port number" if port else "it names no port"
        raise InvalidInput(f"{quote_text(shown)}: {said}", hint=f"such as {BARE_SCHEME}{host}:5432")
    return TypedHost(host, port, protocol, f"{BARE_SCHEME}{host}:{port}")


def is_address(host: TypedHost) -> bool:
    """Say whether the host is an IP address."""
    return parse_address(host.host.strip("[]")) is not None


def words_to_create(url: str) -> str:
    """Return what to type behind `egressctl create` so that a probe's URL is served: `api.example.com:8443/TLS`.

    An address needs a host as well, and so its flags.
    """
    typed = read_typed_host(url)
    if typed is None or not typed.host:
        return "HOST:PORT"
    port, protocol = typed.known_port, typed.known_protocol
    if is_address(typed):
        address = typed.host.strip("[]")
        name = typed.target_name
        return f"{name} --host {name}.example --address {address} --port {port}/TCP"
    if SAFE_PROTOCOLS.get(port) == protocol:
        return typed.host if port == 443 else f"{typed.host}:{port}"
    return f"{typed.host}:{port}/{protocol or 'TCP'}"


def is_file_word(word: str) -> bool:
    """Say whether a word that names nothing can be a file: it has a slash, or ends like a file of manifests."""
    return "/" in word or word.endswith(FILE_SUFFIXES)
