"""ElastiCache replication groups: each is a real Valkey server behind TLS whose status follows the modelled clock.

One server stands for all nodes of a group. What moto has of ElastiCache is kept for subnet groups and tags only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from moto.core.responses import ActionResult, EmptyResult
from moto.elasticache.exceptions import (
    CacheClusterNotFound,
    ElastiCacheException,
    ReplicationGroupAlreadyExists,
    ReplicationGroupNotFound,
    SnapshotAlreadyExists,
    SnapshotNotFound,
)
from moto.elasticache.models import elasticache_backends
from moto.elasticache.responses import ElastiCacheResponse
from moto.s3.models import s3_backends

from sandbox.clock import minutes
from sandbox.cloud import cache_rules
from sandbox.cloud.cache_server import Loop, Server
from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations import cache_groups, databases
from sandbox.cloud.emulations.cache_model import DEFAULTS, Group, Snapshot, Wanted, shown, shown_node
from sandbox.cloud.emulations.patching import refuse

PREPARE_SECONDS = 60.0
# Changes for which ElastiCache replaces nodes; all others hold at once.
SLOW: Final = ("CacheNodeType", "EngineVersion")


class Caches:
    """All replication groups of all regions, and what ElastiCache's control plane does to them."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.groups: dict[tuple[str, str], Group] = {}
        self.snapshots: dict[tuple[str, str], Snapshot] = {}
        self._folder = cloud.directory / "caches"
        self._folder.mkdir(mode=0o711, exist_ok=True)
        self._loop = Loop(cloud)
        self._lock = threading.Lock()  # whether a server runs, while its region is lost or comes back
        cloud.on_cut(self._lose)
        cloud.on_restore(self._bring_back)
        cloud.on_stop(self._stop)

    def of(self, region: str | None = None) -> list[Group]:
        """The groups of a region, or all."""
        return [group for group in list(self.groups.values()) if region in (None, group.region)]

    # -- creation -----------------------------------------------------------------------------------------------
    def create(self, region: str, given: Wanted) -> Wanted:
        wanted = {**DEFAULTS, **given}
        wanted["ReplicationGroupId"] = wanted["ReplicationGroupId"].lower()
        wanted.setdefault("EngineVersion", cache_rules.versions(wanted["Engine"])[-1])
        needed = cache_rules.family(wanted["Engine"], wanted["EngineVersion"])
        wanted.setdefault("CacheParameterGroupName", f"default.{needed}")
        if wanted.get("TransitEncryptionEnabled"):
            wanted.setdefault("TransitEncryptionMode", "required")
        cache_rules.check_new(region, wanted, cache_groups.families(region))
        if not wanted.get("TransitEncryptionEnabled"):
            raise NotImplementedError("the sandbox's caches are all behind TLS")
        key = region, wanted["ReplicationGroupId"]
        if key in self.groups:
            raise ReplicationGroupAlreadyExists(key[1])
        load = self._source(region, wanted)
        port = databases.running().servers.port()
        server = Server(self.cloud, self._loop, self._folder / f"{region}-{key[1]}-{port}", port)
        group = self.groups[key] = Group(region, wanted, server, self.cloud.clock.epoch())
        group.tokens = [wanted["AuthToken"]] if wanted.get("AuthToken") else []
        elasticache_backends[ACCOUNT][region].tagging_service.tag_resource(group.arn, wanted.get("Tags") or [])
        self.cloud.emit("cache.creating", region=region, cache=group.name)
        self._later(group, 0, lambda: self._prepare(group, load))
        self._later(group, minutes("elasticache.create"), lambda: self._finish(group))
        return {"ReplicationGroup": shown(group)}

    def _source(self, region: str, wanted: Wanted) -> Callable[[Path], object]:
        """What writes the data that a new group begins with."""
        if name := wanted.get("SnapshotName"):
            snapshot = self._snapshot(region, name)
            if snapshot.status != "available":
                raise ElastiCacheException("InvalidSnapshotState", f"Snapshot {name} is {snapshot.status}.")
            content = snapshot.file.read_bytes()
        elif arns := wanted.get("SnapshotArns"):
            if len(arns) > 1:
                raise NotImplementedError("the sandbox's caches have one node group and load one RDB file")
            content = cache_rules.rdb_object(region, arns[0])
        else:
            return lambda _: None
        return lambda target: target.write_bytes(content)

    def _prepare(self, group: Group, load: Callable[[Path], object]) -> None:
        load(group.server.data)
        self.configure(group)
        try:
            group.server.start()
        except RuntimeError as error:  # a file that is no RDB: Valkey says so and ends
            group.status = "create-failed"
            self.cloud.emit("cache.create-failed", region=group.region, cache=group.name, error=str(error))
        finally:
            with self._lock:
                group.prepared.set()
                if self.cloud.is_cut(group.region):  # lost meanwhile, see _lose
                    group.server.stop()

    def configure(self, group: Group) -> None:
        """Write the server's settings from its tokens and its parameter group."""
        chosen = cache_groups.parameters(group.region, group.wanted["CacheParameterGroupName"])
        group.server.configure(group.tokens, chosen)

    def _finish(self, group: Group) -> None:
        if not group.prepared.wait(PREPARE_SECONDS):
            raise TimeoutError(f"the server of {group.name} is not ready")
        self._become(group, "available", since="creating")

    def _become(self, group: Group, status: str, since: str) -> None:
        """Go from one status to the next, unless something else happened meanwhile."""
        if group.status == since:
            group.status = status
            self.cloud.emit(f"cache.{status}", region=group.region, cache=group.name, port=group.port)

    def _later(self, group: Group, after: float, action: Callable[[], None]) -> None:
        self.cloud.after(after, action, f"cache {group.name} in {group.region}", regions=[group.region])

    # -- descriptions -------------------------------------------------------------------------------------------
    def describe(self, region: str, given: Wanted) -> Wanted:
        name = given.get("ReplicationGroupId")
        groups = [self._group(region, name)] if name else self.of(region)
        return {"ReplicationGroups": [shown(group) for group in groups]}

    def describe_nodes(self, region: str, given: Wanted) -> Wanted:
        wanted = given.get("CacheClusterId")
        nodes = [(member, group) for group in self.of(region) for member in group.members if wanted in (None, member)]
        if wanted and not nodes:
            raise CacheClusterNotFound(wanted)
        return {"CacheClusters": [shown_node(member, group) for member, group in nodes]}

    # -- changes ------------------------------------------------------------------------------------------------
    def modify(self, region: str, given: Wanted) -> Wanted:
        group = self._available(region, given.pop("ReplicationGroupId"))
        now, strategy = given.pop("ApplyImmediately", False), given.pop("AuthTokenUpdateStrategy", "ROTATE")
        # The same token once more is a change too: SET after ROTATE ends the one before.
        changed = {key: value for key, value in given.items() if key == "AuthToken" or value != group.wanted.get(key)}
        if unmodelled := changed.keys() - cache_rules.MODELLED:
            raise NotImplementedError(f"the sandbox's caches cannot change {', '.join(sorted(unmodelled))}")
        if changed and not now:
            raise NotImplementedError("the sandbox's caches know no maintenance window: ApplyImmediately")
        after = {**group.wanted, **changed}
        self._check_change(group, after)
        cache_rules.check_common(region, after, cache_groups.families(region))
        self._take(group, {key: value for key, value in changed.items() if key not in SLOW}, strategy)
        slow = {key: value for key, value in changed.items() if key in SLOW}
        if slow:
            self._slowly(group, slow)
        return {"ReplicationGroup": shown(group)}

    def _check_change(self, group: Group, after: Wanted) -> None:
        before = group.wanted
        for fixed in ("TransitEncryptionEnabled", "Engine"):
            if after.get(fixed) != before.get(fixed):
                raise NotImplementedError(f"the sandbox's caches cannot change {fixed}")
        offered = cache_rules.versions(after["Engine"])
        if after["EngineVersion"] not in offered:
            raise cache_rules.invalid(f"Version {after['EngineVersion']} is not offered.")
        if offered.index(after["EngineVersion"]) < offered.index(before["EngineVersion"]):
            raise cache_rules.conflicting("The engine version cannot be lowered.")

    def _take(self, group: Group, changed: Wanted, strategy: str) -> None:
        group.wanted.update(changed)
        if token := changed.get("AuthToken"):
            if strategy not in ("ROTATE", "SET"):
                raise NotImplementedError(f"the sandbox's caches have no AuthTokenUpdateStrategy {strategy}")
            # ROTATE leaves the one before valid, so that whoever still has it goes on.
            group.tokens = [token, *group.tokens[:1]] if strategy == "ROTATE" else [token]
            group.server.set_tokens(group.tokens)
        self.configure(group)
        if "CacheParameterGroupName" in changed:
            self._apply_parameters(group)

    def _apply_parameters(self, group: Group) -> None:
        for name, value in cache_groups.parameters(group.region, group.wanted["CacheParameterGroupName"]).items():
            group.server.set_parameter(name, value)

    def parameters_changed(self, region: str, name: str) -> None:
        """Every parameter that is modelled holds at once."""
        for group in self.of(region):
            if group.wanted["CacheParameterGroupName"] == name and group.prepared.is_set():
                self.configure(group)
                self._apply_parameters(group)

    def _slowly(self, group: Group, changed: Wanted) -> None:
        group.status = "modifying"
        self.cloud.emit("cache.modifying", region=group.region, cache=group.name, what=sorted(changed))

        def done() -> None:
            group.wanted.update(changed)
            self._become(group, "available", since="modifying")

        self._later(group, minutes("elasticache.modify"), done)

    def count_replicas(self, region: str, given: Wanted) -> Wanted:
        group = self._available(region, given["ReplicationGroupId"])
        wanted = {**group.wanted, "NumCacheClusters": given["NewReplicaCount"] + 1}
        cache_rules.check_common(region, wanted, cache_groups.families(region))
        self._slowly(group, {"NumCacheClusters": wanted["NumCacheClusters"]})
        return {"ReplicationGroup": shown(group)}

    # -- deletion -----------------------------------------------------------------------------------------------
    def delete(self, region: str, given: Wanted) -> Wanted:
        group = self._group(region, given["ReplicationGroupId"])
        if group.status not in ("available", "create-failed"):
            raise _not_available(group)
        if final := given.get("FinalSnapshotIdentifier"):
            self._save(group, final)
        group.status = "deleting"
        self.cloud.emit("cache.deleting", region=region, cache=group.name)
        self.cloud.after(0, group.server.remove, f"stop {group.name}")
        self._later(group, minutes("elasticache.delete"), lambda: self._gone(group))
        return {"ReplicationGroup": shown(group)}

    def _gone(self, group: Group) -> None:
        self.groups.pop((group.region, group.name), None)
        self.cloud.emit("cache.deleted", region=group.region, cache=group.name)

    # -- snapshots ----------------------------------------------------------------------------------------------
    def create_snapshot(self, region: str, given: Wanted) -> Wanted:
        group = self._available(region, given["ReplicationGroupId"])
        now = self.cloud.clock.epoch()
        cache_rules.manual_quota(group.manual, now)
        snapshot = self._save(group, given["SnapshotName"])
        group.manual.append(now)
        return {"Snapshot": snapshot.shown()}

    def _save(self, group: Group, name: str) -> Snapshot:
        key = group.region, name
        if key in self.snapshots:
            raise SnapshotAlreadyExists(name)
        snapshot = Snapshot(name, group.region, dict(group.wanted), self._folder / f"{group.region}-{name}.rdb")
        group.server.save(snapshot.file)
        self.snapshots[key] = snapshot
        self._later(group, minutes("elasticache.snapshot"), lambda: setattr(snapshot, "status", "available"))
        return snapshot

    def describe_snapshots(self, region: str, given: Wanted) -> Wanted:
        if name := given.get("SnapshotName"):
            return {"Snapshots": [self._snapshot(region, name).shown()]}
        group = given.get("ReplicationGroupId")
        found = [snapshot for (where, _), snapshot in self.snapshots.items() if where == region]
        return {"Snapshots": [s.shown() for s in found if group in (None, s.of["ReplicationGroupId"])]}

    def delete_snapshot(self, region: str, given: Wanted) -> Wanted:
        snapshot = self._snapshot(region, given["SnapshotName"])
        snapshot.file.unlink()
        del self.snapshots[region, snapshot.name]
        return {"Snapshot": snapshot.shown()}

    def export(self, region: str, given: Wanted) -> Wanted:
        """CopySnapshot to a bucket of the region: the RDB file under the target's name."""
        snapshot, target = self._snapshot(region, given["SourceSnapshotName"]), given["TargetSnapshotName"]
        bucket = given.get("TargetBucket")
        if not bucket:
            raise NotImplementedError("the sandbox copies a cache's snapshot to a bucket only")
        key = f"{target}-0001.rdb"  # the user guide: ElastiCache adds the node group's number
        cache_rules.export_bucket(region, bucket, key)
        s3_backends[ACCOUNT]["aws"].put_object(bucket, key, snapshot.file.read_bytes())
        return {"Snapshot": {**snapshot.shown(), "SnapshotName": target}}

    # -- lost regions -------------------------------------------------------------------------------------------
    def _lose(self, region: str) -> None:
        for group in self.of(region):
            with self._lock:
                if group.prepared.is_set():  # one that is still being made stops when that is done
                    group.server.stop()

    def _bring_back(self, region: str) -> None:
        for group in self.of(region):
            if not group.prepared.wait(PREPARE_SECONDS):
                raise TimeoutError(f"the server of {group.name} is not ready")
            with self._lock:
                if group.status not in ("deleting", "create-failed"):
                    group.server.start()

    def _stop(self) -> None:
        for group in list(self.groups.values()):
            group.server.stop()

    # -- look-ups -----------------------------------------------------------------------------------------------
    def _group(self, region: str, name: str) -> Group:
        group = self.groups.get((region, name.lower()))
        if group is None:
            raise ReplicationGroupNotFound(name)
        return group

    def _available(self, region: str, name: str) -> Group:
        group = self._group(region, name)
        if group.status != "available":
            raise _not_available(group)
        return group

    def _snapshot(self, region: str, name: str) -> Snapshot:
        if (region, name) not in self.snapshots:
            raise SnapshotNotFound(name)
        return self.snapshots[region, name]


