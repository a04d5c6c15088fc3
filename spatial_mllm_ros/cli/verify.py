"""`spatial-mllm verify`: compare what runs on this machine with what it ought to compute.

`--fixture DIR` compares the model with golden data, array by array; `--spec S` compares the compiled encoders with
torch. Exit status 0 if everything is within its tolerance, 1 if something is not, 2 for bad input.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict
from pathlib import Path

from spatial_mllm_ros.cli.engine_options import CHECKPOINT_HELP, add_spec_arguments, folder_argument
from spatial_mllm_ros.errors import InputError

__all__ = ["add_arguments", "run"]

_TABLE_WIDTH = 120  # columns; a narrower terminal wraps lines rather than hiding names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `verify`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--fixture", type=Path, metavar="DIR", help="folder with golden data: verify the model")
    what.add_argument("--spec", metavar="SPEC", help="name of one in engines/, or path of a YAML file: verify encoders")
    parser.add_argument("--checkpoint", metavar="PATH", help=f"{CHECKPOINT_HELP}; the fixture's own if not given")
    parser.add_argument("--device", default="auto", help="where the model runs, such as cpu or cuda")
    parser.add_argument("--engines", type=folder_argument, metavar="DIR", help="with --spec: engine folder")
    add_spec_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Compare, print, and say by the exit status whether all is well."""
    if args.spec:
        from spatial_mllm_ros.cli.verify_engines import verify_engines

        if not args.checkpoint:
            raise InputError("--spec needs --checkpoint: the encoders of which model?")
        return verify_engines(args)
    return _verify_model(args)


def _verify_model(args: argparse.Namespace) -> int:
    from spatial_mllm_ros.model import load_spatial_mllm
    from spatial_mllm_ros.model.golden import open_fixture
    from spatial_mllm_ros.model.verification import verify
    from spatial_mllm_ros.runtime import pick_device

    if not args.fixture.is_dir():
        raise InputError(f"{args.fixture}: is no folder")
    fixture = open_fixture(args.fixture)
    checkpoint = args.checkpoint or args.fixture / "checkpoint"
    device, dtype = pick_device(args.device), args.dtype or "float32"
    model = load_spatial_mllm(checkpoint, device, dtype, geometry="geometry" in fixture.arrays, **fixture.sizes)
    checks = verify(model, fixture)
    failed = [check for check in checks if check.passed is False]
    machine = {"dtype": dtype, "device": device, **versions()}
    if args.json:
        print(json.dumps({"passed": not failed, **machine, "arrays": [asdict(check) for check in checks]}, indent=2))
    else:
        _print_table(checks, args.fixture, machine)
    return 1 if failed else 0


def versions() -> dict[str, str]:
    """Name what computes here."""
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
