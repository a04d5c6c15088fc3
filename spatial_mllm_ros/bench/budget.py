"""What a machine needs for a model, worked out before buying: time and memory per stage, from shapes and data sheets.

A stage takes the longer of two times: its operations at 45 % of the machine's matrix rate, or its bytes at 75 % of its
memory bandwidth. These shares are what well-built transformers reach; they are assumptions, and `--check` shows what
this machine reaches of its own measured rates. Memory is weights, two visual prefixes, caches, window and the largest
stage's activations. docs/latency.md has the formulas.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from spatial_mllm_ros.bench.hardware import MACHINES, Machine, measure_this_machine
from spatial_mllm_ros.errors import InputError

if TYPE_CHECKING:
    from spatial_mllm_ros.bench.costs import Grid, StageCost
    from spatial_mllm_ros.model import ModelConfig

__all__ = ["HELP", "Budget", "StageTime", "add_arguments", "make_budget", "run"]

HELP = "time and memory that a model takes on a Jetson or a desktop GPU, worked out from shapes and data sheets"

MATRIX_SHARE = 0.45  # of the dense rate; DESIGN.md's 8 s for 152 TFLOP on an AGX Orin is the same
BANDWIDTH_SHARE = 0.75
_PREFIX = ("encode_2d", "encode_spatial", "fuse", "prefill_prefix")
_TABLE_WIDTH = 170  # columns; a narrower terminal wraps lines rather than hiding figures
_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """Time of one stage, and what it waits for: "matrices" or "memory"."""

    stage: str
    seconds: float
    bound_by: str


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Time and memory of a model on a machine.

    Attributes:
        stages: in the order in which they run.
        memory_bytes: by what holds it.
        room_bytes: what is left of the machine's memory; negative if the model does not fit.
    """

    machine: Machine
    stages: tuple[StageTime, ...]
    memory_bytes: dict[str, int]
    room_bytes: float

    @property
    def fits(self) -> bool:
        """True if the memory is enough."""
        return self.room_bytes >= 0

    @property
    def refresh_s(self) -> float:
        """Time for a new visual prefix, with nothing cached."""
        return sum(stage.seconds for stage in self.stages if stage.stage in _PREFIX)

    @property
    def warm_first_token_s(self) -> float:
        """Time to the first token with the prefix ready."""
        return next(stage.seconds for stage in self.stages if stage.stage == "prefill_question")

    @property
    def tokens_per_s(self) -> float:
        """Tokens of an answer per second."""
        return 1 / next(stage.seconds for stage in self.stages if stage.stage == "decode_per_token")


