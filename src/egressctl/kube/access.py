"""Say who these credentials are, which Kubernetes cluster they lead to, and which rights they do not have there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from egressctl.errors import Forbidden, NotFound
from egressctl.kube.rbac import RbacRule, grant_command_for_right
from egressctl.kube.rest import Api
from egressctl.model.json_values import value_at
from egressctl.model.result import KubernetesInfo
from egressctl.runtime.concurrency import gather

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_USER_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def kubernetes_info(api: Api) -> KubernetesInfo:
    """Say which Kubernetes cluster this is. Raises CouldNotAsk's kinds."""
    return KubernetesInfo(api.context, api.server, api.server_version())


def user_name(api: Api) -> str:
    """Return the name by which the API server knows these credentials, "" where it does not say."""
    try:
        answer = api.create(_USER_REVIEWS, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    except (Forbidden, NotFound):
        return ""
    return str(value_at(answer, "status", "userInfo", "username") or "")


def require_rights(api: Api, rules: Iterable[RbacRule], namespaces: Iterable[str]) -> None:
    """Ask whether these rights are there, all at once; raise Forbidden for the first that is not."""
    for verb, resource, namespace in denied_rights(api, rules, namespaces)[:1]:
        raise Forbidden(
            f"these credentials may not {verb} {resource} in namespace {namespace}",
            verb=verb,
            resource=resource,
            namespace=namespace,
            hint=f"an administrator grants it: {grant_command_for_right(verb, resource, namespace, '')}",
        )


def denied_rights(api: Api, rules: Iterable[RbacRule], namespaces: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return the rights that are not there: verb, resource, namespace.

    Where the API server does not say, nothing is said against the credentials.
    """
    wanted = [(verb, rule.resource, namespace) for namespace in namespaces for rule in rules for verb in rule.verbs]
    answers = gather([partial(_may, api, *right) for right in wanted], at_most=8)
    return [right for right, allowed in zip(wanted, answers, strict=True) if not allowed]


def _may(api: Api, verb: str, resource: str, namespace: str) -> bool:
    plural, _, group = resource.partition(".")
    plural, _, subresource = plural.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": plural, "subresource": subresource}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    try:
        answer = api.create(_REVIEWS, {**review, "spec": {"resourceAttributes": attributes}})
    except (Forbidden, NotFound):
        return True
    return bool(value_at(answer, "status", "allowed"))
