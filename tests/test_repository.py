"""What must hold of the repository's files as such: nothing of one machine or registry, and no file out of hand."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
LINES_AT_MOST = 400
LARGEST_FILE = 1_000_000  # bytes; a binary would be larger

# Folders of one person's or one machine's own. The look-behind leaves web addresses alone.
MACHINE_PATH = re.compile(r"(?<![\w.$~-])/(?:root|work|home/\w+|Users/\w+)/")
PINNED_ACTION = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
LINK = re.compile(r"\]\(([^)\s]+)\)")
LOCK_FILES = [
    "requirements.in",
    "requirements.txt",
    *(
        f"tools/{module}/{name}"
        for module in ("actionlint", "language-python", "pulumi")
        for name in ("go.mod", "go.sum")
    ),
]


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files that git has or would take, without those that it ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def texts() -> list[tuple[str, str]]:
    """Return each tracked file's name and text."""
    return [(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in tracked()]


def workflows() -> list[Path]:
    return [path for path in tracked() if path.parent == ROOT / ".github" / "workflows"]


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs all tests")
def test_the_tests_of_a_file_share_a_process(request: pytest.FixtureRequest) -> None:
    """xdist writes the group into the id. Where it does not, tests run without what their file has set up."""
    assert request.node.nodeid.endswith(f"@{Path(__file__).name}")


def test_git_sees_the_repository() -> None:
    assert ROOT / "Makefile" in tracked()
    assert not [path for path in tracked() if ".venv" in path.parts or ".tools" in path.parts]


@pytest.mark.parametrize("name", LOCK_FILES)
def test_lock_files_name_no_registry(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)|proxy\.golang|pythonhosted", text)


def test_every_requirement_is_pinned_with_hashes() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(requirements) > 50
    for line in requirements:
        assert re.match(r"^[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line), line[:80]


def test_every_wanted_package_is_among_the_pinned() -> None:
    pinned = set(
        re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    wanted = re.findall(r"^([\w.-]+)", (ROOT / "requirements.in").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {re.sub(r"[._]", "-", name).lower() for name in wanted} <= pinned, "run `make requirements`"


def test_sdk_and_engine_have_one_version() -> None:
    module = (ROOT / "tools/pulumi/go.mod").read_text(encoding="utf-8")
    engine = re.search(r"pulumi/pkg/v3 v(\S+)", module)
    launchers = re.search(r"pulumi/sdk/v3 v(\S+)", module)
    package = re.search(r"^pulumi==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert engine is not None
    assert launchers is not None
    assert package is not None
    assert engine[1] == launchers[1] == package[1]


def test_no_path_of_a_machine() -> None:
    own = [str(ROOT), *([str(Path.home()) + "/"] if Path.home() != Path("/") else [])]
    found = [
        f"{name}: {line.strip()[:100]}"
        for name, text in texts()
        for line in text.splitlines()
        if MACHINE_PATH.search(line) or any(path in line for path in own)
    ]
    assert not found, "\n".join(found)


def test_files_stay_readable() -> None:
    folders = {"components", "scripts", "sandbox"}
    long = {
        name: count
        for name, text in texts()
        if name.endswith(".py") and name.split("/")[0] in folders and (count := len(text.splitlines())) > LINES_AT_MOST
    }
    assert not long, f"files of more than {LINES_AT_MOST} lines: {long}"


def test_no_binaries() -> None:
    binary = [str(path.relative_to(ROOT)) for path in tracked() if b"\0" in path.read_bytes()]
    large = [str(path.relative_to(ROOT)) for path in tracked() if path.stat().st_size > LARGEST_FILE]
    assert not binary
    assert not large


def test_every_page_is_on_the_map() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    pages = {f"docs/{path.name}" for path in tracked() if path.parent == ROOT / "docs"}
    assert len(pages) > 10
    assert pages <= {target.partition("#")[0] for target in linked}


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for path in tracked():
        if path.suffix != ".md":
            continue
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            file, _, section = target.partition("#")
            page = path.parent / file if file else path
            if not page.exists() or (section and section not in anchors(page)):
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert not broken, broken


def anchors(page: Path) -> set[str]:
    """What a section's heading becomes as the end of an address."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_workflows_pin_their_actions() -> None:
    uses = [
        line for path in workflows() for line in re.findall(r"uses:\s*(.+)$", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert uses
    for action in uses:
        assert PINNED_ACTION.match(action.strip()), action


def test_workflows_have_no_permissions_by_default() -> None:
    assert workflows()
    for path in workflows():
        document: dict[str, Any] = YAML(typ="safe").load(path)
        assert document["permissions"] == {}, path.name
        assert all("permissions" in job for job in document["jobs"].values()), path.name
