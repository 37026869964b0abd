"""The pages in docs/ that tell what the command line tells: they cannot drift from it."""

import inspect
import subprocess
import sys

from scripts import errors
from scripts.project import CHECKOUT

DOCS = CHECKOUT / "docs"


def kinds_of_failure() -> list[type[errors.DrError]]:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.DrError)]
    return sorted(found, key=lambda kind: kind.exit_code)


def test_the_page_of_commands_is_what_the_command_says() -> None:
    command = [
        sys.executable,
        "-m",
        "typer",
        "scripts.dr",
        "utils",
        "docs",
        "--name",
        "dr",
        "--title",
        "The dr command",
    ]
    said = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert (DOCS / "commands.md").read_text().strip() == said.strip(), "make docs writes it anew"


def test_every_exit_code_is_one_failure_and_is_explained() -> None:
    codes = [kind.exit_code for kind in kinds_of_failure()]
    assert len(codes) == len(set(codes))
    page = (DOCS / "exit-codes.md").read_text()
    for kind in kinds_of_failure()[1:]:
        assert f"| {kind.exit_code} | {inspect.getdoc(kind)} |" in page