def _not_available(group: Group) -> ElastiCacheException:
    return ElastiCacheException(
        "InvalidReplicationGroupState", f"Replication group {group.name} is {group.status}, not available."
    )


_caches: Caches | None = None


def running() -> Caches:
    """The caches of this process."""
    if _caches is None:
        raise RuntimeError("the caches are not installed")
    return _caches


def by_port(region: str, port: int) -> Group | None:
    """The group of a region whose server listens on this port."""
    return next((group for group in running().of(region) if group.port == port), None)


def install(cloud: Cloud) -> None:
    """Answer ElastiCache's operations on caches, their nodes, snapshots, parameter groups and subnet groups."""
    global _caches
    caches = _caches = Caches(cloud)
    handlers: dict[str, Callable[[str, Wanted], Wanted | None]] = {
        "create_replication_group": caches.create,
        "describe_replication_groups": caches.describe,
        "modify_replication_group": caches.modify,
        "increase_replica_count": caches.count_replicas,
        "decrease_replica_count": caches.count_replicas,
        "delete_replication_group": caches.delete,
        "describe_cache_clusters": caches.describe_nodes,
        "create_snapshot": caches.create_snapshot,
        "describe_snapshots": caches.describe_snapshots,
        "delete_snapshot": caches.delete_snapshot,
        "copy_snapshot": caches.export,
        **cache_groups.handlers(caches.parameters_changed, lambda region: [g.wanted for g in caches.of(region)]),
    }
    for name, handler in handlers.items():
        setattr(ElastiCacheResponse, name, _answering(handler))
    refuse(ElastiCacheResponse, "create_cache_cluster", "delete_cache_cluster", "create_user", "delete_user")


def _answering(handler: Callable[[str, Wanted], Wanted | None]) -> Callable[[Any], ActionResult]:
    """A method of moto's that parses the request and writes the answer by botocore's model of the operation."""

    def action(self: Any) -> ActionResult:
        answer = handler(self.region, {key: value for key, value in self._get_params().items() if value is not None})
        return EmptyResult() if answer is None else ActionResult(answer)

    return action
