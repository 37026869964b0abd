"""What goes wrong once something was changed, in words: running the same command again continues in every case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from scripts.errors import CredentialsError, DrError, IncompleteError, PulumiError

EXPIRED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
)
NEW_CREDENTIALS = "Get new credentials for this account, then run the same command again: it continues."
AGAIN = "What was made stays: run the same command again, it continues."


def expired(text: str) -> str | None:
    """AWS's code for credentials that are no longer taken, where an output mentions one."""
    return next((code for code in EXPIRED if code in text), None)


@contextmanager
def continuing() -> Iterator[None]:
    """Turn what is raised after the first change into one message and the right exit code."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = f"AWS refused {error.operation_name}: {code}: {error.response['Error'].get('Message', '')}"
        raise _of_credentials(said) if code in EXPIRED else IncompleteError(said, AGAIN) from error
    except NoCredentialsError as error:
        raise _of_credentials(str(error)) from error
    except BotoCoreError as error:
        raise IncompleteError(f"AWS could not be reached: {error}", AGAIN) from error
    except PulumiError as error:
        raise of_pulumi(error.message) from error


def of_pulumi(said: str) -> DrError:
    """The error for a `pulumi` that failed: expired credentials are told apart, because they mend everything."""
    return _of_credentials(said) if expired(said) else PulumiError(said, AGAIN)


def _of_credentials(said: str) -> CredentialsError:
    return CredentialsError(f"The credentials are no longer taken. {said}", NEW_CREDENTIALS)