def make_budget(
    machine: Machine,
    config: ModelConfig,
    grid: Grid,
    *,
    bytes_per_number: int = 2,
    held_bytes: int = 0,
    matrix_share: float = MATRIX_SHARE,
    bandwidth_share: float = BANDWIDTH_SHARE,
) -> Budget:
    """Work out time and memory.

    Args:
        machine: its rates and memory.
        config, grid: sizes of the model and of the visual prefix.
        bytes_per_number: of weights and activations.
        held_bytes: window of frames and caches of embeddings.
        matrix_share, bandwidth_share: of the machine's rates that are reached.
    """
    from spatial_mllm_ros.bench.costs import keys_and_values_bytes, parameters_of, stage_costs, working_bytes

    def stage_time(cost: StageCost) -> StageTime:
        matrix_s = cost.operations / (matrix_share * machine.operations_per_s)
        moved_bytes = bytes_per_number * (cost.parameters + cost.cache_elements)
        memory_s = moved_bytes / (bandwidth_share * machine.bytes_per_s)
        bound_by = "matrices" if matrix_s >= memory_s else "memory"
        return StageTime(stage=cost.stage, seconds=max(matrix_s, memory_s), bound_by=bound_by)

    memory = {f"weights: {part}": count * bytes_per_number for part, count in parameters_of(config).items()}
    memory["two visual prefixes"] = 2 * keys_and_values_bytes(config, grid, bytes_per_number)
    memory["largest stage"] = working_bytes(config, grid, bytes_per_number)
    memory["window and caches"] = held_bytes
    return Budget(
        machine=machine,
        stages=tuple(stage_time(cost) for cost in stage_costs(config, grid)),
        memory_bytes=memory,
        room_bytes=machine.memory_bytes - machine.reserved_bytes - sum(memory.values()),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench budget`."""
    parser.add_argument(
        "--profile",
        nargs="+",
        choices=(*MACHINES, "this"),
        default=list(MACHINES),
        help="machines; this one is measured (default: all but this)",
    )
    parser.add_argument("--checkpoint", metavar="PATH", help="whose sizes to use (default: the released v1.1's)")
    parser.add_argument("-k", "--num-keyframes", type=int, default=16, metavar="K", help="default: 16")
    parser.add_argument("--size", default="644x476", metavar="WxH", help="of frames (default: 644x476)")
    parser.add_argument("--dtype", choices=tuple(_BYTES), default="bfloat16", help="default: bfloat16")
    parser.add_argument(
        "--held-mib", type=int, default=1536, metavar="N", help="window and caches (default: 1536, as configured)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="run a model here (--checkpoint, or a random one of 300 million parameters) and compare",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Work out and print."""
    from spatial_mllm_ros.bench.costs import Grid, released_config
    from spatial_mllm_ros.bench.ways import parse_size

    width, height = parse_size(args.size)
    if args.num_keyframes < 2 or args.num_keyframes % 2:
        raise InputError(f"the number of keyframes must be even and at least 2, not {args.num_keyframes}")
    grid = Grid(num_keyframes=args.num_keyframes, height=height, width=width)
    if args.check:
        from spatial_mllm_ros.bench.budget_check import check

        return check(args.checkpoint, grid, as_json=args.json)
    config = released_config()
    if args.checkpoint:
        config = _read_config(args.checkpoint)
    machines = [measure_this_machine() if name == "this" else MACHINES[name] for name in args.profile]
    options = {"bytes_per_number": _BYTES[args.dtype], "held_bytes": args.held_mib << 20}
    budgets = [make_budget(machine, config, grid, **options) for machine in machines]
    if args.json:
        print(json.dumps([_as_json(budget) for budget in budgets], indent=2))
    else:
        _print(budgets, config, grid)
    return 0


def _read_config(checkpoint: str) -> ModelConfig:
    from spatial_mllm_ros.model.checkpoint import find_checkpoint, open_checkpoint
    from spatial_mllm_ros.model.loading import read_config

    return read_config(open_checkpoint(find_checkpoint(checkpoint)))


def _as_json(budget: Budget) -> dict[str, Any]:
    return {
        **asdict(budget),
        "fits": budget.fits,
        "refresh_s": budget.refresh_s,
        "warm_first_token_s": budget.warm_first_token_s,
        "tokens_per_s": budget.tokens_per_s,
    }


def _print(budgets: list[Budget], config: ModelConfig, grid: Grid) -> None:
    console = Console()
    console.width = max(console.width, _TABLE_WIDTH)
    tokens = grid.tokens(config)
    console.print(
        f"{grid.num_keyframes} keyframes of {grid.width}x{grid.height}, {tokens} visual tokens; "
        f"{MATRIX_SHARE:.0%} of the matrix rate and {BANDWIDTH_SHARE:.0%} of the bandwidth are assumed to be reached",
        highlight=False,
    )
    table = Table("", box=None)
    for budget in budgets:
        table.add_column(budget.machine.name, justify="right")
    for index, stage in enumerate(budgets[0].stages):
        times = (budget.stages[index] for budget in budgets)
        table.add_row(f"{stage.stage}, s", *(f"{time.seconds:.4f} ({time.bound_by})" for time in times))
    table.add_section()
    table.add_row("new prefix, nothing cached, s", *(f"{budget.refresh_s:.2f}" for budget in budgets))
    table.add_row("first token, prefix ready, s", *(f"{budget.warm_first_token_s:.3f}" for budget in budgets))
    table.add_row("tokens per second", *(f"{budget.tokens_per_s:.0f}" for budget in budgets))
    table.add_section()
    for name, size in budgets[0].memory_bytes.items():
        table.add_row(f"{name}, MiB", *[f"{size / 2**20:.0f}"] * len(budgets))
    needed = sum(budgets[0].memory_bytes.values())
    table.add_row("together, MiB", *[f"{needed / 2**20:.0f}"] * len(budgets))
    table.add_row("fits", *(_room(budget.room_bytes) for budget in budgets))
    console.print(table)
    for budget in budgets:
        console.print(budget.machine.describe(), highlight=False)


def _room(room_bytes: float) -> str:
    return f"yes, {room_bytes / 1e9:.1f} GB to spare" if room_bytes >= 0 else f"NO, {-room_bytes / 1e9:.1f} GB short"
