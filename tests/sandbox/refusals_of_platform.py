"""What AWS refuses of buckets, identities, keys, secrets, networks and names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.sandbox.refusal_row import API, GUIDE, MODEL, Refusal, allow, document


def _records(*records: Mapping[str, Any], action: str = "CREATE") -> dict[str, Any]:
    changes = [{"Action": action, "ResourceRecordSet": record} for record in records]
    return {"HostedZoneId": "$zone", "ChangeBatch": {"Changes": changes}}


def _record(name: str = "refused.example.org", kind: str = "A", **more: Any) -> dict[str, Any]:
    values = {"ResourceRecords": [{"Value": "192.0.2.1" if kind == "A" else "other.example.net"}]}
    return {"Name": name, "Type": kind, "TTL": 60, **values, **more}


def _check(**config: Any) -> dict[str, Any]:
    given = {"Type": "HTTPS", "FullyQualifiedDomainName": "example.org", "RequestInterval": 10, **config}
    return {"CallerReference": "refused", "HealthCheckConfig": given}


def _open(**changed: Any) -> dict[str, Any]:
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}], **changed}
    return {"GroupId": "$group", "IpPermissions": [rule]}


def _replication(bucket: str = "$versioned", to: str = "$versioned_too", **more: Any) -> dict[str, Any]:
    rule = {
        "ID": "all",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{to}"},
        **more,
    }
    return {"Bucket": bucket, "ReplicationConfiguration": {"Role": "$function_role", "Rules": [rule]}}


def _lifecycle(*rules: Mapping[str, Any]) -> dict[str, Any]:
    given = [{"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, **rule} for rule in rules]
    return {"Bucket": "$bucket", "LifecycleConfiguration": {"Rules": given}}


_ASSUMABLE: Final = allow(Action="sts:AssumeRole", Principal={"Service": "ecs-tasks.amazonaws.com"})

_NOBODY: Final = "arn:aws:iam::123456789012:role/never-made"

ROWS: Final = (
    # -- S3
    Refusal("an unknown state of versioning", "s3", "PutBucketVersioning",
            {"Bucket": "$bucket", "VersioningConfiguration": {"Status": "On"}},
            "MalformedXML", MODEL + "s3 BucketVersioningStatus"),
    Refusal("an unknown access list", "s3", "CreateBucket",
            {"Bucket": "refused-bucket", "ACL": "everybody",
             "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}},
            "InvalidArgument", MODEL + "s3 BucketCannedACL"),
    Refusal("a bucket's name in capitals", "s3", "CreateBucket",
            {"Bucket": "Refused_Bucket", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}},
            "InvalidBucketName", GUIDE + "Bucket naming rules"),
    Refusal("replication of a bucket without versions", "s3", "PutBucketReplication", _replication(bucket="$bucket"),
            "InvalidRequest", GUIDE + "Requirements for replication: versioning on both"),
    Refusal("replication to a bucket without versions", "s3", "PutBucketReplication", _replication(to="$bucket"),
            "InvalidRequest", GUIDE + "Requirements for replication: versioning on both"),
    Refusal("replication without a filter's companion", "s3", "PutBucketReplication",
            _replication(DeleteMarkerReplication=None),
            "InvalidRequest", API + "DeleteMarkerReplication: required where a rule has a Filter"),
    Refusal("replication time without metrics", "s3", "PutBucketReplication",
            _replication(Destination={"Bucket": "arn:aws:s3:::$versioned_too",
                                      "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}}}),
            "InvalidRequest", API + "ReplicationTime: must be specified together with a Metrics block"),
    Refusal("a lifecycle of zero days", "s3", "PutBucketLifecycleConfiguration",
            _lifecycle({"NoncurrentVersionExpiration": {"NoncurrentDays": 0}}),
            "InvalidArgument", API + "NoncurrentVersionExpiration, NoncurrentDays: a positive integer"),
    Refusal("two lifecycle rules of one name", "s3", "PutBucketLifecycleConfiguration",
            _lifecycle({"Expiration": {"Days": 1}}, {"Expiration": {"Days": 2}}),
            "InvalidArgument", API + "LifecycleRule, ID: unique"),
    Refusal("an access list where the owner has all", "s3", "PutBucketAcl", {"Bucket": "$bucket", "ACL": "public-read"},
            "AccessControlListNotSupported", GUIDE + "Controlling ownership of objects: ACLs are off by default"),
    Refusal("a public policy that is blocked", "s3", "PutBucketPolicy",
            {"Bucket": "$blocked", "Policy": document(
                allow(Action="s3:GetObject", Principal="*", Resource="arn:aws:s3:::$blocked/*"))},
            "AccessDenied", GUIDE + "Blocking public access: BlockPublicPolicy"),
    Refusal("a policy that is no JSON", "s3", "PutBucketPolicy", {"Bucket": "$bucket", "Policy": "{"},
            "MalformedPolicy", API + "PutBucketPolicy, errors"),
    Refusal("a policy about another bucket", "s3", "PutBucketPolicy",
            {"Bucket": "$bucket", "Policy": document(
                allow(Action="s3:GetObject", Principal={"AWS": "123456789012"}, Resource="arn:aws:s3:::other/*"))},
            "MalformedPolicy", GUIDE + "Bucket policies: the resource must be this bucket"),
    # -- IAM
    Refusal("a role's name with a space", "iam", "CreateRole",
            {"RoleName": "a b", "AssumeRolePolicyDocument": document(_ASSUMABLE)},
            "ValidationError", MODEL + "iam roleNameType"),
    Refusal("a role's name of 65 characters", "iam", "CreateRole",
            {"RoleName": "x" * 65, "AssumeRolePolicyDocument": document(_ASSUMABLE)},
            "ValidationError", MODEL + "iam roleNameType, at most 64"),
    Refusal("a session of five minutes", "iam", "CreateRole",
            {"RoleName": "refused", "AssumeRolePolicyDocument": document(_ASSUMABLE), "MaxSessionDuration": 300},
            "ValidationError", MODEL + "iam roleMaxSessionDurationType, 3,600 to 43,200"),
    Refusal("a trust policy that is no JSON", "iam", "CreateRole",
            {"RoleName": "refused", "AssumeRolePolicyDocument": "{"},
            "MalformedPolicyDocument", API + "CreateRole, errors"),
    Refusal("trust in a role that does not exist", "iam", "CreateRole",
            {"RoleName": "refused",
             "AssumeRolePolicyDocument": document(allow(Action="sts:AssumeRole", Principal={"AWS": _NOBODY}))},
            "MalformedPolicyDocument", GUIDE + "AWS JSON policy elements: Principal, must exist"),
    Refusal("a second role of a name", "iam", "CreateRole",
            {"RoleName": "$role_name", "AssumeRolePolicyDocument": document(_ASSUMABLE)},
            "EntityAlreadyExists", API + "CreateRole, errors"),
    Refusal("an action without its service", "iam", "PutRolePolicy",
            {"RoleName": "$role_name", "PolicyName": "p", "PolicyDocument": document(
                allow(Action="GetObject", Resource="*"))},
            "MalformedPolicyDocument", GUIDE + "AWS JSON policy elements: Action"),
    Refusal("a statement without a resource", "iam", "PutRolePolicy",
            {"RoleName": "$role_name", "PolicyName": "p", "PolicyDocument": document(allow(Action="s3:GetObject"))},
            "MalformedPolicyDocument", GUIDE + "AWS JSON policy elements: Resource"),
    Refusal("inline policies of more than 10,240 characters", "iam", "PutRolePolicy",
            {"RoleName": "$role_name", "PolicyName": "p", "PolicyDocument": document(
                allow(Action="s3:GetObject", Resource=[f"arn:aws:s3:::{n:0>60}" for n in range(160)]))},
            "LimitExceeded", GUIDE + "IAM quotas: 10,240 characters of inline policies a role"),
    Refusal("a role with policies deleted", "iam", "DeleteRole", {"RoleName": "$role_name"},
            "DeleteConflict", API + "DeleteRole, errors"),
    # -- KMS
    Refusal("an unknown usage", "kms", "CreateKey", {"KeyUsage": "ADMIRE"},
            "ValidationException", MODEL + "kms KeyUsageType"),
    Refusal("a key policy that names a role that does not exist", "kms", "CreateKey",
            {"Policy": document(allow(Action="kms:*", Principal={"AWS": _NOBODY}, Resource="*"))},
            "MalformedPolicyDocumentException", GUIDE + "Key policies: principals must exist"),
    Refusal("a key policy that locks everybody out", "kms", "PutKeyPolicy",
            {"KeyId": "$key", "PolicyName": "default", "Policy": document(
                allow(Action="kms:Encrypt", Principal={"AWS": "arn:aws:iam::123456789012:root"}, Resource="*"))},
            "MalformedPolicyDocumentException", API + "PutKeyPolicy: BypassPolicyLockoutSafetyCheck"),
    Refusal("a deletion in three days", "kms", "ScheduleKeyDeletion", {"KeyId": "$key", "PendingWindowInDays": 3},
            "ValidationException", API + "ScheduleKeyDeletion: 7 to 30 days"),
    Refusal("a rotation every ten days", "kms", "EnableKeyRotation", {"KeyId": "$key", "RotationPeriodInDays": 10},
            "ValidationException", MODEL + "kms RotationPeriodInDaysType, 90 to 2,560"),
    Refusal("an alias of AWS's own", "kms", "CreateAlias", {"AliasName": "alias/aws/rds", "TargetKeyId": "$key"},
            "NotAuthorizedException", API + "CreateAlias: alias/aws/ is reserved"),
    Refusal("a second alias of a name", "kms", "CreateAlias", {"AliasName": "$alias", "TargetKeyId": "$key"},
            "AlreadyExistsException", API + "CreateAlias, errors"),
    Refusal("a replica of a key for one region", "kms", "ReplicateKey",
            {"KeyId": "$key", "ReplicaRegion": "af-south-1"},
            "UnsupportedOperationException", API + "ReplicateKey: a multi-Region primary key"),
    Refusal("encryption with a disabled key", "kms", "Encrypt", {"KeyId": "$disabled_key", "Plaintext": b"x"},
            "DisabledException", API + "Encrypt, errors"),
    # -- Secrets Manager
    Refusal("a secret's name with a space", "secretsmanager", "CreateSecret", {"Name": "a b", "SecretString": "x"},
            "ValidationException", API + "CreateSecret, Name: letters, digits and /_+=.@-"),
    Refusal("a second secret of a name", "secretsmanager", "CreateSecret", {"Name": "$secret_name"},
            "ResourceExistsException", API + "CreateSecret, errors"),
    Refusal("a value of 70,000 bytes", "secretsmanager", "PutSecretValue",
            {"SecretId": "$secret", "SecretString": "x" * 70000},
            "ValidationException", MODEL + "secretsmanager SecretStringType, at most 65,536"),
    Refusal("a recovery window of three days", "secretsmanager", "DeleteSecret",
            {"SecretId": "$secret", "RecoveryWindowInDays": 3},
            "InvalidParameterException", API + "DeleteSecret, RecoveryWindowInDays: 7 to 30"),
    # -- EC2
    Refusal("a network of /8", "ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/8"},
            "InvalidVpc.Range", API + "CreateVpc: between /28 and /16"),
    Refusal("a subnet outside of its network", "ec2", "CreateSubnet", {"VpcId": "$vpc", "CidrBlock": "192.168.0.0/24"},
            "InvalidSubnet.Range", API + "error codes"),
    Refusal("a subnet over another", "ec2", "CreateSubnet", {"VpcId": "$vpc", "CidrBlock": "10.0.0.0/25"},
            "InvalidSubnet.Conflict", API + "error codes"),
    Refusal("a zone of another region", "ec2", "CreateSubnet",
            {"VpcId": "$vpc", "CidrBlock": "10.0.99.0/24", "AvailabilityZone": "af-south-1a"},
            "InvalidParameterValue", API + "CreateSubnet, AvailabilityZone"),
    Refusal("a second group of a name", "ec2", "CreateSecurityGroup",
            {"GroupName": "alb", "Description": "again", "VpcId": "$vpc"},
            "InvalidGroup.Duplicate", API + "error codes"),
    Refusal("a group's description with an umlaut", "ec2", "CreateSecurityGroup",
            {"GroupName": "refused", "Description": "für alle", "VpcId": "$vpc"},
            "InvalidParameterValue", API + "CreateSecurityGroup, GroupDescription: characters"),
    Refusal("a group's name that looks like an id", "ec2", "CreateSecurityGroup",
            {"GroupName": "sg-refused", "Description": "x", "VpcId": "$vpc"},
            "InvalidParameterValue", API + "CreateSecurityGroup, GroupName: not sg-"),
    Refusal("port 70000", "ec2", "AuthorizeSecurityGroupIngress", _open(ToPort=70000),
            "InvalidParameterValue", API + "IpPermission: ports up to 65,535"),
    Refusal("a range of ports that ends before it begins", "ec2", "AuthorizeSecurityGroupIngress",
            _open(FromPort=443, ToPort=80),
            "InvalidParameterValue", API + "IpPermission: FromPort, ToPort"),
    Refusal("the same rule again", "ec2", "AuthorizeSecurityGroupIngress",
            {**_open(), "GroupId": "$open_group"},
            "InvalidPermission.Duplicate", API + "error codes"),
    Refusal("a rule for a group that does not exist", "ec2", "AuthorizeSecurityGroupIngress",
            {**_open(), "GroupId": "sg-0123456789abcdef0"},
            "InvalidGroup.NotFound", API + "error codes"),
    Refusal("an unknown kind of endpoint", "ec2", "CreateVpcEndpoint",
            {"VpcId": "$vpc", "ServiceName": "com.amazonaws.eu-west-1.s3", "VpcEndpointType": "Bridge"},
            "InvalidParameterValue", MODEL + "ec2 VpcEndpointType"),
    Refusal("a tag of AWS's own", "ec2", "CreateTags",
            {"Resources": ["$vpc"], "Tags": [{"Key": "aws:owner", "Value": "x"}]},
            "InvalidParameterValue", GUIDE + "Tag restrictions: no aws:"),
    Refusal("a network with subnets deleted", "ec2", "DeleteVpc", {"VpcId": "$vpc"},
            "DependencyViolation", API + "error codes"),
    # -- Route 53
    Refusal("an unknown action", "route53", "ChangeResourceRecordSets", _records(_record(), action="PUT"),
            "InvalidInput", MODEL + "route53 ChangeAction"),
    Refusal("an alias name at the apex by CNAME", "route53", "ChangeResourceRecordSets",
            _records(_record("example.org", "CNAME")),
            "InvalidChangeBatch", GUIDE + "Supported record types: no CNAME at the zone apex"),
    Refusal("a record of another zone", "route53", "ChangeResourceRecordSets", _records(_record("www.example.com")),
            "InvalidChangeBatch", API + "ChangeResourceRecordSets, InvalidChangeBatch"),
    Refusal("a record that exists already", "route53", "ChangeResourceRecordSets",
            _records(_record("taken.example.org")),
            "InvalidChangeBatch", API + "ChangeResourceRecordSets, CREATE"),
    Refusal("a record without a time to live", "route53", "ChangeResourceRecordSets",
            _records({key: value for key, value in _record().items() if key != "TTL"}),
            "InvalidInput", API + "ResourceRecordSet, TTL: required but for aliases"),
    Refusal("failover without an identifier", "route53", "ChangeResourceRecordSets",
            _records(_record(Failover="PRIMARY", HealthCheckId="x")),
            "InvalidInput", API + "ResourceRecordSet, SetIdentifier: required with failover"),
    Refusal("a time to live of an alias", "route53", "ChangeResourceRecordSets",
            _records({"Name": "refused.example.org", "Type": "A", "TTL": 60, "AliasTarget": {
                "HostedZoneId": "Z1", "DNSName": "x.example.org", "EvaluateTargetHealth": False}}),
            "InvalidInput", API + "ResourceRecordSet, TTL: not for aliases"),
    Refusal("a check every 20 seconds", "route53", "CreateHealthCheck", _check(RequestInterval=20),
            "InvalidInput", API + "HealthCheckConfig, RequestInterval: 10 or 30"),
    Refusal("eleven failures", "route53", "CreateHealthCheck", _check(FailureThreshold=11),
            "InvalidInput", MODEL + "route53 FailureThreshold, 1 to 10"),
    Refusal("a string match without a string", "route53", "CreateHealthCheck", _check(Type="HTTPS_STR_MATCH"),
            "InvalidInput", API + "HealthCheckConfig, SearchString"),
)  # fmt: skip
