"""The set-up's decisions: which engine is taken, which step is skipped, what is said when something is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import setup

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point everything that the set-up writes into an empty folder, with nothing on PATH but a folder for fakes."""
    built = tmp_path / ".tools"
    for name, path in {
        "VENV": tmp_path / ".venv",
        "BUILT": built,
        "BIN": built / "bin",
        "LIBEXEC": built / "libexec",
        "LOGS": built / "logs",
        "STAMPS": built / "stamps",
    }.items():
        monkeypatch.setattr(setup, name, path)
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", f"{built / 'bin'}{os.pathsep}{tmp_path / 'path'}")
    return tmp_path


def fake(path: Path, answer: str) -> None:
    """Put a program there that prints an answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
    path.chmod(0o755)


def test_without_engine_and_without_go_says_what_to_install(checkout: Path) -> None:
    with pytest.raises(setup.SetupError) as refusal:
        setup.make_engine()
    message = str(refusal.value)
    assert f"Install Pulumi {setup.engine_version()} or newer" in message
    assert "or Go 1.25 or newer" in message


@pytest.mark.parametrize("version", [setup.engine_version(), "3.999.1", "4.0.0"])
def test_takes_the_engine_of_the_machine(checkout: Path, version: str, capsys: pytest.CaptureFixture[str]) -> None:
    fake(checkout / "path" / "pulumi", f"v{version}")
    fake(checkout / "path" / "pulumi-language-python", "")
    setup.make_engine()
    assert "using the engine on PATH" in capsys.readouterr().out
    setup.make_engine()
    assert capsys.readouterr().out == ""
    assert list((checkout / ".tools" / "bin").iterdir()) == []


def test_an_older_engine_is_not_taken(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake(checkout / "path" / "pulumi", "v3.100.0")
    fake(checkout / "path" / "pulumi-language-python", "")
    with pytest.raises(setup.SetupError):
        setup.make_engine()
    assert "is version 3.100.0, older than" in capsys.readouterr().out


def test_an_engine_without_language_host_is_not_taken(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake(checkout / "path" / "pulumi", "v3.999.0")
    with pytest.raises(setup.SetupError):
        setup.make_engine()
    assert "has no pulumi-language-python" in capsys.readouterr().out


def test_what_was_built_here_does_not_pass_as_the_machine_s_own(checkout: Path) -> None:
    fake(checkout / ".tools" / "bin" / "pulumi", "v3.999.0")
    fake(checkout / ".tools" / "bin" / "pulumi-language-python", "")
    assert setup.installed_engine() is None


def test_an_old_go_is_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake(checkout / "path" / "go", "go version go1.20.4 linux/amd64")
    assert setup.find_go() is None
    assert "too old" in capsys.readouterr().out


def test_actionlint_is_left_out_without_go(checkout: Path) -> None:
    fake(checkout / ".tools" / "bin" / "actionlint", "of an earlier day")
    setup.make_actionlint()
    assert not (checkout / ".tools" / "bin" / "actionlint").exists()


def test_a_failing_command_shows_the_end_of_its_output_and_the_advice(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "ROOT", checkout)
    with pytest.raises(setup.SetupError) as failure:
        setup.run(["/bin/sh", "-c", "echo no such host; exit 3"], log="trial", advice="Try again.")
    message = str(failure.value)
    assert "exit code 3" in message
    assert "no such host" in message
    assert "Try again." in message
    assert str(Path(".tools/logs/trial.log")) in message


def test_a_stamped_environment_is_left_alone(checkout: Path) -> None:
    interpreter = checkout / ".venv" / "bin" / "python"
    fake(interpreter, "")
    (checkout / ".venv" / ".requirements-stamp").write_text(setup.digest(ROOT / "requirements.txt"), encoding="utf-8")
    before = interpreter.stat().st_mtime_ns
    setup.make_environment()
    assert interpreter.stat().st_mtime_ns == before


def test_packages_are_compiled_once_for_each_set_of_requirements(checkout: Path) -> None:
    """Also where Python is told to write no bytecode by itself."""
    environment = checkout / ".venv"
    package = environment / "lib" / "python3.99" / "site-packages" / "pulumi"
    (package / "nested").mkdir(parents=True)
    (package / "nested" / "module.py").write_text("x = 1\n", encoding="utf-8")
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to(sys.executable)
    (environment / ".requirements-stamp").write_text("one", encoding="utf-8")

    def compiled() -> list[Path]:
        setup.compile_packages()
        return list(package.rglob("*.pyc"))

    (first,) = compiled()
    first.unlink()
    assert compiled() == []
    (environment / ".requirements-stamp").write_text("two", encoding="utf-8")
    assert compiled() == [first]


def test_the_launcher_runs_the_checkout_s_command_from_any_folder(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(setup, "ROOT", checkout)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (checkout / "scripts").mkdir()
    (checkout / "scripts" / "dr.py").write_text(
        "import os, sys; print(sys.argv, 'PYTHONPATH' in os.environ)\n", "utf-8"
    )
    setup.make_launcher()

    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "scripts").mkdir(parents=True)
    (elsewhere / "scripts" / "dr.py").write_text("print('the wrong one')\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(
        [checkout / ".venv" / "bin" / "dr", "status", "a b"],
        cwd=elsewhere,
        env={**environment, "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "['dr', 'status', 'a b'] False"


def test_no_python_is_said_in_one_message() -> None:
    answer = subprocess.run(
        ["/bin/sh", ROOT / "tools" / "setup.sh"],
        env={"PATH": os.defpath, "PYTHON": "no-such-python"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    assert "no Python 3.11 or newer found" in answer.stderr


@pytest.mark.timeout(60)
def test_an_interrupt_stops_what_the_set_up_started(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tools import setup\n"
        f"setup.ROOT = setup.BUILT = Path({str(tmp_path)!r}); setup.LOGS = setup.ROOT / 'logs'\n"
        "setup.make_environment = lambda: setup.run(['sleep', '50'], log='sleep', advice='')\n"
        "setup.compile_packages = setup.make_launcher = setup.make_engine = lambda: None\n"
        "sys.argv = ['setup']\n"
        "try:\n    setup.main()\nexcept KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        while not (tmp_path / "logs" / "sleep.log").exists():
            time.sleep(0.05)
        time.sleep(0.2)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    assert time.monotonic() - started < 10
