"""`spatial-mllm verify --fixture DIR`: compare the model on this machine with golden data, array by array.

Exit status 0 if every array is within its tolerance, 1 if one is not, 2 for bad input.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path

from spatial_mllm_ros.errors import InputError

__all__ = ["add_arguments", "run"]

_TABLE_WIDTH = 120  # columns; a narrower terminal wraps lines rather than hiding names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `verify`."""
    parser.add_argument("--fixture", type=Path, required=True, metavar="DIR", help="folder with golden data")
    parser.add_argument(
        "--checkpoint", metavar="PATH", help="folder or hub id of the checkpoint; the fixture's own if not given"
    )
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", default="cpu", help="where the model runs, such as cpu or cuda (default: cpu)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Compare, print, and say by the exit status whether all is well."""
    from spatial_mllm_ros.model import load_spatial_mllm
    from spatial_mllm_ros.model.golden import open_fixture
    from spatial_mllm_ros.model.verification import verify

    if not args.fixture.is_dir():
        raise InputError(f"{args.fixture}: is no folder")
    fixture = open_fixture(args.fixture)
    checkpoint = args.checkpoint or args.fixture / "checkpoint"
    model = load_spatial_mllm(
        checkpoint, args.device, args.dtype, geometry="geometry" in fixture.arrays, **fixture.sizes
    )
    checks = verify(model, fixture)
    failed = [check for check in checks if check.passed is False]
    machine = {"dtype": args.dtype, "device": args.device, **_versions()}
    if args.json:
        print(json.dumps({"passed": not failed, **machine, "arrays": [asdict(check) for check in checks]}, indent=2))
    else:
        _print_table(checks, args.fixture, machine)
    return 1 if failed else 0


def _versions() -> dict[str, str]:
    import torch
    import transformers

    return {"torch": torch.__version__, "transformers": transformers.__version__, "machine": platform.machine()}


def _print_table(checks: list, fixture: Path, machine: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for heading in ("file", "array", "largest error", "relative", "cosine", "tolerance", ""):
        table.add_column(heading, justify="left" if heading in ("file", "array", "") else "right", no_wrap=True)
    for check in checks:
        table.add_row(check.file, check.name, *_numbers(check), _verdict(check))
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    console.print(f"{fixture}: {', '.join(f'{key} {value}' for key, value in machine.items())}")
    console.print(table)
    for check in checks:
        if check.note:
            console.print(f"{check.file} {check.name}: {check.note}")
    counts = [sum(check.passed is value for check in checks) for value in (True, False, None)]
    console.print(f"{counts[0]} arrays match, {counts[1]} do not, {counts[2]} are not judged")


def _numbers(check) -> tuple[str, str, str, str]:
    if check.max_error is None:
        return "-", "-", "-", "-"
    bound = "exact" if check.tolerance == 0 else "cosine" if check.tolerance is None else f"{check.tolerance:.0e}"
    return f"{check.max_error:.2e}", f"{check.relative_error:.1e}", f"{check.cosine:.7f}", bound


def _verdict(check) -> str:
    return {True: "[green]ok[/]", False: "[red]FAILED[/]", None: "[yellow]not judged[/]"}[check.passed]
