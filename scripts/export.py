"""`dr sandbox export`: what a stack asked AWS for, as a CloudFormation template that other tools can judge."""

from __future__ import annotations

import json
from pathlib import Path

from sandbox import supervisor
from scripts import console, project, sandbox
from scripts.errors import RefusedError
from scripts.template import build


def run(stack: str, output: Path | None) -> None:
    """Print the template of `stack` in the running sandbox, or write it to `output`. Secrets are masked."""
    running = sandbox.need()
    stacks = {found.stack: found for found in project.load(running.project).stacks}
    if stack not in stacks:
        raise RefusedError(f"{stack} is no stack of this project; allowed: {', '.join(stacks)}.")
    entries = supervisor.control(running.endpoint, "GET", "requests")
    template = build.template(entries, stack, stacks[stack].region)
    if not template["Resources"]:
        raise RefusedError(
            f"Nothing of {stack} was asked for in this sandbox yet.", f"Run `pulumi up -s {stack}` first."
        )
    text = json.dumps(template, indent=2)
    if output is None:
        console.plain(text)
        return
    output.write_text(text + "\n", encoding="utf-8")
    console.done(f"{len(template['Resources'])} resources of {stack} are in {output}.")
