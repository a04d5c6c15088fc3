"""The stages of training the small model, one after the other in one folder; each goes on from where it was stopped.

    scenes       examples/*.npz         tours, drawn once
    recognition  recognition/state.pt   2D encoder
    geometry     geometry/state.pt      spatial encoder with its camera head
    heads        heads/state.pt         depth and point head, on the fixed spatial encoder
    reading      reading/state.pt       language model, on scenes that it is told
    answers      answers/state.pt       language model, on what the encoders see

CPU first: one thread per process is the fastest use of a core, so stages that do not build on each other (scenes,
recognition, geometry, reading) run side by side; a stage that has the machine for itself can have more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spatial_mllm_ros.model import SpatialMLLM
from spatial_mllm_ros.training.answer_stage import AnswerStage, Shown
from spatial_mllm_ros.training.batched import encode_spatial
from spatial_mllm_ros.training.encoders import (
    RecognitionProbe,
    SpatialProbe,
    heads_loss,
    pose_errors,
    recognition_loss,
    spatial_loss,
)
from spatial_mllm_ros.training.examples import Example
from spatial_mllm_ros.training.reading_stage import ReadingStage
from spatial_mllm_ros.training.run import Run
from spatial_mllm_ros.training.small_model import SIZES
from spatial_mllm_ros.training.targets import batch_of, draw_set, zoomed_in
from spatial_mllm_ros.training.workspace import Workspace, groups, load_stages

__all__ = ["train_answers", "train_geometry", "train_heads", "train_reading", "train_recognition"]

_FRAMES_PER_STEP = {"recognition": 128, "geometry": 64}
_LOG_EVERY, _CHECK_EVERY = 100, 5  # steps in a line of the log, lines from one check to the next
_Report = Callable[[dict[str, Any]], object]


def train_recognition(work: Workspace, hours: float, report: _Report) -> None:
    """Train the 2D encoder to see what shows where."""
    model = work.begin()
    probe = RecognitionProbe(SIZES.hidden)
    run = Run(
        work.folder / "recognition",
        {"visual": model.network.visual, "probe": probe},
        learning_rate=6e-4,
        hours=hours,
    )

    def step(rng: np.random.Generator) -> None:
        examples = work.draw(_FRAMES_PER_STEP["recognition"] // 8, rng)
        sets = [rng.permutation(draw_set(one, 8, rng)) for one in examples]  # or pairs would be learnt by heart
        seen = zoomed_in(examples, sets, rng)
        run.update(recognition_loss(model.network, probe, *seen)[0])

    @torch.no_grad()
    def check() -> dict[str, Any]:
        losses, right, total = [], 0.0, 0
        for examples in groups(work.validation, 16):
            batch = batch_of(examples, [np.sort(one.space_aware) for one in examples])
            loss, logits = recognition_loss(model.network, probe, batch.video, batch.shares)
            share, category = batch.shares.max(-1)
            is_plain = share >= 0.99
            right += float((logits.argmax(-1) == category)[is_plain].sum())
            total += int(is_plain.sum())
            losses.append(float(loss))
        return {"val_loss": round(float(np.mean(losses)), 4), "val_category": round(right / max(total, 1), 4)}

    _train(run, work, step, check, report)


def train_geometry(work: Workspace, hours: float, report: _Report) -> None:
    """Train the spatial encoder to see depth, places and cameras: overlapping frames first, keyframe sets later."""
    model = work.begin()
    vggt, probe = model.network.vggt, SpatialProbe(SIZES.vggt.embed_dim)
    run = Run(
        work.folder / "geometry",
        {"aggregator": vggt.aggregator, "camera": vggt.camera_head, "probe": probe},
        learning_rate=1.5e-3,
        hours=hours,
    )

    def step(rng: np.random.Generator) -> None:
        is_early = run.progress < 0.4  # frames that overlap, since others say nothing about how the camera moved
        frames = int(rng.choice((2, 4, 8), p=(0.2, 0.4, 0.4) if is_early else (0.1, 0.2, 0.7)))
        examples = work.draw(_FRAMES_PER_STEP["geometry"] // frames, rng)
        sets = [draw_set(one, frames, rng, run_share=0.6 if is_early else 0.3) for one in examples]
        batch = batch_of(examples, sets, rng)
        loss, told = spatial_loss(model.network, probe, batch)
        run.update(loss, **told["figures"])

    @torch.no_grad()
    def check() -> dict[str, Any]:
        return {f"val_{kind}": _geometry_errors(model, probe, work.validation, kind) for kind in ("run", "uniform")}

    _train(run, work, step, check, report)


def train_heads(work: Workspace, hours: float, report: _Report) -> None:
    """Train the depth and the point head, which give a value and a confidence per pixel."""
    model = work.begin()
    load_stages(model, work.folder, ("geometry",))
    vggt = model.network.vggt
    vggt.aggregator.requires_grad_(False)
    heads = {"depth_head": vggt.depth_head, "point_head": vggt.point_head}
    run = Run(work.folder / "heads", heads, learning_rate=1e-3, hours=hours)

    def losses(examples: Sequence[Example], rng: np.random.Generator | None) -> tuple[Tensor, Tensor]:
        sets = [draw_set(one, 8, rng) if rng else np.sort(one.space_aware) for one in examples]
        batch = batch_of(examples, sets, rng)
        with torch.no_grad():
            layers, _ = encode_spatial(model.network, batch.video)
        return heads_loss(vggt, layers, batch)

    def step(rng: np.random.Generator) -> None:
        depth, points = losses(work.draw(2, rng), rng)
        run.update(depth + points, depth=float(depth.detach()), points=float(points.detach()))

    @torch.no_grad()
    def check() -> dict[str, Any]:
        pairs = [losses(group, None) for group in groups(work.validation[:32], 4)]
        depth, points = (round(float(torch.stack(values).mean()), 4) for values in zip(*pairs))
        return {"val_depth": depth, "val_points": points}

    _train(run, work, step, check, report)


def _geometry_errors(
    model: SpatialMLLM, probe: SpatialProbe, examples: Sequence[Example], kind: str
) -> dict[str, float]:
    """Give medians over frames that turned by 5 degrees (moved by 0.3 m), beside those of a still camera."""
    errors, depth, flat = defaultdict(list), [], []
    for group in groups(examples, 16):
        batch = batch_of(group, [np.sort(getattr(one, kind)) for one in group])
        _, told = spatial_loss(model.network, probe, batch)
        found = pose_errors(told["cameras"], batch.poses)
        has_turned, has_moved = found["still_rotation_deg"] > 5, found["still_translation_m"] > 0.3
        for name, values in found.items():
            errors[name].append(values[has_turned if "rotation" in name else has_moved])
        truth = batch.depth_m.clamp(0.2, 8.0).log()
        depth.append(float((told["log_depth"] - truth).abs().mean()))
        flat.append(float((truth - truth.median()).abs().mean()))
    medians = {name: round(float(torch.cat(values).median()), 3) for name, values in errors.items()}
    return {**medians, "log_depth": round(float(np.mean(depth)), 4), "flat_log_depth": round(float(np.mean(flat)), 4)}


def train_reading(work: Workspace, hours: float, report: _Report, kinds: Sequence[str] = ()) -> None:
    """Train the language model to answer about scenes that it is told."""
    stage = ReadingStage(work, hours, kinds)
    _train(stage.run, work, stage.step, stage.check, report)


def train_answers(
    work: Workspace, hours: float, report: _Report, shown: Shown = "both", kinds: Sequence[str] = ()
) -> None:
    """Fit merger and connector, and train the language model to answer from what the fixed encoders see."""
    stage = AnswerStage(work, hours, shown, kinds)
    _train(stage.run, work, stage.step, stage.check, report)


def _train(
    run: Run, work: Workspace, step: Callable[[np.random.Generator], None], check: Callable[[], dict], report: _Report
) -> None:
    work.refresh()
    rng, num_lines = np.random.default_rng((work.seed, run.step)), 0
    while run.progress < 1:
        step(rng)
        if run.steps_since_log >= _LOG_EVERY:
            work.refresh()
            num_lines += 1
            report(run.log(examples=len(work.examples), **(check() if num_lines % _CHECK_EVERY == 0 else {})))
    run.save()
    report(run.log(examples=len(work.examples), **check()))
