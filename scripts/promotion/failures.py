"""What goes wrong once something was changed, in words: running the same command again continues in every case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from scripts.errors import CredentialsError, IncompleteError

EXPIRED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthFailure",
)
NEW_CREDENTIALS = (
    "Get new credentials for this account, then run the same command again: it continues. Session tokens must come "
    "from a regional STS endpoint: an opt-in region takes no others unless the account says so."
)
AGAIN = "What was made stays: run the same command again, it continues."


@contextmanager
def continuing() -> Iterator[None]:
    """Turn what is raised after the first change into one message and the right exit code."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        said = f"AWS refused {error.operation_name}: {code}: {error.response['Error'].get('Message', '')}"
        raise of_credentials(said) if code in EXPIRED else IncompleteError(said, AGAIN) from error
    except NoCredentialsError as error:
        raise of_credentials(str(error)) from error
    except BotoCoreError as error:
        raise IncompleteError(f"AWS could not be reached: {error}", AGAIN) from error


def of_credentials(said: str) -> CredentialsError:
    """Expired credentials are told apart: new ones mend everything."""
    return CredentialsError(f"The credentials are no longer taken. {said}", NEW_CREDENTIALS)
