"""Objects over REST, through the official client's connections: requests, retries, and one deadline for them all."""

from __future__ import annotations

import builtins
import email.utils
import itertools
import json
import math
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from egressctl.errors import ApiFailure, Conflict, InvalidInput, NotFound
from egressctl.kube.answers import describe_content, parse_answer
from egressctl.kube.connection import CONNECT_RETRIES, ApiConnection, BrokenConnection, network_failure
from egressctl.kube.status import (
    ISTIO_HINT,
    ApiRequest,
    error_for_answer,
    is_input_mistake,
    one_line,
    parse_request,
    parse_status,
)
from egressctl.model.entry import GROUP
from egressctl.model.json_values import text_at, value_at

MAX_ANSWER_BYTES = 64 << 20
PAGE = 500
DEFAULT_TIMEOUT = 30.0
"""Seconds of a question where nobody says how long."""
MAX_PAGES, MAX_LIST_BYTES = 1000, 256 << 20
STATUS_RETRIES = 4
RETRIED = frozenset({429, 500, 502, 503, 504})
_NEVER_HAD = "1"
"""A resourceVersion that no object has: those of etcd begin at 2."""
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


def resource_path(group_version: str, namespace: str | None, plural: str, name: str | None = None) -> str:
    """Build the path of a collection or an object; every segment is quoted.

    `group_version` is `v1` or `networking.istio.io/v1`; a `namespace` of None means all
    namespaces, or a resource that has none. Raises InvalidInput for an empty name, which would lead to all objects.
    """
    if "" in (namespace, name):
        what = "namespace" if namespace == "" else f"name among {plural}"
        raise InvalidInput(f"an empty {what} means no object", hint="write its name, or leave it out")
    group, slash, version = group_version.rpartition("/")
    segments = ["apis", group, version] if slash else ["api", version]
    segments += [] if namespace is None else ["namespaces", namespace]
    segments += [plural] if name is None else [plural, name]
    # A segment of dots would be resolved away on the way, and lead to something else.
    return "/" + "/".join(
        "%2E" * len(text) if text in (".", "..") else quote(text, safe="", errors="surrogateescape") for text in segments
    )


