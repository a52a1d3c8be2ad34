"""The names of the rules for what a real API server with Istio refuses or warns of: what each means, and what would be right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Meaning(NamedTuple):
    """`meaning` is a sentence without its full stop; `remedy` says what would be right."""

    meaning: str
    remedy: str


REFUSAL_RULES: Mapping[str, Meaning] = {
    "unserved-version": Meaning(
        "the apiVersion is none that Istio serves a ServiceEntry in", "networking.istio.io/v1, or v1beta1 or v1alpha3"
    ),
    "unknown-field": Meaning("a field that a ServiceEntry does not have", "look for a mistake in its name or its place"),
    "invalid-metadata": Meaning(
        "the metadata holds what Kubernetes accepts of no object", "names, labels and annotations have rules of their own"
    ),
    "invalid-annotation": Meaning("an annotation that makes Istio refuse the entry", "take the annotation out"),
    "wrong-type": Meaning("a value of another type than the field's", "text in quotes, numbers without"),
    "required-field": Meaning("a field that has to be there is missing or empty", "write it out"),
    "unknown-value": Meaning("a value that is none of those that the field knows", "one of the values listed, in capitals"),
    "too-much": Meaning(
        "a text is longer, or a list has more items, than the field takes", "spread it over several ServiceEntries"
    ),
    "out-of-range": Meaning("a number is outside of the field's range", "a number from 0 to 4294967295"),
    "invalid-host": Meaning(
        "a host is no DNS name, and no wildcard that Istio takes", "a DNS name such as www.wikipedia.org or *.wikipedia.org"
    ),
    "host-with-resolution": Meaning(
        "a host cannot be resolved, as resolution DNS would have to", "name the host without a wildcard, or list endpoints"
    ),
    "several-hosts": Meaning(
        "several hosts share a port of neither HTTP nor TLS, with a resolution other than NONE",
        "one host an entry, protocol TLS or HTTP, or resolution NONE",
    ),
    "invalid-address": Meaning(
        "an entry of addresses is neither an address nor a block", "such as 203.0.113.7, 198.51.100.0/24 or 2001:db8::/32"
    ),
    "cidr-with-resolution": Meaning(
        "addresses hold a block, and the resolution is neither NONE nor STATIC", "plain addresses, or resolution NONE or STATIC"
    ),
    "dynamic-dns": Meaning(
        "resolution DYNAMIC_DNS has hosts, addresses, endpoints, ports or a location that do not go with it",
        "wildcard hosts only, no addresses, no endpoints, and protocol HTTP, HTTP2, GRPC or TLS",
    ),
    "invalid-port-number": Meaning("a port's number is not between 1 and 65535", "a number from 1 to 65535, without a fraction"),
    "invalid-port-name": Meaning(
        "a port's name is no DNS label", "letters, digits and inner hyphens, at most 63 (62 under endpoints)"
    ),
    "duplicate-port": Meaning("two ports have the same name or the same number", "one port of each name and number"),
    "unknown-protocol": Meaning(
        "a port's protocol is none that Istio knows", "TCP, TLS, HTTP, HTTPS, HTTP2, GRPC, GRPC-Web, MONGO, MYSQL, REDIS or UDP"
    ),
    "endpoints-with-resolution": Meaning(
        "endpoints do not go with the resolution", "none with NONE, at most one with DNS_ROUND_ROBIN, else STATIC or DNS"
    ),
    "selector-and-endpoints": Meaning("endpoints and a workloadSelector, and only one may be there", "keep one of the two"),
    "invalid-endpoint": Meaning(
        "an endpoint's address, socket or label is not valid", "an IP address for STATIC, a DNS name or an address for DNS"
    ),
    "endpoint-port": Meaning("an endpoint names a port that the entry does not have", "a name of one of the entry's ports"),
    "invalid-selector": Meaning(
        "a workloadSelector holds a wildcard or an empty key", "write the labels of the pods out, or leave the selector out"
    ),
    "invalid-export": Meaning(
        "exportTo names what is no namespace, names one twice, or contradicts itself", 'namespaces, or ".", or "*" alone'
    ),
}
"""By name: what the API server refuses."""

WARNING_RULES: Mapping[str, Meaning] = {
    "addresses-required": Meaning(
        "a port of protocol TCP, or of none, has no addresses: it takes the port of every address", "list the addresses"
    ),
    "partial-wildcard": Meaning(
        "a wildcard that stands for a part of a label", "a wildcard for the whole first label, such as *.wikipedia.org"
    ),
    "selector-with-resolution": Meaning(
        "a workloadSelector with a resolution that does not use it", "resolution STATIC, or no workloadSelector"
    ),
    "selector-without-labels": Meaning("a workloadSelector without labels selects nothing that is meant", "give it labels"),
    "endpoint-by-network": Meaning(
        "an endpoint has a network and no address: its traffic goes to the gateway of that network",
        "give the endpoint an address",
    ),
    "hosts-share-address": Meaning(
        "several hosts share addresses and a port that is not HTTP, so that only one of them can be meant", "one host an entry"
    ),
    "loose-metadata": Meaning("the metadata holds what Kubernetes takes for now", "finalizers with a domain, each owner once"),
}
"""By name: what the API server accepts, with a Warning header."""
