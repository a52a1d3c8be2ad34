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
from egressctl.lab.api.paths import Location, parse_location
from egressctl.lab.api.request import Call, is_dry_run
from egressctl.lab.api.resources import PODS, Resource, find_resource
from egressctl.lab.api.selectors import matcher
from egressctl.lab.api.settings import EndpointSettings
from egressctl.lab.api.status import (
    ApiError,
    Object,
    bad_request_error,
    method_not_allowed_error,
    not_served_error,
    unauthorized_error,
)
from egressctl.lab.api.store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY_LIMIT = 3 * 1024 * 1024
"""Bytes of a request's body, as the API server has it."""
_HEALTH = ("/healthz", "/readyz", "/livez")
_OPEN_PATHS = (*_HEALTH, "/version")
_WATCH_SECONDS = 1800.0


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
                raise unauthorized_error()
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
        if parts[0] in ("api", "apis"):
            if len(parts) <= (2 if parts[0] == "api" else 3):
                return self._discovery(request, parts)
            if parts[1] in ("authorization.k8s.io", "authentication.k8s.io"):
                return await self._review(request, parts[3])
            return await self._resource(request, parse_location(request.rel_url.raw_path))
        if parts[:2] == ["openapi", "v3"]:
            return _json_response(discovery.openapi_document("/".join(parts[2:])) if parts[2:] else discovery.openapi())
        raise not_served_error()

    def _discovery(self, request: web.Request, parts: list[str]) -> web.Response:
        core, rest = parts[0] == "api", parts[1:]
        if rest:
            if core:
                return _json_response(discovery.resource_list("", rest[0]))
            return _json_response(discovery.resource_list(rest[0], rest[1]) if len(rest) == 2 else discovery.api_group(rest[0]))
        accept = request.headers.get("Accept", "").replace(" ", "")
        for version in discovery.AGGREGATED_VERSIONS:
            if discovery.media_type(version) in accept:
                body = json.dumps(discovery.aggregated_discovery(core=core, version=version))
                return web.Response(text=body, headers={"Content-Type": discovery.media_type(version)})
        return _json_response(discovery.api_versions() if core else discovery.api_groups())

    async def _review(self, request: web.Request, plural: str) -> web.Response:
        if request.method != "POST":
            raise method_not_allowed_error()
        body = await _read_body(request)
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        user = {"username": "lab", "groups": ["system:masters", "system:authenticated"]}
        rules = {"resourceRules": [everything], "nonResourceRules": [], "incomplete": False}
        answers: dict[str, tuple[str, Object]] = {
            "selfsubjectaccessreviews": ("authorization.k8s.io/v1/SelfSubjectAccessReview", {"allowed": True}),
            "selfsubjectrulesreviews": ("authorization.k8s.io/v1/SelfSubjectRulesReview", rules),
            "selfsubjectreviews": ("authentication.k8s.io/v1/SelfSubjectReview", {"userInfo": user}),
        }
        if plural not in answers or not isinstance(body, dict):
            raise not_served_error()
        version, _, kind = answers[plural][0].rpartition("/")
        return _json_response({"kind": kind, "apiVersion": version, "metadata": {}, **body, "status": answers[plural][1]}, 201)

    async def _resource(self, request: web.Request, at: Location) -> web.StreamResponse:
        resource = find_resource(at.group, at.version, at.plural)
        in_namespace = bool(at.namespace)
        if at.subresource and at.subresource not in resource.subresources:
            raise not_served_error()
        if in_namespace is not resource.namespaced and (in_namespace or at.name):
            raise not_served_error()
        call = Call(resource, at, request.query, request.headers.get("User-Agent", ""), request.content_type)
        if at.subresource == "exec":
            return await self._exec(request, call)
        if at.subresource == "log":
            return self._log(request, call)
        return await (self._one(request, call) if at.name else self._many(request, call))

    async def _one(self, request: web.Request, call: Call) -> web.StreamResponse:
        resource, version, method = call.resource, call.at.version, request.method
        if method == "GET" and request.query.get("watch") in ("true", "1"):
            return await self._watch(request, call)
        if method == "GET":
            obj = self.objects.get(call)
            if table.wants_table(request.headers.get("Accept", "")):
                metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
                return _json_response(
                    table.object_table(resource, version, [obj], metadata, request.query.get("includeObject", ""))
                )
            return _json_response(table.with_type(resource, version, obj))
        verb = {"PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method, "")
        if verb not in resource.verbs or (verb == "delete" and call.at.subresource):
            raise method_not_allowed_error()
        body = await _read_body(request)
        if verb == "update":
            answer = self.objects.replace(call, body)
        elif verb == "patch":
            answer = self.objects.patch(call, body)
        else:
            answer = self.objects.delete(call, body)
        return _json_response(table.with_type(resource, version, answer.body), answer.code, answer.warnings)

    async def _many(self, request: web.Request, call: Call) -> web.StreamResponse:
        resource, version, query = call.resource, call.at.version, request.query
        if request.method == "POST":
            if "create" not in resource.verbs or (resource.namespaced and not call.at.namespace):
                raise method_not_allowed_error()
            answer = self.objects.create(call, await _read_body(request))
            return _json_response(table.with_type(resource, version, answer.body), answer.code, answer.warnings)
        if request.method not in ("GET", "DELETE"):
            raise method_not_allowed_error()
        if request.method == "GET" and query.get("watch") in ("true", "1"):
            return await self._watch(request, call)
        found = self.store.select(resource, self._matcher(request, call))
        if request.method == "DELETE":
            if "deletecollection" not in resource.verbs:
                raise method_not_allowed_error()
            if not is_dry_run(call, await _read_body(request), kind="DeleteOptions"):
                for obj in found:
                    self.objects.remove(resource, obj)
            return _json_response(table.object_list(resource, version, found, {"resourceVersion": str(self.store.version)}))
        page, metadata = table.list_page(found, query, self.store.version)
        if table.wants_table(request.headers.get("Accept", "")):
            return _json_response(table.object_table(resource, version, page, metadata, query.get("includeObject", "")))
        # Of custom resources the list has it also where there is no further page.
        further = {"continue": ""} if resource.group else {}
        return _json_response(table.object_list(resource, version, page, {**further, **metadata}))

    def _matcher(self, request: web.Request, call: Call) -> Callable[[Object], bool]:
        by_field = request.query.get("fieldSelector", "")
        if call.at.name:
            by_field = ",".join(filter(None, (by_field, f"metadata.name={call.at.name}")))
        return matcher(request.query.get("labelSelector", ""), by_field, namespace=call.at.namespace or None)

    async def _watch(self, request: web.Request, call: Call) -> web.StreamResponse:
        query = request.query
        said = query.get("timeoutSeconds", "")
        wanted = watch.WatchRequest(
            resource=call.resource,
            matches=self._matcher(request, call),
            since=watch.parse_resource_version(query.get("resourceVersion", "")),
            seconds=float(said) if said.isdigit() and said != "0" else _WATCH_SECONDS,
            bookmarks=query.get("allowWatchBookmarks") in ("true", "1"),
            initial_events=query.get("sendInitialEvents") in ("true", "1"),
        )
        as_table = table.wants_table(request.headers.get("Accept", ""))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        seen = watch.watch_events(self.store, wanted)
        await response.prepare(request)
        async with contextlib.aclosing(seen):
            async for kind, obj in seen:
                body = self._watch_object(call.resource, call.at.version, kind, obj, as_table, query.get("includeObject", ""))
                await response.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")
        return response

    def _watch_object(self, resource: Resource, version: str, kind: str, obj: Object, as_table: bool, include: str) -> Object:
        if as_table and kind not in ("BOOKMARK", "ERROR"):
            return table.object_table(resource, version, [obj], {"resourceVersion": obj["metadata"]["resourceVersion"]}, include)
        return table.with_type(resource, version, obj)

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
