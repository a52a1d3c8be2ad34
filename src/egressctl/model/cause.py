"""Why a verdict is not `open`: the codes, and a cause with its sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CauseCode(StrEnum):
    """Why a verdict is not `open`; each code has a page in docs/causes/."""

    BLACKHOLE = "blackhole"
    PASSTHROUGH = "passthrough"
    ENTRY_MISSING = "entry-missing"
    ADDRESS_NOT_LISTED = "address-not-listed"
    PORT_NOT_LISTED = "port-not-listed"
    HOST_NOT_LISTED = "host-not-listed"
    PROTOCOL_MISMATCH = "protocol-mismatch"
    NOT_EXPORTED = "not-exported"
    HIDDEN_BY_SIDECAR = "hidden-by-sidecar"
    NOT_PROPAGATED = "not-propagated"
    REJECTED_BY_PROXY = "rejected-by-proxy"
    RIVAL_ENTRY = "rival-entry"
    REROUTED = "rerouted"
    NO_ENDPOINTS = "no-endpoints"
    NO_SIDECAR = "no-sidecar"
    NOT_CAPTURED = "not-captured"
    AMBIENT = "ambient"
    NAME_RESOLUTION = "name-resolution"
    CONNECT_REFUSED = "connect-refused"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS_CERTIFICATE = "tls-certificate"
    TLS_HANDSHAKE = "tls-handshake"
    TIMEOUT = "timeout"
    RESET = "reset"
    HTTP_STATUS = "http-status"
    BODY_MISMATCH = "body-mismatch"
    PROXY_UNREADABLE = "proxy-unreadable"
    EVIDENCE_LOST = "evidence-lost"
    NO_SOURCE_POD = "no-source-pod"
    NO_CURL = "no-curl"
    EXEC_FORBIDDEN = "exec-forbidden"
    EXEC_FAILED = "exec-failed"
    SIDECAR_NOT_READY = "sidecar-not-ready"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why: a stable code, one sentence with the evidence in it, and the next command to type."""

    code: CauseCode
    message: str
    hint: str = ""
