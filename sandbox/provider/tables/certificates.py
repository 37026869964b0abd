"""ACM: certificates and waiting for their validation."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.errors import ProviderError
from sandbox.provider.operation import Operation
from sandbox.provider.table import Description, Resource, Tags, call, f

DEAD: Final = ("FAILED", "VALIDATION_TIMED_OUT", "REVOKED", "EXPIRED")


def _options(_: Operation, found: Description) -> list[dict[str, Any]]:
    return [
        {
            "domainName": item["DomainName"],
            "resourceRecordName": item["ResourceRecord"]["Name"],
            "resourceRecordType": item["ResourceRecord"]["Type"],
            "resourceRecordValue": item["ResourceRecord"]["Value"],
        }
        for item in found.get("DomainValidationOptions") or []
        if item.get("ResourceRecord")
    ]


def _records_known(op: Operation, found: Description) -> bool:
    return found.get("ValidationMethod", "DNS") != "DNS" or bool(_options(op, found))


CERTIFICATE: Final = Resource(
    token="aws:acm/certificate:Certificate",
    service="acm",
    create=call("request_certificate", result="CertificateArn"),
    read=call("describe_certificate", {"CertificateArn": "$id"}, "Certificate"),
    delete=call("delete_certificate", {"CertificateArn": "$id"}),
    inputs=(
        f("domainName", replace=True),
        f("validationMethod", read="DomainValidationOptions[0].ValidationMethod", replace=True),
    ),
    outputs=(f("arn", read="CertificateArn"), f("domainValidationOptions", get=_options)),
    tags=Tags(
        read=call("list_tags_for_certificate", {"CertificateArn": "$id"}, "Tags"),
        target={"CertificateArn": "$id"},
        add="add_tags_to_certificate",
        remove="remove_tags_from_certificate",
        keys="Tags",
        pairs_removed=True,
    ),
    missing=("ResourceNotFoundException",),
    ready=_records_known,
    retry_delete=("ResourceInUseException",),
    required=("domainName",),
)


def _await_issue(op: Operation) -> str:
    arn = str(op.inputs["certificateArn"])

    def issued() -> bool:
        found = op.api("describe_certificate", CertificateArn=arn)["Certificate"]
        if found["Status"] in DEAD:
            raise ProviderError(
                f"the certificate {arn} is {found['Status']}: {found.get('FailureReason', 'no reason given')}"
            )
        return bool(found["Status"] == "ISSUED")

    op.until(issued, f"waiting for the certificate {arn} to be issued")
    return arn


def _read_issued(op: Operation) -> Description | None:
    found = op.api("describe_certificate", CertificateArn=op.id)["Certificate"]
    return found if found["Status"] == "ISSUED" else None


# The plugin's id is the time of issue; the ARN lets a read find it.
CERTIFICATE_VALIDATION: Final = Resource(
    token="aws:acm/certificateValidation:CertificateValidation",
    service="acm",
    create=_await_issue,
    read=_read_issued,
    delete=None,
    inputs=(f("certificateArn", replace=True), f("validationRecordFqdns", read=None, replace=True, unordered=True)),
    missing=("ResourceNotFoundException",),
)

RESOURCES: Final = (CERTIFICATE, CERTIFICATE_VALIDATION)
