"""`spatial-mllm bench NAME`: run one of the benchmarks in `spatial_mllm_ros.bench`.

A benchmark is a module with `HELP`, `add_arguments(parser)` and `run(args) -> exit status`.
"""

from __future__ import annotations

import argparse
import importlib

__all__ = ["add_arguments", "run"]

BENCHMARKS = ("sampling", "coverage", "model", "encoders", "latency", "budget", "soak")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one subcommand per benchmark."""
    subparsers = parser.add_subparsers(required=True, metavar="NAME")
    for name in BENCHMARKS:
        module = importlib.import_module(f"spatial_mllm_ros.bench.{name}")
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(subparser)
        subparser.set_defaults(run_benchmark=module.run)


def run(args: argparse.Namespace) -> int:
    """Run the chosen benchmark."""
    return args.run_benchmark(args)
