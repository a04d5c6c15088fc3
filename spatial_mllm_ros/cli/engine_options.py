"""Options that `export`, `verify` and `build` share: the engine spec, what to change in it, and the checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spatial_mllm_ros.runtime.spec import EngineSpec

__all__ = [
    "CHECKPOINT_HELP",
    "add_spec_arguments",
    "folder_argument",
    "mib",
    "print_table",
    "progress",
    "spec_from",
]

_CHANGES = {
    "height": "frame height in pixels, instead of the spec's; a multiple of 28",
    "width": "frame width in pixels, instead of the spec's; a multiple of 28",
    "num_keyframes": "frames in one pass, instead of the spec's; even",
}
CHECKPOINT_HELP = "folder, hub id, random-small, or random-full: random encoders of the released sizes"


def add_spec_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that change a spec; `--spec` itself is the command's."""
    for field, description in _CHANGES.items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=int, metavar="N", help=description)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="numbers, instead of the spec's")
    parser.add_argument("--opset", type=int, metavar="N", help="ONNX operator set, instead of the spec's")
    parser.add_argument(
        "--stages", nargs="+", choices=("encoder_2d", "spatial_encoder"), help="encoders, instead of the spec's"
    )


def spec_from(args: argparse.Namespace, **changes: object) -> EngineSpec:
    """Read the spec that the options name.

    Raises:
        InputError: if there is none of that name, or it or a change to it is wrong.
    """
    from spatial_mllm_ros.runtime.spec import changed_spec, default_specs_folder, load_spec

    spec = load_spec(args.spec, default_specs_folder())
    wanted = {field: getattr(args, field, None) for field in (*_CHANGES, "dtype", "opset", "stages")} | changes
    wanted = {field: value for field, value in wanted.items() if value is not None}
    return changed_spec(spec, **wanted) if wanted else spec


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Show the step that is being done on stderr: a line that changes on a terminal, a line for each otherwise."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: console.print(step, highlight=False, soft_wrap=True)
        return
    with console.status("") as status:
        yield lambda step: status.update(step)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; the first column is a name, the others are numbers or words."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.width = max(console.width, 120)  # a narrower terminal wraps lines rather than hiding numbers
    console.print(table, highlight=False)


def mib(num_bytes: float | None) -> str:
    """Write bytes as MiB; "not told" if they are not known."""
    return "not told" if num_bytes is None else f"{num_bytes / (1 << 20):.0f} MiB"


def folder_argument(path: str) -> Path:
    """Read a folder's path from the command line."""
    return Path(path).expanduser()
