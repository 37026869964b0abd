"""ElastiCache's parameter groups and what moto lacks of its subnet groups."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from moto.elasticache.exceptions import CacheSubnetGroupNotFound, ElastiCacheException
from moto.elasticache.models import CacheSubnetGroup, elasticache_backends

from sandbox.cloud import cache_rules
from sandbox.cloud.context import ACCOUNT
from sandbox.cloud.emulations.cache_model import Wanted

Handler = Callable[[str, Wanted], Wanted | None]
FAMILY: Final = "valkey8"
_NAME = re.compile(r"(?!.*--)[a-z][a-z0-9-]{0,254}(?<!-)")
# The modifiable parameters that are modelled, with AWS's default and what it allows ("Valkey and Redis OSS
# parameters", ElastiCache user guide); Valkey itself takes each at run time.
PARAMETERS: Final = {
    "maxmemory-policy": (
        "volatile-lru",
        r"volatile-lru|allkeys-lru|volatile-lfu|allkeys-lfu|volatile-random|allkeys-random|volatile-ttl|noeviction",
    ),
    "notify-keyspace-events": ("", r"[KEg$lshzxetdmA]*"),
    "slowlog-log-slower-than": ("10000", r"-1|\d+"),
    "tcp-keepalive": ("300", r"\d+"),
    "timeout": ("0", r"0|[2-9]\d|\d{3,}"),
}


@dataclass
class ParameterGroup:
    region: str
    name: str
    family: str
    description: str
    chosen: dict[str, str] = field(default_factory=dict)

    def shown(self) -> Wanted:
        return {
            "CacheParameterGroupName": self.name,
            "CacheParameterGroupFamily": self.family,
            "Description": self.description,
            "IsGlobal": False,
            "ARN": f"arn:aws:elasticache:{self.region}:{ACCOUNT}:parametergroup:{self.name}",
        }


_groups: dict[tuple[str, str], ParameterGroup] = {}


def families(region: str) -> dict[str, str]:
    """The family of each parameter group of a region."""
    return {group.name: group.family for group in _groups.values() if group.region == region}


def parameters(region: str, name: str) -> dict[str, str]:
    """What the servers of a parameter group run with."""
    chosen = _groups[region, name].chosen if (region, name) in _groups else {}
    return {parameter: chosen.get(parameter, default) for parameter, (default, _) in PARAMETERS.items()}


def handlers(changed: Callable[[str, str], None], used: Callable[[str], list[Wanted]]) -> dict[str, Handler]:
    """The operations by moto's method names. `changed(region, name)` hears of a group's new parameters.

    `used(region)` are the caches that refer to groups.
    """
    _groups.clear()  # one process may start a cloud after another

    def modify(region: str, given: Wanted) -> Wanted:
        group = _group(region, given)
        new = {item["ParameterName"]: item["ParameterValue"] for item in given["ParameterNameValues"]}
        for name, value in new.items():
            _check(name, value)
        group.chosen.update(new)
        changed(region, group.name)
        return {"CacheParameterGroupName": group.name}

    def reset(region: str, given: Wanted) -> Wanted:
        group = _group(region, given)
        for item in given.get("ParameterNameValues") or [{"ParameterName": name} for name in PARAMETERS]:
            group.chosen.pop(item["ParameterName"], None)
        changed(region, group.name)
        return {"CacheParameterGroupName": group.name}

    def delete(region: str, given: Wanted) -> None:
        group = _group(region, given)
        if any(cache["CacheParameterGroupName"] == group.name for cache in used(region)):
            raise ElastiCacheException("InvalidCacheParameterGroupState", f"{group.name} is in use.")
        del _groups[region, group.name]

    def delete_subnets(region: str, given: Wanted) -> None:
        group = _subnet_group(region, given)
        name = group.cache_subnet_group_name
        if any(cache.get("CacheSubnetGroupName") == name for cache in used(region)):
            raise ElastiCacheException("CacheSubnetGroupInUse", f"{name} is in use.")
        del elasticache_backends[ACCOUNT][region].cache_subnet_groups[name]

    return {
        "create_cache_parameter_group": _create,
        "describe_cache_parameter_groups": _describe,
        "describe_cache_parameters": _describe_parameters,
        "modify_cache_parameter_group": modify,
        "reset_cache_parameter_group": reset,
        "delete_cache_parameter_group": delete,
        "modify_cache_subnet_group": _modify_subnets,
        "delete_cache_subnet_group": delete_subnets,
        "list_tags_for_resource": _tags,
    }


def _create(region: str, given: Wanted) -> Wanted:
    name, family = given["CacheParameterGroupName"].lower(), given["CacheParameterGroupFamily"]
    if family != FAMILY:
        raise NotImplementedError(f"the sandbox's parameter groups are of family {FAMILY}, not {family}")
    if not _NAME.fullmatch(name):
        raise cache_rules.invalid(f"The parameter CacheParameterGroupName {name} is not valid.")
    if (region, name) in _groups:
        raise ElastiCacheException("CacheParameterGroupAlreadyExists", f"{name} already exists.")
    group = _groups[region, name] = ParameterGroup(region, name, family, given["Description"])
    arn = group.shown()["ARN"]
    elasticache_backends[ACCOUNT][region].tagging_service.tag_resource(arn, given.get("Tags") or [])
    return {"CacheParameterGroup": group.shown()}


def _describe(region: str, given: Wanted) -> Wanted:
    if given.get("CacheParameterGroupName"):
        return {"CacheParameterGroups": [_group(region, given).shown()]}
    return {"CacheParameterGroups": [group.shown() for group in _groups.values() if group.region == region]}


def _describe_parameters(region: str, given: Wanted) -> Wanted:
    group = _group(region, given)
    found = [
        {
            "ParameterName": name,
            "ParameterValue": group.chosen.get(name, default),
            "Source": "user" if name in group.chosen else "system",
            "IsModifiable": True,
        }
        for name, (default, _) in PARAMETERS.items()
    ]
    return {"Parameters": [item for item in found if given.get("Source") in (None, item["Source"])]}


def _check(name: str, value: str) -> None:
    if name not in PARAMETERS:
        raise cache_rules.invalid(f"The parameter {name} cannot be modified or does not exist in {FAMILY}.")
    if not re.fullmatch(PARAMETERS[name][1], value):
        raise cache_rules.invalid(f"The value {value} of {name} is not allowed.")


def _group(region: str, given: Wanted) -> ParameterGroup:
    name = given["CacheParameterGroupName"].lower()
    if (region, name) not in _groups:
        raise ElastiCacheException("CacheParameterGroupNotFound", f"CacheParameterGroup {name} not found.")
    return _groups[region, name]


def _modify_subnets(region: str, given: Wanted) -> Wanted:
    old = _subnet_group(region, given)
    name = old.cache_subnet_group_name
    description = given.get("CacheSubnetGroupDescription", old.cache_subnet_group_description)
    subnets = given.get("SubnetIds") or old.subnet_ids
    group = CacheSubnetGroup(ACCOUNT, region, name, description, subnets, old.tags)
    elasticache_backends[ACCOUNT][region].cache_subnet_groups[name] = group
    return {"CacheSubnetGroup": group}


def _tags(region: str, given: Wanted) -> Wanted:
    """moto knows no ARN of a parameter group."""
    found = elasticache_backends[ACCOUNT][region].tagging_service.list_tags_for_resource(given["ResourceName"])
    return {"TagList": found["Tags"]}


def _subnet_group(region: str, given: Wanted) -> CacheSubnetGroup:
    name = given["CacheSubnetGroupName"]
    group = elasticache_backends[ACCOUNT][region].cache_subnet_groups.get(name)
    if group is None:
        raise CacheSubnetGroupNotFound(name)
    return group
