"""The command line: each kind of failure is one message and an exit code of its own, never a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from sandbox import supervisor
from sandbox.supervisor import SandboxFailed
from scripts import console, dr, errors, processes
from scripts import sandbox as task
from scripts.project import CHECKOUT
from scripts.sandbox import Running


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `dr` as a person does."""
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "scripts.dr", *arguments], cwd=CHECKOUT, env=environment, capture_output=True, text=True
    )


def subclasses(kind: type[errors.DrError]) -> list[type[errors.DrError]]:
    return [found for direct in kind.__subclasses__() for found in (direct, *subclasses(direct))]


def test_each_kind_of_failure_has_an_exit_code_of_its_own() -> None:
    codes = [errors.DrError.exit_code, *(kind.exit_code for kind in subclasses(errors.DrError))]
    assert len(set(codes)) == len(codes)
    assert not {0, 2, 130, 143} & set(codes)  # success, wrong usage, signals


@pytest.mark.parametrize("kind", subclasses(errors.DrError), ids=lambda kind: kind.__name__)
def test_a_failure_ends_with_its_code_and_one_message(
    kind: type[errors.DrError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise kind("it broke [here]", "do that")

    monkeypatch.setattr(dr, "app", fail)
    monkeypatch.setattr(dr, "ENDING", ())
    with pytest.raises(SystemExit) as ended:
        dr.main()
    assert ended.value.code == kind.exit_code
    assert capsys.readouterr().err == "✗ it broke [here]\n  do that\n"


def test_a_sandbox_that_fails_is_a_failure_of_the_sandbox(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise SandboxFailed("the cloud ended")

    monkeypatch.setattr(dr, "app", fail)
    monkeypatch.setattr(dr, "ENDING", ())
    with pytest.raises(SystemExit) as ended:
        dr.main()
    assert ended.value.code == errors.SandboxError.exit_code
    assert "the cloud ended" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("rehearse", "region-loss", "--fault", "meteor"),
            "'meteor' is not one of 'standard-service', 'side-resource'",
        ),
        (("rehearse", "region-loss", "--seed", "soon"), "'--seed': Input should be a valid integer"),
        (("rehearse", "region-loss", "--speed", "0"), "'--speed': Input should be greater than or equal to 1"),
        (("rehearse", "flood"), "No such command 'flood'"),
        (("sandbox", "cut"), "Missing argument 'region'"),
        (("rehearse", "faults", "--only", "nope"), "'--only': 'nope' is not one of 'copies-unusable', "),
    ],
)
def test_wrong_usage_is_told_with_what_is_allowed(arguments: tuple[str, ...], told: str) -> None:
    ended = command(*arguments)
    assert ended.returncode == 2
    assert told in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


def test_help_names_every_task() -> None:
    shown = command("--help").stdout
    for name in ("bootstrap", "bench", "sandbox", "rehearse"):
        assert name in shown


@pytest.mark.parametrize(
    "arguments", [(), ("promote",), ("status",), ("bootstrap",), ("rehearse", "region-loss"), ("sandbox", "export")]
)
def test_help_begins_with_examples_that_can_be_typed(arguments: tuple[str, ...]) -> None:
    shown = command(*arguments, "--help").stdout
    examples, _, _ = shown.partition("Options")
    typed = re.findall(r"^ {5}(\S.*)$", examples, re.MULTILINE)
    assert typed, "examples come before the options, indented"
    for line in typed:
        assert line.startswith(("dr ", "cfn-lint "))


# -- dr sandbox, without a sandbox --------------------------------------------------------------------------------
@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state file of its own: no sandbox of the checkout is looked at or stopped."""
    path = tmp_path / "state.json"
    monkeypatch.setattr(task, "STATE", path)
    return path


def running(state: Path, project: Path = CHECKOUT) -> Running:
    """Pretend that this very process holds a sandbox."""
    found = Running(os.getpid(), processes.born(os.getpid()) or 0.0, str(project.parent), 1, 2, 12.0)
    state.write_text(json.dumps(asdict(found)))
    return found


@pytest.mark.usefixtures("state")
def test_without_a_sandbox_each_task_says_how_to_start_one() -> None:
    for attempt in (task.env, lambda: task.cut("eu-west-1"), lambda: task.restore("eu-west-1")):
        with pytest.raises(errors.RefusedError, match="No sandbox is running") as refused:
            attempt()
        assert refused.value.hint == "Start one with `dr sandbox start`."


@pytest.mark.usefixtures("state")
def test_status_and_stop_without_a_sandbox_are_no_failures(capsys: pytest.CaptureFixture[str]) -> None:
    task.status(as_json=True)
    assert json.loads(capsys.readouterr().out) == {"running": False}
    task.status(as_json=False)
    task.stop()
    shown = capsys.readouterr()
    assert "No sandbox is running." in shown.out
    assert "No sandbox is running." in shown.err


def test_a_second_sandbox_is_refused(state: Path) -> None:
    held = running(state)
    with pytest.raises(errors.RefusedError, match=f"running already \\(process {held.pid}"):
        task.start(12.0)
    assert task.find() == held


def test_a_sandbox_that_crashed_is_forgotten(state: Path) -> None:
    held = asdict(running(state))
    state.write_text(json.dumps({**held, "born": held["born"] - 3600}))  # another process of the same number
    assert task.find() is None
    assert not state.exists()


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', '{"pid": OURS, "born": "Mon"}'])
def test_a_damaged_state_file_is_no_sandbox(state: Path, text: str) -> None:
    state.write_text(text.replace("OURS", str(os.getpid())))
    assert task.find() is None


def test_a_region_that_is_not_ours_is_refused(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").symlink_to(CHECKOUT)
    running(state, tmp_path / "project")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the sandbox was asked")

    monkeypatch.setattr(supervisor, "control", never)
    for attempt in (task.cut, task.restore):
        with pytest.raises(errors.RefusedError, match="allowed: af-south-1, eu-west-1"):
            attempt("us-east-1")


def test_env_prints_only_shell_lines(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = running(state)
    task.env()
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("unset AWS_PROFILE")
    assert lines[-1] == f"cd {held.project}"
    assert all(line.startswith("export ") for line in lines[1:-1])
    assert f"export AWS_ENDPOINT_URL={held.endpoint}" in lines
    assert shown.err == ""


def test_progress_and_failures_stay_off_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    console.step("a step [x]", "about 1 s")
    console.note("a note")
    console.done("done")
    console.warn("careful")
    console.table("t", ("a",), [("[b]",)])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "a step [x] (about 1 s)" in shown.err
    assert "[b]" in shown.err
    console.plain("[bold]as it is[/bold]")
    assert capsys.readouterr().out == "[bold]as it is[/bold]\n"
