"""Subnet addresses of one region's network, as pure functions."""

import ipaddress
from dataclasses import dataclass

TIERS = ("public", "private", "isolated")
ZONE_LETTERS = ("a", "b", "c")
# Sixteen equal blocks: each tier starts at a multiple of four, so that a fourth zone can join without renumbering.
_BLOCK_BITS = 4
_BLOCKS_PER_TIER = 4


@dataclass(frozen=True)
class SubnetPlan:
    """One subnet to make: its tier, its availability zone and its IPv4 block."""

    tier: str
    zone: str
    cidr: str

    @property
    def name(self) -> str:
        """Name within the network, for example `private-b`."""
        return f"{self.tier}-{self.zone[-1]}"


def zones(region: str) -> tuple[str, ...]:
    """The three availability zones used in a region (both regions of the platform have a, b and c)."""
    return tuple(f"{region}{letter}" for letter in ZONE_LETTERS)


def subnet_plan(cidr: str, region: str) -> tuple[SubnetPlan, ...]:
    """Divide a network block into public, private and isolated subnets, one each per zone.

    Raises ValueError when the block is not a network address or is too small: AWS takes subnets of /16 to /28.
    """
    network = ipaddress.IPv4Network(cidr)
    if not 16 <= network.prefixlen <= 24:
        raise ValueError(f"{cidr}: a network block must be between /16 and /24")
    blocks = list(network.subnets(prefixlen_diff=_BLOCK_BITS))
    return tuple(
        SubnetPlan(tier, zone, str(blocks[tier_index * _BLOCKS_PER_TIER + zone_index]))
        for tier_index, tier in enumerate(TIERS)
        for zone_index, zone in enumerate(zones(region))
    )
