"""Objects keep what was put, in a fraction of the memory."""

from __future__ import annotations

import hashlib
import inspect
import json
import tempfile

import pytest
from moto.s3.models import FakeKey, S3Backend

from sandbox.cloud.emulations.object_content import Content
from tests.sandbox import traffic_world

STATE = json.dumps(
    [{"urn": f"urn:pulumi:kenya::resource-{number}", "outputs": {}} for number in range(20_000)]
).encode()


def test_a_stacks_state_takes_a_tenth_of_its_size() -> None:
    content = Content()
    content.write(STATE)
    assert len(content._packed) < len(STATE) / 10
    content.seek(0)
    assert content.read() == STATE


@pytest.mark.parametrize("make", [Content, tempfile.SpooledTemporaryFile], ids=["ours", "python's"])
def test_it_behaves_as_the_file_that_it_stands_for(make: type[Content]) -> None:
    file = make()
    file.write(b"abcdef")
    file.seek(2)
    assert (file.read(3), file.read(), file.read()) == (b"cde", b"f", b"")
    file.seek(3)
    file.truncate()
    file.write(b"xy")
    file.seek(0)
    assert file.read() == b"abcxy"
    file.close()


def test_an_object_is_what_was_put_in_every_version() -> None:
    with traffic_world.running() as world:
        s3 = world.client("s3", "eu-west-1")
        s3.create_bucket(Bucket="state", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_versioning(Bucket="state", VersioningConfiguration={"Status": "Enabled"})
        made = [s3.put_object(Bucket="state", Key="kenya.json", Body=STATE + bytes([number])) for number in range(3)]
        for number, put in enumerate(made):
            got = s3.get_object(Bucket="state", Key="kenya.json", VersionId=put["VersionId"])
            body = got["Body"].read()
            assert body == STATE + bytes([number])
            assert got["ETag"] == f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        for _ in range(2):  # what a listing marks as the latest is the listing's own
            listed = s3.list_object_versions(Bucket="state")["Versions"]
            assert [(entry["VersionId"], entry["ETag"]) for entry in listed] == [
                (put["VersionId"], put["ETag"]) for put in reversed(made)
            ]
            assert [entry["IsLatest"] for entry in listed] == [True, False, False]


def test_moto_lists_what_is_copied_without_content() -> None:
    """The method through which `install` keeps contents from being copied must be the one that a listing uses."""
    assert "copy.deepcopy(version_key)" in inspect.getsource(S3Backend.list_object_versions)


def test_moto_still_keeps_contents_where_they_are_replaced() -> None:
    """The name that `install` replaces in moto must be the one that objects are made with."""
    assert "SpooledTemporaryFile" in FakeKey.__init__.__code__.co_names
    assert "tempfile" in FakeKey.__init__.__code__.co_names
