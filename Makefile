# Everything is set up inside the checkout (.venv, .tools) by the first target that needs it; docs/development.md explains.
#   make rehearse ARGS='--seed 7'      make test ARGS='tests/components -k names'      make PYTHON=/path/to/python3.12 setup

.DEFAULT_GOAL := help
.PHONY: help setup rehearse test check bench format docs requirements

help:
	@echo 'make rehearse      lose the primary region in a sandbox, promote the standby, write a report'
	@echo 'make test          all tests'
	@echo 'make check         format, lint, types, workflows'
	@echo 'make bench         how close a promotion comes to the waits that AWS imposes'
	@echo 'make format        format the code and fix what can be fixed'
	@echo 'make docs          write docs/commands.md, docs/diagram.md and docs/access.md anew'
	@echo 'make requirements  pin the packages of requirements.in anew'

setup:
	@sh tools/setup.sh

rehearse: setup
	@.venv/bin/dr rehearse region-loss $(ARGS)

test: setup
	.venv/bin/pytest --numprocesses auto --dist loadgroup $(ARGS)

bench: setup
	@.venv/bin/dr bench $(ARGS)

check:
	@sh tools/setup.sh --checks
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	@sh tools/check-workflows.sh

format: setup
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

docs: setup
	.venv/bin/python -m typer scripts.dr utils docs --name dr --title 'The dr command' > docs/commands.md
	.venv/bin/python -m tests.components.diagram > docs/diagram.md
	.venv/bin/python -m tests.components.access_page > docs/access.md

requirements: setup
	@sh tools/requirements.sh
