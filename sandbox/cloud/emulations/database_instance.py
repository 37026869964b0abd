"""One DB instance as the rest of the sandbox sees it: what RDS records of it and where its server listens."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from moto.rds.models import DBInstance

from sandbox.cloud.postgres import Server


@dataclass
class Instance:
    """An emulated DB instance: moto's record and the server behind it."""

    model: DBInstance
    server: Server
    prepared: threading.Event = field(default_factory=threading.Event)

    @property
    def region(self) -> str:
        """Where it runs."""
        return str(self.model.region)

    @property
    def identifier(self) -> str:
        """The instance's name."""
        return str(self.model.db_instance_identifier)

    @property
    def port(self) -> int:
        """The server's loopback port."""
        return self.server.port

    @property
    def status(self) -> str:
        """RDS's status word."""
        return str(self.model.status)

    @property
    def reachable(self) -> bool:
        """Whether a client may connect: the server runs and RDS has handed it over."""
        return self.server.process is not None and self.status not in ("creating", "deleting")

    @property
    def security_groups(self) -> list[str]:
        """The VPC security groups' ids."""
        return list(self.model.vpc_security_group_ids)

    @property
    def subnets(self) -> list[str]:
        """The ids of its subnet group's subnets."""
        group = getattr(self.model, "db_subnet_group", None)
        return [subnet.id for subnet in group._subnets] if group else []
