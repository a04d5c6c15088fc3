"""The budget's formulas against this machine: a model's stages at the machine's full rates, and as measured."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from spatial_mllm_ros.bench.budget import make_budget
from spatial_mllm_ros.bench.costs import QUESTION_TOKENS, Grid
from spatial_mllm_ros.bench.hardware import Machine, measure_this_machine
from spatial_mllm_ros.bench.ways import QUESTIONS, noise_images, recent_selection
from spatial_mllm_ros.model import SpatialMLLM, load_spatial_mllm
from spatial_mllm_ros.reasoning import build_prefix
from spatial_mllm_ros.reasoning.stage_clock import StageClock

__all__ = ["check", "measure_stages"]

_ROUNDS = 3
_TOKENS = 16
_NAMES = {"prefix_prefill": "prefill_prefix"}  # "prefix_encode_2d" is "encode_2d" here, but "prefill" says too little


def check(checkpoint: str | None, grid: Grid, *, as_json: bool) -> int:
    """Run a model on this machine's CPU in float32, and print the share of the measured rates that each stage reaches.

    Args:
        checkpoint: what `load_spatial_mllm` takes; None makes a random model of 300 million parameters.
        grid: size of the visual prefix; a checkpoint may resize its frames to another.
        as_json: print JSON.
    """
    from spatial_mllm_ros.bench.mid_size import write_mid_size

    with tempfile.TemporaryDirectory(prefix="spatial_mllm_") as folder:
        if checkpoint is None:
            write_mid_size(Path(folder), grid.height, grid.width)
        model = load_spatial_mllm(checkpoint or folder)
    grid, machine, measured = measure_stages(model, grid)
    budget = make_budget(machine, model.config, grid, bytes_per_number=4, matrix_share=1.0, bandwidth_share=1.0)
    rows = [
        {
            "stage": stage.stage,
            "worked_out_s": stage.seconds,
            "measured_s": measured[stage.stage],
            "share": stage.seconds / measured[stage.stage],
            "bound_by": stage.bound_by,
        }
        for stage in budget.stages
    ]
    name = checkpoint or "random model of 300 million parameters"
    if as_json:
        found = {"machine": dataclasses.asdict(machine), "model": name, "grid": dataclasses.asdict(grid)}
        print(json.dumps({**found, "stages": rows}, indent=2))
        return 0
    console = Console()
    console.print(machine.describe(), highlight=False)
    console.print(f"{name}, {grid.num_keyframes} keyframes of {grid.width}x{grid.height}", highlight=False)
    table = Table("stage", box=None)
    for heading in ("worked out, s", "measured, s", "share reached", "bound by"):
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = (f"{row['worked_out_s']:.4f}", f"{row['measured_s']:.4f}", f"{row['share']:.0%}")
        table.add_row(row["stage"], *numbers, row["bound_by"])
    console.print(table)
    return 0


def measure_stages(model: SpatialMLLM, grid: Grid) -> tuple[Grid, Machine, dict[str, float]]:
    """Measure the machine and all stages in turns, so that other work on it slows both.

    Returns:
        the size that frames were resized to, the machine with its median rates, and each stage's median seconds.
    """
    images = noise_images(grid.num_keyframes, (grid.width, grid.height))
    pairs, rows, columns = model.visual_inputs(images).grid_thw
    patch_size = model.config.vision.patch_size
    ids = model.prompt.question_ids(QUESTIONS[0]).repeat(1, QUESTION_TOKENS)[:, :QUESTION_TOKENS]
    times: dict[str, list[float]] = {}
    machines = []
    for _ in range(_ROUNDS + 1):
        machines.append(measure_this_machine())
        prefix = build_prefix(model, recent_selection(images))
        clock = StageClock(time.monotonic())
        state = model.prefill(ids, past=prefix.prefill)
        clock.lap("prefill_question")
        for _ in model.generate(state, max_new_tokens=_TOKENS + 1, stop_ids=()):
            pass
        clock.lap("decode", _TOKENS)  # the first token's pass was the question's
        for name, seconds in (*prefix.stage_times, *clock.finish()):
            times.setdefault(_NAMES.get(name, name.removeprefix("prefix_")), []).append(seconds)
    resized = Grid(num_keyframes=2 * pairs, height=rows * patch_size, width=columns * patch_size)
    machine = dataclasses.replace(
        machines[0],
        operations_per_s=median(machine.operations_per_s for machine in machines[1:]),
        bytes_per_s=median(machine.bytes_per_s for machine in machines[1:]),
    )
    return resized, machine, {name: median(seconds[1:]) for name, seconds in times.items()}
