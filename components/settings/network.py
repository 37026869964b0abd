"""Where a stack is: its peer, its address range, its public name."""

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.settings.base import DomainName, Form, Frozen, Region, Slug, Unit


class PeerSettings(Frozen):
    """The other stack."""

    stack: Annotated[Slug, Form("a stack's name")] = Field(description="The other stack")
    short_name: Annotated[Slug, Form("its `shortName`")] = Field(description="How it calls itself in AWS's names")
    region: Region = Field(description="Its region, another than the own one")


class NetworkSettings(Frozen):
    cidr: Annotated[str, Form("a private IPv4 range between /16 and /20, such as `10.20.0.0/16`")] = Field(
        description="Address range of the stack's network, apart from the peer's"
    )

    @field_validator("cidr")
    @classmethod
    def _usable(cls, value: str) -> str:
        network = ipaddress.ip_network(value)
        if network.version != 4 or not network.is_private or not 16 <= network.prefixlen <= 20:
            raise ValueError("a private IPv4 range between /16 and /20, such as 10.20.0.0/16")
        return value


class DnsSettings(Frozen):
    """The public name, and what this stack is in it."""

    domain: DomainName = Field(description="The public name, in `dns.zone`")
    zone: DomainName = Field(description="The hosted zone's name")
    role: Literal["primary", "secondary"] = Field(
        description="Which failover record leads here: `primary` while it is well, or `secondary` after it"
    )
    ttl: Annotated[int, Unit("seconds")] = Field(
        default=300, ge=10, le=300, description="How long an answer may be remembered; at most the plan's five minutes"
    )

    @model_validator(mode="after")
    def _domain_in_zone(self) -> Self:
        if self.domain != self.zone and not self.domain.endswith(f".{self.zone}"):
            raise ValueError(f"domain {self.domain} must be {self.zone} or end with .{self.zone}")
        return self
