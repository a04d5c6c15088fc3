"""What is true about a generated room, in files: JSON beside a bag, and arrays for training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes.question import Question
from spatial_mllm_ros.training.scenes.rendering import RenderedTour
from spatial_mllm_ros.training.scenes.room import Room

__all__ = ["questions_from_truth", "room_truth", "save_arrays"]


def room_truth(room: Room, questions: Sequence[Question] = ()) -> dict[str, Any]:
    """Return what is true about a room as JSON values: metres, square metres, radians; objects by their id."""
    return {
        "seed": room.seed,
        "split": room.split,
        "area_m2": round(room.area_m2, 2),
        "height_m": round(room.height, 3),
        "outline_m": _rounded(room.outline),
        "openings": [
            {"kind": o.kind, "wall": o.wall, "middle_m": round(o.middle, 3), "width_m": round(o.width, 3)}
            for o in room.openings
        ],
        "objects": [
            {
                "id": index,
                "category": piece.category,
                "look": piece.look,
                "centre_m": _rounded(piece.centre),
                "size_m": _rounded(piece.size),
                "yaw_rad": round(piece.yaw, 4),
            }
            for index, piece in enumerate(room.furniture)
        ],
        "questions": [
            {
                "kind": question.kind,
                "question": question.text,
                "answer": question.answer,
                **({"options": list(question.options)} if question.options else {}),
            }
            for question in questions
        ],
    }


def questions_from_truth(path: Path) -> list[Question]:
    """Read the questions of a file that `spatial-mllm generate --truth` wrote.

    Raises:
        InputError: if it is not there, or not such a file.
    """
    try:
        return [
            Question(
                kind=one["kind"],
                text=one["question"],
                answer=one["answer"],
                options=tuple(one.get("options", ())),
            )
            for one in json.loads(path.read_text(encoding="utf-8"))["questions"]
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} does not hold questions with their true answers: {error}") from error


def save_arrays(folder: Path, room: Room, rendered: RenderedTour, questions: Sequence[Question] = ()) -> None:
    """Write a rendered tour for training: `frames.npz` and `room.json`.

    The arrays are those of `RenderedTour`, but for depth, which is uint16 millimetres (0: farther than 65.535 m).

    Args:
        folder: where to; must not exist.
        room, rendered, questions: what to write.

    Raises:
        InputError: if the folder exists.
    """
    if folder.exists():
        raise InputError(f"{folder} exists already; choose another name or remove it")
    folder.mkdir(parents=True)
    depth_mm = np.rint(rendered.depth_m * 1000)
    np.savez(
        folder / "frames.npz",
        images=rendered.images,
        depth_mm=np.where(depth_mm <= 65535, depth_mm, 0).astype(np.uint16),
        furniture=rendered.furniture,
        intrinsics=rendered.intrinsics,
        world_from_camera=rendered.world_from_camera,
        times_s=rendered.times_s,
    )
    (folder / "room.json").write_text(json.dumps(room_truth(room, questions), indent=2) + "\n", encoding="utf-8")


def _rounded(values: Any) -> list:
    return np.round(np.asarray(values, np.float64), 3).tolist()
