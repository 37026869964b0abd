"""`dr rehearse kills`: kill a restore with -9 inside each AWS call that it makes, and let the same command continue."""

from __future__ import annotations

import json
import time

from sandbox.supervisor import Sandbox
from scripts import console
from scripts.errors import ChecksFailedError
from scripts.prerequisites.aws import explained
from scripts.rehearsal import results
from scripts.rehearsal.kill_drill import KillDrill
from scripts.rehearse import shown, told

SCENARIO = "kills"


def run(speed: float) -> None:
    """The command. A result is written whatever ends it; raises ChecksFailedError where a promise is broken."""
    console.step("Killing a restore of the database inside each of its AWS calls", "about 20 min")
    directory = results.new_directory(SCENARIO)
    began, error = time.monotonic(), None
    with Sandbox(speed=speed) as box, explained():
        drill = KillDrill(box)
        try:
            drill.run()
        except BaseException as ended:
            error = told(ended)
            raise
        finally:
            document = {
                "scenario": SCENARIO,
                "ok": error is None and not drill.problems,
                "error": error,
                "speed": speed,
                "minutes": round((time.monotonic() - began) / 60, 1),
                **drill.as_json(),
            }
            (directory / "result.json").write_text(json.dumps(document, indent=2) + "\n")
            console.table("Killed inside", ("phase", "call"), [(kill.phase, kill.call) for kill in drill.kills])
            console.done(f"Result: {shown(directory / 'result.json')}")
    if drill.problems:
        raise ChecksFailedError("; ".join(drill.problems))
