"""Reads a configuration file strictly: what YAML would let pass is a fault here, with file and line."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError


class FileFault(ValueError):
    """A file that cannot be used; the text says which, where in it, and what to do."""


def read(path: Path) -> dict[str, Any]:
    """The file's content as plain objects. Raises FileFault where it is missing, no YAML, or says a thing twice.

    A key that stands twice is the dangerous one: other readers take the last value without a word.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise FileFault(
            f"{path.name} does not exist in {path.parent}: run this in a checkout of the project, or restore the file "
            "from git."
        ) from None
    except DuplicateKeyError as error:
        # Without the values that the library names: one of them may be a secret.
        key = str(error.problem).partition(" with value")[0]
        raise FileFault(f"{_place(path, error)}: {key}. Keep one of the two.") from None
    except MarkedYAMLError as error:
        raise FileFault(f"{_place(path, error)}: {error.problem or error.context}. {_way_out(error)}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise FileFault(f"{path.name} is no YAML file: {error}. Restore it from git.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise FileFault(f"{path.name} must hold keys and values, it holds {type(content).__name__}.")
    return content


def _place(path: Path, error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{path.name}, line {mark.line + 1}" if mark else path.name


def _way_out(error: MarkedYAMLError) -> str:
    if "\\t" in str(error.problem):
        return "Indent with spaces, YAML allows no tabs."
    return "Correct it, or restore the file from git."
