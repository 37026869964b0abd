"""Every way in which a `dr` task can fail, each with its own exit code.

A task raises one of these with a message that says what is wrong and what to do about it; `scripts/dr.py` prints
the message and ends with the code. Exit code 2 is left to the command line parser (wrong usage), 130 to Ctrl-C.
"""


class DrError(Exception):
    """Base of all errors that are explained to the user without a traceback."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RefusedError(DrError):
    """A precondition does not hold: nothing was changed."""

    exit_code = 3


class NotConfirmedError(DrError):
    """The typed name was missing or wrong: nothing was changed."""

    exit_code = 4


class SandboxError(DrError):
    """The emulated cloud did not start, stopped, or answered with an error."""

    exit_code = 5


class PulumiError(DrError):
    """The `pulumi` command failed."""

    exit_code = 6


class AwsError(DrError):
    """A call to AWS failed."""

    exit_code = 8


class IncompleteError(DrError):
    """Something was changed, but not everything: running the task again continues."""

    exit_code = 9


class ChecksFailedError(DrError):
    """A rehearsal or verification ran to its end and at least one check does not hold."""

    exit_code = 10


class CredentialsError(DrError):
    """Credentials are missing, expired or refused: get new ones and run the task again, which continues."""

    exit_code = 11


class LockedError(DrError):
    """Another deployment holds the stack's lock, or may still hold it: nothing was changed."""

    exit_code = 12


class PrimaryAnswersError(DrError):
    """The primary still answers as healthy, and nobody said that it is lost all the same: nothing was changed."""

    exit_code = 13


class NotMeasuredError(DrError):
    """The bench ran to its end, but something could not be measured: what could is written down."""

    exit_code = 14
