"""The stand-in for the AWS CLI reads command lines by AWS's models, and refuses what they do not know."""

import pytest

from tests.e2e import aws_command


def test_a_command_line_becomes_a_call() -> None:
    call = aws_command.parse(
        ["rds", "describe-db-snapshots", "--snapshot-type", "manual", "--region", "af-south-1", "--output", "text"]
    )
    assert (call.service, call.method, call.parameters) == ("rds", "describe_db_snapshots", {"SnapshotType": "manual"})
    assert call.chosen == {"region": "af-south-1", "query": "@", "output": "text"}


def test_values_have_the_types_of_the_model() -> None:
    call = aws_command.parse(
        ["s3api", "put-object", "--bucket", "b", "--key", "k", "--body", "probe.txt", "--bucket-key-enabled"]
    )
    assert call.parameters == {"Bucket": "b", "Key": "k", "Body": "probe.txt", "BucketKeyEnabled": True}
    assert (call.service, sorted(call.files)) == ("s3", ["Body"])
    listed = aws_command.parse(["ecs", "describe-services", "--cluster", "c", "--services", "a", "b"])
    assert listed.parameters == {"cluster": "c", "services": ["a", "b"]}


def test_a_list_of_structures_is_json() -> None:
    tags = """[{"Key": "k", "Value": "v"}]"""
    call = aws_command.parse(["rds", "add-tags-to-resource", "--resource-name", "arn", "--tags", tags])
    assert call.parameters == {"ResourceName": "arn", "Tags": [{"Key": "k", "Value": "v"}]}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("rds describe-snapshots", "aws rds has no describe-snapshots"),
        ("rds describe-db-snapshots --kind manual", "has no --kind"),
        ("s3api put-object --bucket b", 'Missing required parameter in input: "Key"'),
        ("rds describe-db-snapshots manual", "manual belongs to no option"),
    ],
)
def test_what_aws_does_not_know_is_refused(line: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        aws_command.parse(line.split())


def test_answers_are_printed_as_the_cli_does() -> None:
    assert aws_command.shown("ENABLED", "text") == "ENABLED"
    assert aws_command.shown([["a", 1], ["b", 2]], "text") == "a\t1\nb\t2"
    assert aws_command.shown({"a": 1}, "json") == '{\n    "a": 1\n}'
    assert aws_command.shown({}, "json") == "", "nothing is printed of an empty answer"
