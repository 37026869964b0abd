"""What AWS refuses of buckets, identities, keys, secrets, networks and names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.sandbox.refusal_row import LISTED, Refusal, allow, answered, document, model, reference, unverified


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
            "MalformedXML", model("BucketVersioningStatus")),
    Refusal("an unknown access list", "s3", "CreateBucket",
            {"Bucket": "refused-bucket", "ACL": "everybody",
             "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}},
            "InvalidArgument", model("BucketCannedACL")),
    Refusal("a bucket's name in capitals", "s3", "CreateBucket",
            {"Bucket": "Refused_Bucket", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}},
            "InvalidBucketName", answered("The specified bucket is not valid")),
    Refusal("replication of a bucket without versions", "s3", "PutBucketReplication", _replication(bucket="$bucket"),
            "InvalidRequest", answered("Versioning must be 'Enabled' on the bucket")),
    Refusal("replication to a bucket without versions", "s3", "PutBucketReplication", _replication(to="$bucket"),
            "InvalidRequest", answered("Destination bucket must have versioning enabled")),
    Refusal("replication without a filter's companion", "s3", "PutBucketReplication",
            _replication(DeleteMarkerReplication=None),
            "InvalidRequest", reference("DeleteMarkerReplication", "If you specify a Filter")),
    Refusal("replication time without metrics", "s3", "PutBucketReplication",
            _replication(Destination={"Bucket": "arn:aws:s3:::$versioned_too",
                                      "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}}}),
            "InvalidRequest", reference("ReplicationTime", "Must be specified together with a Metrics block")),
    Refusal("a lifecycle of zero days", "s3", "PutBucketLifecycleConfiguration",
            _lifecycle({"NoncurrentVersionExpiration": {"NoncurrentDays": 0}}),
            "InvalidArgument",
            reference("NoncurrentVersionExpiration.NoncurrentDays", "must be a non-zero positive integer")),
    Refusal("two lifecycle rules of one name", "s3", "PutBucketLifecycleConfiguration",
            _lifecycle({"Expiration": {"Days": 1}}, {"Expiration": {"Days": 2}}),
            "InvalidArgument", answered("Rule ID must be unique. Found same ID for more than one rule")),
    Refusal("an access list where the owner has all", "s3", "PutBucketAcl", {"Bucket": "$bucket", "ACL": "public-read"},
            "AccessControlListNotSupported",
            reference("PutBucketAcl", "fail and return the AccessControlListNotSupported error code")),
    Refusal("a public policy that is blocked", "s3", "PutBucketPolicy",
            {"Bucket": "$blocked", "Policy": document(
                allow(Action="s3:GetObject", Principal="*", Resource="arn:aws:s3:::$blocked/*"))},
            "AccessDenied",
            reference("PublicAccessBlockConfiguration.BlockPublicPolicy", "to reject calls to PUT Bucket policy")),
    Refusal("a policy that is no JSON", "s3", "PutBucketPolicy", {"Bucket": "$bucket", "Policy": "{"},
            "MalformedPolicy", unverified("known of the API reference's list of error codes")),
    Refusal("a policy about another bucket", "s3", "PutBucketPolicy",
            {"Bucket": "$bucket", "Policy": document(
                allow(Action="s3:GetObject", Principal={"AWS": "123456789012"}, Resource="arn:aws:s3:::other/*"))},
            "MalformedPolicy", answered("Policy has invalid resource")),
    # -- IAM
    Refusal("a role's name with a space", "iam", "CreateRole",
            {"RoleName": "a b", "AssumeRolePolicyDocument": document(_ASSUMABLE)},
            "ValidationError", model("roleNameType")),
    Refusal("a role's name of 65 characters", "iam", "CreateRole",
            {"RoleName": "x" * 65, "AssumeRolePolicyDocument": document(_ASSUMABLE)},
            "ValidationError", model("roleNameType")),
    Refusal("a session of five minutes", "iam", "CreateRole",
            {"RoleName": "refused", "AssumeRolePolicyDocument": document(_ASSUMABLE), "MaxSessionDuration": 300},
            "ValidationError", model("roleMaxSessionDurationType")),
    Refusal("a trust policy that is no JSON", "iam", "CreateRole",
            {"RoleName": "refused", "AssumeRolePolicyDocument": "{"},
            "MalformedPolicyDocument", LISTED),
    Refusal("trust in a role that does not exist", "iam", "CreateRole",
            {"RoleName": "refused",
             "AssumeRolePolicyDocument": document(allow(Action="sts:AssumeRole", Principal={"AWS": _NOBODY}))},
            "MalformedPolicyDocument", unverified("known of the user guide's page on the element Principal")),
    Refusal("a second role of a name", "iam", "CreateRole",
            {"RoleName": "$role_name", "AssumeRolePolicyDocument": document(_ASSUMABLE)},
            "EntityAlreadyExists", LISTED),
    Refusal("an action without its service", "iam", "PutRolePolicy",
            {"RoleName": "$role_name", "PolicyName": "p", "PolicyDocument": document(
                allow(Action="GetObject", Resource="*"))},
            "MalformedPolicyDocument",
            answered("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")),
    Refusal("a statement without a resource", "iam", "PutRolePolicy",
            {"RoleName": "$role_name", "PolicyName": "p", "PolicyDocument": document(allow(Action="s3:GetObject"))},
            "MalformedPolicyDocument", unverified("known of the user guide's page on the element Resource")),
    Refusal("inline policies of more than 10,240 characters", "iam", "PutRolePolicy",
            {"RoleName": "$role_name", "PolicyName": "p", "PolicyDocument": document(
                allow(Action="s3:GetObject", Resource=[f"arn:aws:s3:::{n:0>60}" for n in range(160)]))},
            "LimitExceeded", answered("Maximum policy size of 10240 bytes exceeded for role")),
    Refusal("a role with policies deleted", "iam", "DeleteRole", {"RoleName": "$role_name"},
            "DeleteConflict", LISTED),
    # -- KMS
    Refusal("an unknown usage", "kms", "CreateKey", {"KeyUsage": "ADMIRE"},
            "ValidationException", model("KeyUsageType")),
    Refusal("a key policy that names a role that does not exist", "kms", "CreateKey",
            {"Policy": document(allow(Action="kms:*", Principal={"AWS": _NOBODY}, Resource="*"))},
            "MalformedPolicyDocumentException",
            reference("CreateKeyRequest.Policy", "must exist and be visible to KMS")),
    Refusal("a key policy that locks everybody out", "kms", "PutKeyPolicy",
            {"KeyId": "$key", "PolicyName": "default", "Policy": document(
                allow(Action="kms:Encrypt", Principal={"AWS": "arn:aws:iam::123456789012:root"}, Resource="*"))},
            "MalformedPolicyDocumentException",
            reference("PutKeyPolicyRequest.Policy", "must allow the calling principal to make a subsequent")),
    Refusal("a deletion in three days", "kms", "ScheduleKeyDeletion", {"KeyId": "$key", "PendingWindowInDays": 3},
            "ValidationException",
            reference("ScheduleKeyDeletionRequest.PendingWindowInDays", "between 7 and 30, inclusive")),
    Refusal("a rotation every ten days", "kms", "EnableKeyRotation", {"KeyId": "$key", "RotationPeriodInDays": 10},
            "ValidationException", model("RotationPeriodInDaysType")),
    Refusal("an alias of AWS's own", "kms", "CreateAlias", {"AliasName": "alias/aws/rds", "TargetKeyId": "$key"},
            "NotAuthorizedException", reference("CreateAliasRequest.AliasName", "prefix is reserved")),
    Refusal("a second alias of a name", "kms", "CreateAlias", {"AliasName": "$alias", "TargetKeyId": "$key"},
            "AlreadyExistsException", LISTED),
    Refusal("a replica of a key for one region", "kms", "ReplicateKey",
            {"KeyId": "$key", "ReplicaRegion": "af-south-1"},
            "UnsupportedOperationException", reference("ReplicateKey", "based on a multi-Region primary key")),
    Refusal("encryption with a disabled key", "kms", "Encrypt", {"KeyId": "$disabled_key", "Plaintext": b"x"},
            "DisabledException", LISTED),
    # -- Secrets Manager
    Refusal("a secret's name with a space", "secretsmanager", "CreateSecret", {"Name": "a b", "SecretString": "x"},
            "ValidationException",
            reference("CreateSecretRequest.Name", "can contain ASCII letters, numbers, and the following")),
    Refusal("a second secret of a name", "secretsmanager", "CreateSecret", {"Name": "$secret_name"},
            "ResourceExistsException", LISTED),
    Refusal("a value of 70,000 bytes", "secretsmanager", "PutSecretValue",
            {"SecretId": "$secret", "SecretString": "x" * 70000},
            "ValidationException", model("SecretStringType")),
    Refusal("a recovery window of three days", "secretsmanager", "DeleteSecret",
            {"SecretId": "$secret", "RecoveryWindowInDays": 3},
            "InvalidParameterException", reference("DeleteSecretRequest.RecoveryWindowInDays", "from 7 to 30")),
    # -- EC2
    Refusal("a network of /8", "ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/8"},
            "InvalidVpc.Range", unverified("known of the user guide's page on CIDR blocks: /16 to /28")),
    Refusal("a subnet outside of its network", "ec2", "CreateSubnet", {"VpcId": "$vpc", "CidrBlock": "192.168.0.0/24"},
            "InvalidSubnet.Range", answered("The CIDR '192.168.0.0/24' is invalid")),
    Refusal("a subnet over another", "ec2", "CreateSubnet", {"VpcId": "$vpc", "CidrBlock": "10.0.0.0/25"},
            "InvalidSubnet.Conflict",
            reference("CreateSubnet", "must not overlap the CIDR block of an existing subnet")),
    Refusal("a zone of another region", "ec2", "CreateSubnet",
            {"VpcId": "$vpc", "CidrBlock": "10.0.99.0/24", "AvailabilityZone": "af-south-1a"},
            "InvalidParameterValue", unverified("the reference does not say it")),
    Refusal("a second group of a name", "ec2", "CreateSecurityGroup",
            {"GroupName": "alb", "Description": "again", "VpcId": "$vpc"},
            "InvalidGroup.Duplicate",
            reference("CreateSecurityGroup", "You can't have two security groups for the same VPC with the same name")),
    Refusal("a group's description with an umlaut", "ec2", "CreateSecurityGroup",
            {"GroupName": "refused", "Description": "für alle", "VpcId": "$vpc"},
            "InvalidParameterValue",
            reference("CreateSecurityGroupRequest.Description", "Valid characters: a-z, A-Z, 0-9")),
    Refusal("a group's name that looks like an id", "ec2", "CreateSecurityGroup",
            {"GroupName": "sg-refused", "Description": "x", "VpcId": "$vpc"},
            "InvalidParameterValue", reference("CreateSecurityGroupRequest.GroupName", "Can't start with sg-")),
    Refusal("port 70000", "ec2", "AuthorizeSecurityGroupIngress", _open(ToPort=70000),
            "InvalidParameterValue", unverified("the reference does not say it")),
    Refusal("a range of ports that ends before it begins", "ec2", "AuthorizeSecurityGroupIngress",
            _open(FromPort=443, ToPort=80),
            "InvalidParameterValue", reference("IpPermission.ToPort", "the end of the port range")),
    Refusal("the same rule again", "ec2", "AuthorizeSecurityGroupIngress",
            {**_open(), "GroupId": "$open_group"},
            "InvalidPermission.Duplicate", unverified("known of the API reference's page of error codes")),
    Refusal("a rule for a group that does not exist", "ec2", "AuthorizeSecurityGroupIngress",
            {**_open(), "GroupId": "sg-0123456789abcdef0"},
            "InvalidGroup.NotFound", unverified("known of the API reference's page of error codes")),
    Refusal("an unknown kind of endpoint", "ec2", "CreateVpcEndpoint",
            {"VpcId": "$vpc", "ServiceName": "com.amazonaws.eu-west-1.s3", "VpcEndpointType": "Bridge"},
            "InvalidParameterValue", model("VpcEndpointType")),
    Refusal("a tag of AWS's own", "ec2", "CreateTags",
            {"Resources": ["$vpc"], "Tags": [{"Key": "aws:owner", "Value": "x"}]},
            "InvalidParameterValue", reference("Tag.Key", "May not begin with aws:")),
    Refusal("a network with subnets deleted", "ec2", "DeleteVpc", {"VpcId": "$vpc"},
            "DependencyViolation", reference("DeleteVpc", "You must detach or delete all gateways and resources")),
    # -- Route 53
    Refusal("an unknown action", "route53", "ChangeResourceRecordSets", _records(_record(), action="PUT"),
            "InvalidInput", model("ChangeAction")),
    Refusal("an alias name at the apex by CNAME", "route53", "ChangeResourceRecordSets",
            _records(_record("example.org", "CNAME")),
            "InvalidChangeBatch", answered("RRSet of type CNAME with DNS name … is not permitted at apex in zone")),
    Refusal("a record of another zone", "route53", "ChangeResourceRecordSets", _records(_record("www.example.com")),
            "InvalidChangeBatch", unverified("the reference only says that messages name the reason")),
    Refusal("a record that exists already", "route53", "ChangeResourceRecordSets",
            _records(_record("taken.example.org")),
            "InvalidChangeBatch", reference("ChangeResourceRecordSets", "CREATE : Creates a resource record set")),
    Refusal("a record without a time to live", "route53", "ChangeResourceRecordSets",
            _records({key: value for key, value in _record().items() if key != "TTL"}),
            "InvalidInput",
            answered("Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], …], but found none")),
    Refusal("failover without an identifier", "route53", "ChangeResourceRecordSets",
            _records(_record(Failover="PRIMARY", HealthCheckId="x")),
            "InvalidInput",
            reference("ResourceRecordSet.SetIdentifier",
                      "Resource record sets that have a routing policy other than simple")),
    Refusal("a time to live of an alias", "route53", "ChangeResourceRecordSets",
            _records({"Name": "refused.example.org", "Type": "A", "TTL": 60, "AliasTarget": {
                "HostedZoneId": "Z1", "DNSName": "x.example.org", "EvaluateTargetHealth": False}}),
            "InvalidInput", reference("ResourceRecordSet.TTL", "alias resource record set, omit TTL")),
    Refusal("a check every 20 seconds", "route53", "CreateHealthCheck", _check(RequestInterval=20),
            "InvalidInput",
            unverified("the reference's model only says 10 to 30; 10 or 30 is known of the developer guide")),
    Refusal("eleven failures", "route53", "CreateHealthCheck", _check(FailureThreshold=11),
            "InvalidInput", model("FailureThreshold")),
    Refusal("a string match without a string", "route53", "CreateHealthCheck", _check(Type="HTTPS_STR_MATCH"),
            "InvalidInput",
            reference("HealthCheckConfig.SearchString", "If the value of Type is HTTP_STR_MATCH or HTTPS_STR_MATCH")),
)  # fmt: skip
