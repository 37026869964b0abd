"""ACM: a certificate is issued only after its validation record really exists in the hosted zone.

As in AWS, the same domain in the same account gets the same CNAME in every region, so one record serves both.
moto answers a fixed record and issues after a minute whatever the zone holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, timedelta
from functools import partial
from typing import Any

from moto.acm.models import AWSCertificateManagerBackend, CertBundle, acm_backends
from moto.core.exceptions import ServiceException
from moto.elbv2.models import elbv2_backends
from moto.route53.models import route53_backends

from sandbox.clock import minutes
from sandbox.cloud.context import ACCOUNT, BadRequest, Cloud
from sandbox.cloud.emulations import faults
from sandbox.cloud.emulations.patching import replace

_LOOK_EVERY_MINUTES = 0.1  # modelled; AWS looks at least this often while a request is fresh
_LOOK_EVERY_SECONDS = 0.05  # real; not more often than this
_ISSUED = "ISSUED"
_PENDING = "PENDING_VALIDATION"
_issuing: set[str] = set()  # certificates whose records were found
EXPIRED = "certificate-expired"  # a fault: those of a domain in a region have ended
_EXPIRED_FOR = timedelta(days=1)
_expired: Callable[[CertBundle], bool] = bool


class ResourceInUse(ServiceException):
    """A certificate that a listener uses cannot be deleted."""

    code = "ResourceInUseException"


def install(cloud: Cloud) -> None:
    """Replace moto's validation by one that looks into the hosted zones."""
    global _expired
    faults.add_kind(cloud, EXPIRED, _check_fault)
    _expired = partial(_has_expired, cloud)
    describe = CertBundle.describe
    delete = AWSCertificateManagerBackend.delete_certificate

    def described(self: CertBundle) -> dict[str, Any]:
        result = describe(self)
        _complete(self, result["Certificate"])
        if _expired(self):
            result["Certificate"] |= {"Status": "EXPIRED", "NotAfter": cloud.clock.now() - _EXPIRED_FOR}
        return result

    def delete_certificate(self: AWSCertificateManagerBackend, arn: str) -> None:
        if arn in _certificates_in_use(self.region_name):
            raise ResourceInUse(f"Certificate {arn} in account {ACCOUNT} is in use.")
        delete(self, arn)

    replace(CertBundle, describe=described, check=_nothing)
    replace(AWSCertificateManagerBackend, delete_certificate=delete_certificate)
    cloud.every(
        max(_LOOK_EVERY_MINUTES, _LOOK_EVERY_SECONDS * cloud.clock.speed / 60), lambda: _look(cloud), "acm validation"
    )


def _check_fault(fault: dict[str, Any]) -> None:
    if fault.keys() != {"kind", "region", "domain"}:
        raise BadRequest(f"{EXPIRED} has the fields region and domain")
    bundles = acm_backends[ACCOUNT][str(fault["region"])]._certificates.values()
    if not any(bundle.common_name == fault["domain"] and bundle.status == _ISSUED for bundle in bundles):
        raise BadRequest(f"{fault['region']} has no issued certificate of {fault['domain']}")


def _has_expired(cloud: Cloud, bundle: CertBundle) -> bool:
    ended = {(found["region"], found["domain"]) for found in cloud.faults if found["kind"] == EXPIRED}
    return bundle.status == _ISSUED and (bundle.arn.split(":")[3], bundle.common_name) in ended


def _nothing(_: CertBundle) -> None:
    """Do nothing."""


def domains(bundle: CertBundle) -> list[str]:
    """The names on the certificate, the main one first."""
    return list(dict.fromkeys([bundle.common_name, *bundle.sans]))


def validation_record(domain: str) -> tuple[str, str]:
    """(name, value) of the CNAME that proves control of `domain`; a wildcard shares its parent's."""
    base = domain.removeprefix("*.").rstrip(".").lower()
    token = hashlib.sha256(f"{ACCOUNT}/{base}".encode()).hexdigest()
    letters = "".join(chr(ord("a") + int(digit, 16)) for digit in token[-10:])
    return f"_{token[:32]}.{base}.", f"_{token[16:48]}.{letters}.acm-validations.aws."


