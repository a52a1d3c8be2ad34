"""A TCP port has no addresses, and Istio allocates one (IST0134 of istioctl analyze).

`istioctl analyze` warns about it as IST0134, ServiceEntryAddressesRequired. The API server does not warn, because Istio
allocates an address (from 240.240.0.0/16, or a prefix that istiod is set to) for such an entry. Pods learn this address
only with DNS capture.

    addresses:
    resolution: DNS

List the addresses of the service. Or turn DNS capture on, and ignore the rule.
"""

from collections.abc import Iterator

from egressctl.istio.admission import webhook
from egressctl.lint.rule import Finding, Rule, Severity
from egressctl.manifests.yaml_reader import Document
from egressctl.model.json_values import list_at, mapping_at, value_at


def check_document(document: Document) -> Iterator[Finding]:
    """Yield IST0134 of an entry without addresses of its own or of Istio's: one for each TCP port or port of no protocol."""
    spec, metadata = mapping_at(document.value, "spec"), mapping_at(document.value, "metadata")
    if list_at(spec, "addresses") or list_at(document.value, "status", "addresses"):
        return
    allocated = webhook.has_auto_allocated_address(spec, mapping_at(metadata, "labels"))
    warned = () if allocated else webhook.PROTOCOLS_THAT_NEED_ADDRESSES
    for index, port in enumerate(list_at(spec, "ports")):
        protocol = str(value_at(port, "protocol") or "")
        if protocol.upper() in webhook.PROTOCOLS_THAT_NEED_ADDRESSES and protocol not in warned:
            message = "a TCP port without addresses: its listener takes the port of every address (IST0134 of istioctl analyze)"
            place = document.place(("spec", "ports", index))
            yield Finding(RULE.id, message, place.field, "list the addresses", file=place.source, line=place.line)


RULE = Rule("addresses-advised", Severity.WARNING, __doc__)
