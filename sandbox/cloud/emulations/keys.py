"""KMS: multi-Region keys, whose identifiers moto makes too long and whose replicas it confuses with the primary.

And the period of a rotation, which moto forgets.
"""

from __future__ import annotations

import copy
import json
import re
import uuid
from typing import Any

import moto.kms.models
from moto.kms.exceptions import AlreadyExistsException
from moto.kms.models import Key, KmsBackend, kms_backends
from moto.kms.responses import KmsResponse

from sandbox.cloud.context import ACCOUNT, Cloud
from sandbox.cloud.emulations.patching import replace

_ID_OF_MOTO = KmsResponse._validate_cmk_id


def find(region: str, key_id: str) -> Key | None:
    """The key of this region with that id, ARN or alias."""
    if key_id.startswith("arn:") and key_id.split(":")[3] != region:
        return None
    backend = kms_backends[ACCOUNT][region]
    alias = backend.get_alias_name(key_id)
    found = backend.get_key_id_from_alias(alias) if alias.startswith("alias/") else key_id
    return backend.keys.get(backend.get_key_id(found or ""))


# EnableKeyRotation, KMS API reference.
DEFAULT_ROTATION_DAYS = 365


def install(_cloud: Cloud) -> None:
    """Make and accept identifiers as AWS does: `mrk-` and 32 hexadecimal digits (KMS developer guide)."""
    setattr(moto.kms.models, "generate_key_id", _key_id)  # noqa: B010 - moto does not declare the name as its own
    replace(KmsResponse, _validate_cmk_id=_validate)
    replicate = KmsBackend.replicate_key

    def replicate_key(self: KmsBackend, key_id: str, replica_region: str) -> Key:
        """The replica has the primary's material and id, and everything else of its own; moto shares all of it."""
        found = self.get_key_id(key_id)
        if found in kms_backends[ACCOUNT][replica_region].keys:
            raise AlreadyExistsException(f"A key with the id {found} already exists in {replica_region}.")
        replica = replicate(self, found, replica_region)
        replica.aliases, replica.grants = {}, {}
        replica.multi_region_configuration = copy.deepcopy(replica.multi_region_configuration)
        replica.multi_region_configuration["MultiRegionKeyType"] = "REPLICA"
        return replica

    replace(KmsBackend, replicate_key=replicate_key)
    answer_replication = KmsResponse.replicate_key

    def keep_own_settings(self: KmsResponse) -> str:
        """moto drops what the request says of the replica."""
        answer: dict[str, Any] = json.loads(answer_replication(self))
        backend = kms_backends[ACCOUNT][self._get_param("ReplicaRegion")]
        key = backend.keys[answer["ReplicaKeyMetadata"]["KeyId"]]
        key.policy = self._get_param("Policy") or key.generate_default_policy()
        key.description = self._get_param("Description") or ""
        backend.tagger.tag_resource(key.id, self._get_param("Tags", []))
        return json.dumps({**answer, "ReplicaKeyMetadata": key.to_dict()["KeyMetadata"], "ReplicaPolicy": key.policy})

    replace(KmsResponse, replicate_key=keep_own_settings)
    _patch_rotation()


def _patch_rotation() -> None:
    enable, status = KmsResponse.enable_key_rotation, KmsResponse.get_key_rotation_status

    def key(response: Any) -> Any:
        return find(response.region, response._get_param("KeyId"))

    def enable_key_rotation(self: KmsResponse) -> str:
        answer = enable(self)
        key(self).rotation_days = self._get_param("RotationPeriodInDays") or DEFAULT_ROTATION_DAYS
        return answer

    def get_key_rotation_status(self: KmsResponse) -> str:
        answer: dict[str, Any] = json.loads(status(self))
        if answer["KeyRotationEnabled"]:
            answer["RotationPeriodInDays"] = key(self).rotation_days
        return json.dumps(answer)

    replace(KmsResponse, enable_key_rotation=enable_key_rotation, get_key_rotation_status=get_key_rotation_status)


def _key_id(multi_region: bool = False) -> str:
    return f"mrk-{uuid.uuid4().hex}" if multi_region else str(uuid.uuid4())


def _validate(response: Any, key_id: str) -> None:
    """moto knows only its own form; what it checks for an ARN is what a multi-Region key needs."""
    if re.fullmatch(r"mrk-[0-9a-f]{32}", key_id):
        key_id = f"arn:aws:kms:{response.region}:{response.current_account}:key/{key_id}"
    _ID_OF_MOTO(response, key_id)
