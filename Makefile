# `make demo` and `make test` each start from a bare machine: they set up what is missing, then run. `make help` lists all.
#
#   make test ARGS="test/frames -k buffer"   passes arguments on (to pytest, the demo or the doctor)
#   make test PYTHON=python3.12              makes the virtual environment anew with that Python
#
# Tests and demo run the modules of this checkout with the interfaces that colcon installed: tools/env.sh puts the
# checkout before install/ on PYTHONPATH, and spatial_mllm_ros/__init__.py looks for sub-packages in both.

PYTHON ?= $(firstword $(wildcard .venv/bin/python) python3)
ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help setup build demo test test-fast lint doctor clean
unexport PYTHONHOME PYTHONSAFEPATH

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup:  ## virtual environment with everything the project needs (ROS 2 too, where none is sourced)
	@$(PYTHON) tools/bootstrap.py setup

build:  ## setup, then colcon build
	@$(PYTHON) tools/bootstrap.py build

demo: build  ## play a bag through the node, ask it about the room, print answers beside the truth and what they cost
	@tools/run python -m spatial_mllm_ros.ros.demo $(ARGS)

test: build  ## all tests, slow ones and those over a real ROS graph included
	@tools/run pytest $(ARGS)

test-fast: build  ## unit tests only, a minute or two
	@tools/run pytest -m "not slow and not ros" $(ARGS)

lint: setup  ## style and common mistakes
	@tools/run ruff check .

doctor: build  ## what was found on this machine, and how to get what is missing
	@tools/run spatial-mllm doctor $(ARGS)

clean:  ## remove all that the targets above made
	rm -rf .venv .cache build install log out .pytest_cache .hypothesis .ruff_cache
