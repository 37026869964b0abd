"""Where a stack is: its peer, its address range, its public name."""

import ipaddress
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from components.settings.base import DomainName, Frozen, Region, Slug


class PeerSettings(Frozen):
    """The other stack."""

    stack: Slug
    short_name: Slug
    region: Region


class NetworkSettings(Frozen):
    cidr: str

    @field_validator("cidr")
    @classmethod
    def _usable(cls, value: str) -> str:
        network = ipaddress.ip_network(value)
        if network.version != 4 or not network.is_private or not 16 <= network.prefixlen <= 20:
            raise ValueError("a private IPv4 range between /16 and /20, such as 10.20.0.0/16")
        return value


class DnsSettings(Frozen):
    """`ttl` in seconds, at most the plan's five minutes."""

    domain: DomainName
    zone: DomainName
    role: Literal["primary", "secondary"]
    ttl: int = Field(default=300, ge=10, le=300)

    @model_validator(mode="after")
    def _domain_in_zone(self) -> Self:
        if self.domain != self.zone and not self.domain.endswith(f".{self.zone}"):
            raise ValueError(f"domain {self.domain} must be {self.zone} or end with .{self.zone}")
        return self