def _complete(bundle: CertBundle, certificate: dict[str, Any]) -> None:
    if bundle.type != "AMAZON_ISSUED":
        return
    certificate["DomainValidationOptions"] = [_validation_option(bundle, domain) for domain in domains(bundle)]
    certificate["InUseBy"] = sorted(_users(bundle.arn))
    if bundle.status == _ISSUED:
        certificate["RenewalEligibility"] = "ELIGIBLE" if certificate["InUseBy"] else "INELIGIBLE"
    else:  # AWS leaves these out until it has issued
        for key in ("IssuedAt", "NotBefore", "NotAfter", "Serial"):
            certificate.pop(key, None)


def _validation_option(bundle: CertBundle, domain: str) -> dict[str, Any]:
    name, value = validation_record(domain)
    done = bundle.status == _ISSUED or record_exists(name, value)
    return {
        "DomainName": domain,
        "ValidationDomain": domain,
        "ValidationStatus": "SUCCESS" if done else _PENDING,
        "ValidationMethod": "DNS",
        "ResourceRecord": {"Name": name, "Type": "CNAME", "Value": value},
    }


def _users(arn: str) -> set[str]:
    """The load balancers whose listeners present this certificate."""
    region = arn.split(":")[3]
    return _certificates_in_use(region).get(arn, set())


def _certificates_in_use(region: str) -> dict[str, set[str]]:
    used: dict[str, set[str]] = {}
    for balancer in list(elbv2_backends[ACCOUNT][region].load_balancers.values()):
        for listener in list(balancer.listeners.values()):
            for arn in filter(None, {listener.certificate, *listener.certificates}):
                used.setdefault(arn, set()).add(balancer.arn)
    return used


def record_exists(name: str, value: str) -> bool:
    """Whether some public hosted zone answers this CNAME with this value."""
    wanted = (name.rstrip(".").lower(), value.rstrip(".").lower())
    for zone in list(route53_backends[ACCOUNT]["aws"].zones.values()):
        for record in list(zone.rrsets):
            if zone.private_zone or record.type != "CNAME" or record.name.rstrip(".").lower() != wanted[0]:
                continue
            if wanted[1] in {str(found).rstrip(".").lower() for found in record.records}:
                return True
    return False


def _look(cloud: Cloud) -> None:
    """Start issuing every certificate all of whose records are there now."""
    for region, backend in list(acm_backends[ACCOUNT].items()):
        if cloud.is_cut(region):
            continue
        for bundle in list(backend._certificates.values()):
            if bundle.status != _PENDING or bundle.arn in _issuing:
                continue
            if all(record_exists(*validation_record(domain)) for domain in domains(bundle)):
                _issuing.add(bundle.arn)
                issue = partial(_issue, cloud, bundle)
                cloud.after(minutes("acm.issue"), issue, "acm issue", regions=[region])


def _issue(cloud: Cloud, bundle: CertBundle) -> None:
    bundle.status = _ISSUED
    cloud.emit("certificate.issued", arn=bundle.arn, domain=bundle.common_name)


def issued_domains(arn: str) -> list[str] | None:
    """The names of an issued certificate; None where it is missing or not issued."""
    region = arn.split(":")[3]
    bundle = acm_backends[ACCOUNT][region]._certificates.get(arn)
    return domains(bundle) if bundle is not None and bundle.status == _ISSUED else None


def expired(arn: str) -> bool:
    """Whether an issued certificate has ended: it is presented all the same, and clients refuse it."""
    bundle = acm_backends[ACCOUNT][arn.split(":")[3]]._certificates.get(arn)
    return bundle is not None and _expired(bundle)


def ends_at(bundle: CertBundle) -> float:
    """When a certificate ends, modelled epoch seconds."""
    return bundle._not_valid_after(bundle._cert).replace(tzinfo=UTC).timestamp()


def refuse_unless_issued(arn: str) -> None:
    """Raise what AWS answers when a listener names a certificate that isn't issued."""
    if not arn.startswith("arn:") or issued_domains(arn) is None:
        raise UnsupportedCertificate(
            f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, "
            "and a supported key size."
        )


class UnsupportedCertificate(ServiceException):
    """ELB's answer for a certificate that is not usable yet."""

    code = "UnsupportedCertificate"
