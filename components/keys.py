"""One customer-managed encryption key per stack, for the database, its copies, secrets, objects and logs."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import naming, policies

# The longest window AWS offers: a deleted key makes every copy and recording unreadable for ever.
DELETION_WINDOW_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class DataKeyArgs:
    short_name: str
    tags: naming.Tags
    account_id: str
    region: str


class DataKey(pulumi.ComponentResource):
    """KMS key with yearly rotation and the alias `alias/mental-health-platform-<short>-data`."""

    arn: pulumi.Output[str]
    alias: str

    def __init__(self, name: str, args: DataKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform:keys:DataKey", name, {}, opts)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"Data of {naming.PLATFORM} in {args.region}",
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=key_policy(args.account_id, args.region),
            tags=dict(args.tags),
            # Losing the key loses the database, its copies and all objects at once.
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self.alias = naming.data_key_alias(args.short_name)
        alias = aws.kms.Alias(
            f"{name}-alias",
            name=self.alias,
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # Whoever uses the key may be allowed by its alias: known only once the alias exists.
        self.arn = pulumi.Output.all(key.arn, alias.arn).apply(lambda arns: str(arns[0]))
        self.register_outputs({"arn": self.arn})


def key_policy(account_id: str, region: str) -> str:
    """Delegates to IAM through the account root, and lets CloudWatch Logs encrypt this account's log groups."""
    return policies.document(
        policies.delegate_to_iam(account_id),
        {
            "Sid": "EncryptLogs",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {
                "ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{region}:{account_id}:log-group:*"}
            },
        },
    )
