"""Each request to what answers it: discovery, reviews, objects, lists, watches, commands."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import yaml
from aiohttp import web

from egressctl.lab.api import discovery, exec, logs, pods, protobuf, table, watch
from egressctl.lab.api.objects import ObjectHandler
from egressctl.lab.api.request import Call, Location, is_set, parse_location
from egressctl.lab.api.resources import PODS, REVIEWS, find_resource
from egressctl.lab.api.selectors import matcher
from egressctl.lab.api.settings import EndpointSettings
from egressctl.lab.api.status import ApiError, Object, bad_request_error, method_not_allowed_error, not_served_error
from egressctl.lab.api.store import Store
from egressctl.lab.api.table import with_type

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY_LIMIT = 3 * 1024 * 1024
"""Bytes of a request's body, as the API server has it."""
_HEALTH = ("/healthz", "/readyz", "/livez")
_OPEN_PATHS = (*_HEALTH, "/version")
_WATCH_SECONDS = 1800.0
_VERBS_OF_ONE = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_VERBS_OF_MANY = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}


class _YamlLoader(yaml.SafeLoader):
    """Reads the YAML that an apply may send: what JSON can say, and no aliases, which could grow without end."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as yaml's own)
        first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


async def _read_body(request: web.Request) -> Any:
    raw = await request.read()
    if not raw:
        return {}
    if raw.startswith(protobuf.MAGIC):
        return protobuf.decode_object(raw)
    try:
        if raw.lstrip()[:1] in (b"{", b"["):
            return json.loads(raw, parse_constant=_refuse_constant)
        # By way of JSON, so that a key such as `on` becomes text again, and what JSON cannot say is refused.
        return json.loads(json.dumps(_YamlLoader(raw).get_single_data(), allow_nan=False))
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise bad_request_error(f"the object provided is unrecognized: {type(error).__name__}") from error


def _json_response(body: Object, code: int = 200, warnings: tuple[str, ...] = ()) -> web.Response:
    response = web.json_response(body, status=code)
    for text in warnings:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{escaped}"')
    return response


class RequestRouter:
    """Answer requests about one store."""

    def __init__(self, settings: EndpointSettings, store: Store) -> None:
        self.settings, self.store, self.objects = settings, store, ObjectHandler(store)
        self._commands: set[asyncio.Task[object]] = set()

    async def end_commands(self) -> None:
        """Kill every command that runs, and return when all are gone."""
        for task in self._commands:
            task.cancel()
        await asyncio.gather(*self._commands, return_exceptions=True)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who has the token, and answer every failure with a Status."""
        try:
            expected = f"Bearer {self.settings.token}".encode()
            said = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if request.path not in _OPEN_PATHS and not hmac.compare_digest(said, expected):
                raise ApiError(401, "Unauthorized", "Unauthorized")
            return await handler(request)
        except ApiError as error:
            if error.code == 404 and not error.body.get("details") and not request.path.startswith("/api/"):
                # A path that nobody serves never comes to what writes a Status, but among the core resources.
                return web.Response(text="404 page not found\n", status=404)
            return _json_response(error.body, error.code)
        except web.HTTPRequestEntityTooLarge:
            limit = f"limit is {BODY_LIMIT}"
            return _json_response(ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {limit}", {}).body, 413)

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        parts = path.strip("/").split("/")
        if path in _HEALTH:
            return web.Response(text="ok")
        if path == "/version":
            return _json_response(discovery.VERSION)
        if len(parts) > {"api": 2, "apis": 3}.get(parts[0], len(parts)):
            return await self._resource(request, parse_location(request.rel_url.raw_path))
        if parts[:2] == ["openapi", "v3"]:
            return _json_response(discovery.openapi_document("/".join(parts[2:])) if parts[2:] else discovery.openapi())
        return _json_response(discovery.discover(parts))

    async def _resource(self, request: web.Request, at: Location) -> web.StreamResponse:
        resource, query, method = find_resource(at.group, at.version, at.plural), request.query, request.method
        in_namespace = bool(at.namespace)
        if at.subresource and at.subresource not in resource.subresources:
            raise not_served_error()
        if in_namespace is not resource.namespaced and (in_namespace or at.name):
            raise not_served_error()
        call = Call(resource, at, query, request.headers.get("User-Agent", ""), request.content_type)
        if at.subresource == "exec":
            return await self._exec(request, call)
        if at.subresource == "log":
            return self._log(request, call)
        verb = (_VERBS_OF_ONE if at.name else _VERBS_OF_MANY).get(method, "")
        nowhere = verb == "create" and resource.namespaced and not in_namespace
        if verb not in resource.verbs or nowhere or (verb == "delete" and at.subresource):
            raise method_not_allowed_error()
        if method != "GET":
            return _json_response(*self._write(call, verb, await _read_body(request)))
        if is_set(query, "watch"):
            return await self._watch(request, call)
        if verb == "get":
            return _json_response(_show_one(request, call, self.objects.get(call)))
        page, metadata = table.list_page(self.store.select(resource, _matcher(call)), query, self.store.version)
        if _wants_table(request):
            return _json_response(table.object_table(call, page, metadata))
        # Of custom resources the list has it also where there is no further page.
        further = {"continue": ""} if resource.group else {}
        return _json_response(table.object_list(call, page, {**further, **metadata}))

    def _write(self, call: Call, verb: str, body: Any) -> tuple[Object, int, tuple[str, ...]]:
        """Do what a request asks for; return the answer, its code and its warnings."""
        if call.resource in REVIEWS:
            call.check_object(body)
            return {**with_type(call, {"metadata": {}}), **body, "status": REVIEWS[call.resource]}, 201, ()
        if verb == "deletecollection":
            found = self.store.select(call.resource, _matcher(call))
            if not call.is_dry_run(body, kind="DeleteOptions"):
                for obj in found:
                    self.objects.remove(call.resource, obj)
            return table.object_list(call, found, {"resourceVersion": str(self.store.version)}), 200, ()
        objects = self.objects
        do = {"create": objects.create, "update": objects.replace, "patch": objects.patch, "delete": objects.delete}[verb]
        answer = do(call, body)
        return with_type(call, answer.body), answer.code, answer.warnings

    async def _watch(self, request: web.Request, call: Call) -> web.StreamResponse:
        query = request.query
        said = query.get("timeoutSeconds", "")
        wanted = watch.WatchRequest(
            resource=call.resource,
            matches=_matcher(call),
            since=watch.parse_resource_version(query.get("resourceVersion", "")),
            seconds=float(said) if said.isdigit() and said != "0" else _WATCH_SECONDS,
            bookmarks=is_set(query, "allowWatchBookmarks"),
            initial_events=is_set(query, "sendInitialEvents"),
        )
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        seen = watch.watch_events(self.store, wanted)
        await response.prepare(request)
        async with contextlib.aclosing(seen):
            async for kind, obj in seen:
                body = with_type(call, obj) if kind in ("BOOKMARK", "ERROR") else _show_one(request, call, obj)
                await response.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")
        return response

    def _log(self, request: web.Request, call: Call) -> web.Response:
        if request.method != "GET":
            raise method_not_allowed_error()
        container = pods.find_container(self.objects.get(call), request.query.get("container", ""))
        file = self.settings.log(container)
        content = file.read_bytes() if file and file.exists() else b""
        body = logs.select_log_lines(content, request.query, datetime.now(UTC))
        return web.Response(body=body, headers={"Content-Type": "text/plain"})

    async def _exec(self, request: web.Request, call: Call) -> web.StreamResponse:
        if call.resource is not PODS or request.method not in ("GET", "POST"):
            raise method_not_allowed_error()
        pod = self.objects.get(call)
        wanted = exec.parse_command(request.query, request.query.getall("command", []))
        container = pods.find_container(pod, request.query.get("container", ""))
        plan = self.settings.enter(container) if pods.is_container_running(pod, container.name) else None
        task = asyncio.current_task()
        assert task is not None
        self._commands.add(task)
        try:
            return await exec.serve_exec(request, wanted, plan, pods.container_not_found(container.name))
        finally:
            self._commands.discard(task)


def _matcher(call: Call) -> Callable[[Object], bool]:
    by_field = call.query.get("fieldSelector", "")
    if call.at.name:
        by_field = ",".join(filter(None, (by_field, f"metadata.name={call.at.name}")))
    return matcher(call.query.get("labelSelector", ""), by_field, namespace=call.at.namespace or None)


def _wants_table(request: web.Request) -> bool:
    """Say whether a client asks for a table, as `kubectl get` does."""
    return any("as=Table" in choice and "g=meta.k8s.io" in choice for choice in request.headers.get("Accept", "").split(","))


def _show_one(request: web.Request, call: Call, obj: Object) -> Object:
    if _wants_table(request):
        return table.object_table(call, [obj], {"resourceVersion": obj["metadata"]["resourceVersion"]})
    return with_type(call, obj)
