"""EC2 networking. Sources: EC2 API reference, actions and "Error codes"; "Tag your Amazon EC2 resources"."""

from __future__ import annotations

import re
from typing import Final

from sandbox.cloud.context import AwsError
from sandbox.cloud.refusals.rule import Parameters, refuses

PORTS: Final = range(65_536)
# CreateSecurityGroup, GroupName and GroupDescription.
_TEXT: Final = re.compile(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message)


@refuses("ec2", "CreateSubnet")
def _zone(parameters: Parameters, region: str) -> None:
    zone = parameters.get("AvailabilityZone")
    if zone is not None and not re.fullmatch(rf"{region}[a-f]", zone):
        raise _invalid(f"Value ({zone}) for parameter availabilityZone is invalid.")


@refuses("ec2", "CreateSecurityGroup")
def _group(parameters: Parameters, _: str) -> None:
    for member in ("GroupName", "Description"):
        if not _TEXT.fullmatch(parameters[member]):
            raise _invalid(f"Value ({parameters[member]}) for parameter {member} is invalid.")
    if parameters["GroupName"].startswith("sg-"):
        raise _invalid("Group names may not be in the format sg-*.")


@refuses("ec2", "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress")
def _ports(parameters: Parameters, _: str) -> None:
    for rule in parameters.get("IpPermissions") or ():
        if rule["IpProtocol"] not in ("tcp", "udp", "6", "17"):
            continue
        first, last = rule.get("FromPort"), rule.get("ToPort")
        if first not in PORTS or last not in PORTS or first > last:
            raise _invalid(f"Invalid TCP/UDP port range ({first}:{last})")


@refuses("ec2", "CreateTags")
def _tags(parameters: Parameters, _: str) -> None:
    for tag in parameters["Tags"]:
        if tag["Key"].startswith("aws:"):
            raise _invalid("Tag keys starting with 'aws:' are reserved for internal use")
