"""Which properties of a DB instance change in which way."""

from __future__ import annotations

# Changes that take RDS a while, during which the instance is `modifying`; all others hold at once.
SLOW = {
    "master_user_password": "MasterUserPassword",
    "db_instance_class": "DBInstanceClass",
    "allocated_storage": "AllocatedStorage",
    "multi_az": "MultiAZ",
    "storage_type": "StorageType",
    "iops": "Iops",
    "backup_retention_period": "BackupRetentionPeriod",
}
INSIGHTS = (
    "enable_performance_insights",
    "performance_insights_kms_key_id",
    "performance_insights_retention_period",
)
# What a modification is checked together with.
COMPARED_OPTIONS = (
    *INSIGHTS,
    "allocated_storage",
    "db_instance_identifier",
    "engine_version",
    "monitoring_interval",
    "monitoring_role_arn",
    "preferred_backup_window",
    "preferred_maintenance_window",
    "storage_type",
)
NOT_A_CHANGE = {"db_instance_identifier", "apply_immediately"}