def only_if_absent(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose apply makes an object, and raises Modified where one is there, whoever made it.

    A resourceVersion is held against that of the object that is there, and not looked at where there is none.
    """
    return {**body, "metadata": {**body["metadata"], "resourceVersion": _NEVER_HAD}}


def only_if_unchanged(body: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose apply changes this very object, and raises Modified where it is gone or another by now."""
    known = {key: live["metadata"][key] for key in ("uid", "resourceVersion") if live["metadata"].get(key)}
    return {**body, "metadata": {**body["metadata"], **known}}


class _Answer(NamedTuple):
    status: int
    body: bytes
    headers: Any
    again: bool
    """Whether an earlier try may have been done already."""
    warnings: tuple[str, ...] = ()
    """What it warned of (`Warning:` headers)."""


class Api:
    """One API server, as one user. Thread-safe. Every method raises CouldNotAsk's kinds, Conflict and InvalidInput.

    `server` is its URL and `namespace` the context's. `user_agent` may be set at any time.
    """

    def __init__(
        self,
        load: Callable[[], ApiConnection],
        *,
        renewable: bool,
        context: str,
        namespace: str,
        user_agent: str,
        request_timeout: float,
        warnings: Sequence[str] = (),
    ) -> None:
        self.context, self.namespace, self.user_agent = context, namespace, user_agent
        self.request_timeout = request_timeout
        self.silent_execs: dict[tuple[str, str, str], int] = {}
        """How many commands in turn gave no answer, by namespace, pod and container."""
        self.old_curls: set[tuple[str, str, str]] = set()
        """The containers whose curl was seen to be an old one, by namespace, pod and container."""
        self._load, self._renewable = load, renewable
        self._lock = threading.Lock()
        self._warnings = dict.fromkeys(warnings)
        self._date, self._dated = "", 0.0
        self._connection = load()
        self.server: str = self._connection.base

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the API server warned of (`Warning:` headers) and the connection itself, each once."""
        with self._lock:
            return tuple(self._warnings)

    @property
    def clock_skew(self) -> float | None:
        """How many seconds the API server's clock is ahead of this machine's, to a second; None where no answer had a date."""
        with self._lock:
            date, dated = self._date, self._dated
        try:
            return email.utils.parsedate_to_datetime(date).timestamp() + 0.5 - dated
        except (ValueError, TypeError, OverflowError):
            return None

    @property
    def exec_timeout(self) -> float:
        """How many seconds a command in a container may take beyond what it does: a request's, where that has a limit."""
        return self.request_timeout if self.request_timeout > 0 else DEFAULT_TIMEOUT

    def connection(self) -> ApiConnection:
        """Return the connection in use."""
        return self._connection

    def renew(self, refused: ApiConnection) -> bool:
        """After a 401, fetch the credentials again; say whether there is now something else to try."""
        with self._lock:
            # Of many threads that were refused with one credential, the first renews for all.
            if self._connection is refused and self._renewable:
                fresh = self._load()
                if fresh.identity == refused.identity:
                    return False
                self._connection = fresh
                refused.pool.clear()
            return self._connection is not refused

    def close(self) -> None:
        """Close the connections that are kept."""
        self._connection.pool.clear()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object at a path."""
        return self._object(self._ask("GET", path, query), "GET", path)

    def find(self, path: str) -> dict[str, Any] | None:
        """Return the JSON object at a path, None where the API server says that there is none of that name."""
        try:
            return self.get(path)
        except NotFound as missing:
            if not missing.name:
                raise
            return None

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Return the text at a path: a log. What is not UTF-8 in it is replaced."""
        answer = self._ask("GET", path, query)
        # A log may say anything, but is no page.
        if str(answer.headers.get("Content-Type", "")).startswith("text/html"):
            raise self._not_the_api(answer.status, parse_request("GET", path), describe_content(answer.body))
        return answer.body.decode(errors="replace")

    def list(self, path: str, *, label_selector: str | None = None, field_selector: str | None = None) -> dict[str, Any]:
        """Return the whole list at a path, all its pages in one; begins again, once, where a page had expired."""
        query = {"limit": str(PAGE)}
        query |= {key: value for key, value in (("labelSelector", label_selector), ("fieldSelector", field_selector)) if value}
        ends = self._end_of_question()
        try:
            return self._pages(path, query, ends)
        except ApiFailure as error:
            if error.status != 410:
                raise
            return self._pages(path, query, ends)

    def _pages(self, path: str, query: dict[str, str], ends: float) -> dict[str, Any]:
        answer = self._ask("GET", path, query, ends=ends)
        first = page = self._object(answer, "GET", path)
        items, seen, size = builtins.list(first.get("items") or ()), set[str](), len(answer.body)
        while token := text_at(page, "metadata", "continue"):
            what = parse_request("GET", path)
            if token in seen:
                raise self._not_the_api(answer.status, what, "the same page for ever")
            seen.add(token)
            answer = self._ask("GET", path, {**query, "continue": token}, ends=ends)
            page = self._object(answer, "GET", path)
            items += page.get("items") or ()
            size += len(answer.body)
            if size > MAX_LIST_BYTES or len(seen) > MAX_PAGES:
                most = f"{MAX_LIST_BYTES >> 20} MiB or {MAX_PAGES} pages"
                raise ApiFailure(f"the list does not end: asked {what.wish}, the API server gave more than {most}")
        return {**first, "items": items}

    def _end_of_question(self) -> float:
        """Return when the time of a question that is asked now is up: all its tries and pages share it."""
        return time.monotonic() + (self.request_timeout if self.request_timeout > 0 else math.inf)

    def try_out(self, collection: str, name: str, body: Mapping[str, Any], *, field_manager: str) -> tuple[str, ...]:
        """Create an object by dry run, or apply it where there is one of that name, and return what is warned of.

        Raises Refused for what the API server would not take.
        """
        query = _write_query(field_manager, dry_run=True)
        method, path = "POST", collection
        try:
            answer = self._ask(method, path, query, body)
        except Conflict:
            method, path = "PATCH", f"{collection}/{quote(name, safe='')}"
            answer = self._ask(method, path, query | {"force": "true"}, body, "application/apply-patch+yaml")
        self._object(answer, method, path)
        return answer.warnings

    def apply(
        self, path: str, body: Mapping[str, Any], *, field_manager: str, force: bool = False, dry_run: bool = False
    ) -> tuple[int, dict[str, Any]]:
        """Apply an object on the server's side; return 201 or 200, and the object as it is now."""
        query = _write_query(field_manager, force=force, dry_run=dry_run)
        answer = self._ask("PATCH", path, query, body, "application/apply-patch+yaml")
        return answer.status, self._object(answer, "PATCH", path)

    def create(self, path: str, body: Mapping[str, Any], *, field_manager: str = "", dry_run: bool = False) -> dict[str, Any]:
        """Create an object in a collection. Never sent twice, unless the API server said it was too busy to take it."""
        query = _write_query(field_manager, dry_run=dry_run)
        return self._object(self._ask("POST", path, query, body), "POST", path)

    def delete(self, path: str, *, uid: str, version: str = "", dry_run: bool = False, propagation: str = "Background") -> bool:
        """Delete the object of this UID and say whether there was one.

        Raises Modified where another has its name, or where it has another resourceVersion than `version`, if that is given.
        """
        known = {"uid": uid} | ({"resourceVersion": version} if version else {})
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": known, "propagationPolicy": propagation}
        # A DELETE that has a body is read for nothing else: dryRun in the query would be ignored, and the object deleted.
        answer = self._ask("DELETE", path, {}, options | ({"dryRun": ["All"]} if dry_run else {}), gone=True)
        if answer.status == 404:
            return answer.again
        self._object(answer, "DELETE", path, uid)
        return True

    def server_version(self) -> str:
        """Return the API server's version, as `v1.32.4`."""
        return one_line(str(self.get("/version").get("gitVersion", "")), 60)

    def served_versions(self, group: str) -> tuple[str, ...]:
        """Return the versions served of a group, newest first by Kubernetes' order: v1, v1beta1, v1alpha3."""
        try:
            served = self.get(f"/apis/{quote(group, safe='')}").get("versions") or ()
            if not served:
                raise NotFound(group)
        except NotFound:
            hint = ISTIO_HINT if group == GROUP else ""
            raise NotFound(f"the API server does not serve {group}", hint=hint) from None
        return tuple(sorted((str(value_at(version, "version")) for version in served), key=version_priority))

    def _object(self, answer: _Answer, method: str, path: str, uid: str = "") -> dict[str, Any]:
        """Return the object of an answer. Raises ApiFailure where it is none that an API server gives to such a request."""
        what = parse_request(method, path)
        value, instead = parse_answer(answer.body, what, uid)
        if instead:
            raise self._not_the_api(answer.status, what, instead)
        return value

    def _not_the_api(self, status: int, what: ApiRequest, came: str) -> ApiFailure:
        about = (
            f"what answered at {self._connection.way} is not the Kubernetes API: asked {what.wish}, it gave {status} and {came}"
        )
        unknown = "" if what.verb in ("get", "list") else "; whether it was done is not known"
        hint = "check --server and the proxy settings: is this a Kubernetes API server?"
        return ApiFailure(about + unknown, status=status, hint=hint)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        *,
        gone: bool = False,
        ends: float | None = None,
    ) -> _Answer:
        """Ask until there is an answer worth having or the time is up; `gone` makes a 404 of an object an answer."""
        url = path + ("?" + urlencode(query, errors="surrogateescape") if query else "")
        payload = None if body is None else json.dumps(body).encode()
        ends = self._end_of_question() if ends is None else ends
        what, again, resets, renewed = parse_request(method, path), False, 0, False
        for attempt in itertools.count():
            connection = self._connection
            try:
                status, content, headers = self._send(connection, method, url, payload, content_type, ends)
            except BrokenConnection:
                # Nothing but a plain creation does harm when it is done twice.
                if method == "POST" or resets or _seconds_left(ends) <= 0:
                    raise
                resets, again = 1, True
                continue
            warnings = self._note(headers)
            if status == 401 and not renewed and self.renew(connection):
                renewed = True
                continue
            if status < 300 or (status == 404 and gone and value_at(parse_status(content), "details", "name")):
                return _Answer(status, content, headers, again, warnings)
            retried = status in (RETRIED if method != "POST" else {429}) and not is_input_mistake(status, content)
            if not retried or attempt >= STATUS_RETRIES:
                failure = error_for_answer(status, content, what)
                failure.again = again
                raise failure
            self._pause(status, content, headers, attempt, ends, what)
            again = again or status != 429
        raise AssertionError("unreachable")

    def _send(
        self, connection: ApiConnection, method: str, url: str, body: bytes | None, content_type: str, ends: float
    ) -> tuple[int, bytes, Any]:
        import urllib3  # imported late: 31 ms

        headers = urllib3.HTTPHeaderDict({"Accept": "application/json", "User-Agent": self.user_agent})
        for name, value in connection.headers:
            headers.add(name, value.encode().decode("latin-1"))  # which http.client turns back into these bytes
        if body is not None:
            headers["Content-Type"] = content_type
        # urllib3 takes each time-out again for every try to connect: together they are to fit in what is left.
        left = _seconds_left(ends)
        timeout = urllib3.Timeout(connect=left / (CONNECT_RETRIES + 1), read=left) if left < math.inf else urllib3.Timeout(None)
        try:
            response = connection.pool.urlopen(
                method, connection.base + url, body=body, headers=headers, timeout=timeout, redirect=False, preload_content=False
            )
            try:
                return response.status, self._read(response, ends), response.headers
            except BaseException:
                response.close()
                raise
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise network_failure(error, connection) from None

    def _read(self, response: Any, ends: float) -> bytes:
        content = bytearray()
        # read1 gives what has come, so that a body that drips is noticed to be out of time.
        while piece := response.read1(1 << 16):
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise ApiFailure(f"the API server's answer is longer than {MAX_ANSWER_BYTES >> 20} MiB", status=response.status)
            if _seconds_left(ends) <= 0:
                raise TimeoutError
        response.release_conn()
        return bytes(content)

    def _pause(self, status: int, content: bytes, headers: Any, attempt: int, ends: float, what: ApiRequest) -> None:
        told = str(headers.get("Retry-After", ""))
        seconds = pause_before_retry(told, attempt)
        if seconds < _seconds_left(ends):
            time.sleep(seconds)
            return
        if told.isdecimal():
            asks = f"the API server answered {status} and asks to wait {one_line(told, 20)} s"
            raise ApiFailure(f"{asks}, longer than --request-timeout leaves", status=status, hint="try again later")
        raise error_for_answer(status, content, what)

    def _note(self, headers: Any) -> tuple[str, ...]:
        texts = [text for value in headers.getlist("Warning") for text in _WARNING.findall(value)]
        found = tuple(one_line(re.sub(r"\\(.)", r"\1", text)) for text in texts)
        with self._lock:
            self._date, self._dated = str(headers.get("Date", "")), time.time()
            self._warnings.update((each, None) for each in found)
        return found


def pause_before_retry(retry_after: str, attempt: int) -> float:
    """Return how many seconds an API server that could not answer is left alone: what it asks for, else ever longer."""
    asked = retry_after.isdecimal() and len(retry_after) < 9
    return float(retry_after) if asked else random.uniform(0.1, 0.2) * 2**attempt  # noqa: S311


def _seconds_left(ends: float) -> float:
    return max(0.0, ends - time.monotonic())


def _write_query(field_manager: str, *, force: bool = False, dry_run: bool) -> dict[str, str]:
    query = {"fieldManager": field_manager, "fieldValidation": "Strict", "force": "true" * force, "dryRun": "All" * dry_run}
    return {name: value for name, value in query.items() if value}


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key of Kubernetes' version priority, newest first: v10, v2, v1, v2beta1, v1alpha3, others by name."""
    match = re.fullmatch(r"v([1-9]\d{0,8})(?:(alpha|beta)([1-9]\d{0,8}))?", version)
    if not match:
        return 3, 0, 0, version
    return {None: 0, "beta": 1, "alpha": 2}[match[2]], -int(match[1]), -int(match[3] or 0), ""
