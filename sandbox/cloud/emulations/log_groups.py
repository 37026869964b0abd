"""CloudWatch Logs: the key of a log group that exists, which moto cannot change."""

from __future__ import annotations

from typing import Any

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.responses import LogsResponse

from sandbox.cloud.context import Cloud
from sandbox.cloud.emulations.patching import add


def install(_cloud: Cloud) -> None:
    """AssociateKmsKey and DisassociateKmsKey, CloudWatch Logs API reference; only for log groups given by name."""

    def associate_kms_key(self: LogsResponse) -> str:
        _group(self).kms_key_id = self._get_param("kmsKeyId")
        return ""

    def disassociate_kms_key(self: LogsResponse) -> str:
        _group(self).kms_key_id = None
        return ""

    add(LogsResponse, associate_kms_key=associate_kms_key, disassociate_kms_key=disassociate_kms_key)


def _group(response: LogsResponse) -> Any:
    name = response._get_param("logGroupName")
    if name is None:
        raise NotImplementedError("the sandbox changes the key of a log group by its name")
    if name not in response.logs_backend.groups:
        raise ResourceNotFoundException
    return response.logs_backend.groups[name]
