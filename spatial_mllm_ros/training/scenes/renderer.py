"""Render rooms with MuJoCo, offscreen: colour, metric depth and which piece of furniture each pixel shows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

import cv2
import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.training.scenes.room import Room
from spatial_mllm_ros.training.scenes.shapes import Paint, Part
from spatial_mllm_ros.training.scenes.textures import TEXTURES, draw_texture

__all__ = ["RoomRenderer", "View"]

_FOV_Y_DEG = 58.0
_OPENGL_CAMERA = np.diag([1.0, -1.0, -1.0])  # OpenGL looks along -z with y up; ours along z with y down


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What a camera sees.

    Attributes:
        image: uint8 [H,W,3] RGB.
        depth_m: float32 [H,W], metres along the optical axis.
        furniture: int32 [H,W], index into `Room.furniture`; -1 for walls, floor and ceiling.
    """

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    furniture: NDArray[np.int32]


class RoomRenderer:
    """Renders views of one room; a context manager, since it holds an OpenGL context.

    Args:
        room: what to render.
        width, height: pixels.

    Raises:
        DependencyError: if MuJoCo or offscreen OpenGL is not there; says how to get it.
    """

    def __init__(self, room: Room, width: int, height: int) -> None:
        mujoco = _mujoco()
        xml, assets, self._furniture_of_geom = _model(room, width, height)
        self._mujoco = mujoco
        self._model = mujoco.MjModel.from_xml_string(xml, assets)
        self._data = mujoco.MjData(self._model)
        mujoco.mj_forward(self._model, self._data)
        try:
            self._renderer = mujoco.Renderer(self._model, height, width)
        except Exception as error:  # MuJoCo's OpenGL loaders raise whatever their library raises
            raise DependencyError(
                f"offscreen OpenGL does not work ({error}); install it with: sudo apt install libegl1 libgl1-mesa-dri, "
                "or sudo apt install libosmesa6 and set MUJOCO_GL=osmesa"
            ) from error
        focal = height / 2 / np.tan(np.radians(_FOV_Y_DEG) / 2)
        centre = ((width - 1) / 2, (height - 1) / 2)
        self.intrinsics = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1.0]])

    def image(self, world_from_camera: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Render colour only: uint8 [H,W,3] RGB."""
        self._look_from(world_from_camera)
        return self._renderer.render()

    def depth(self, world_from_camera: NDArray[np.float64]) -> NDArray[np.float32]:
        """Render depth only: float32 [H,W], metres along the optical axis."""
        self._renderer.enable_depth_rendering()
        try:
            self._look_from(world_from_camera)
            return self._renderer.render().astype(np.float32)
        finally:
            self._renderer.disable_depth_rendering()

    def view(self, world_from_camera: NDArray[np.float64]) -> View:
        """Render everything from one place (float64 [4,4], optical axes)."""
        return View(
            image=self.image(world_from_camera),
            depth_m=self.depth(world_from_camera),
            furniture=self._furniture(world_from_camera),
        )

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._renderer.close()

    def __enter__(self) -> RoomRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _furniture(self, world_from_camera: NDArray[np.float64]) -> NDArray[np.int32]:
        self._renderer.enable_segmentation_rendering()
        try:
            self._look_from(world_from_camera)
            geom = self._renderer.render()[:, :, 0]
        finally:
            self._renderer.disable_segmentation_rendering()
        return self._furniture_of_geom[geom]  # -1 (nothing) reads the last entry, which is -1 too

    def _look_from(self, world_from_camera: NDArray[np.float64]) -> None:
        self._data.cam_xpos[0] = world_from_camera[:3, 3]
        self._data.cam_xmat[0] = (world_from_camera[:3, :3] @ _OPENGL_CAMERA).reshape(-1)
        self._renderer.update_scene(self._data, camera=0)


def _mujoco() -> Any:
    os.environ.setdefault("MUJOCO_GL", "egl")  # read when MuJoCo is imported; there is no other way to say it
    try:
        import mujoco
    except ImportError as error:
        raise DependencyError("rendering rooms needs MuJoCo; install it with: pip install mujoco") from error
    return mujoco


def _model(room: Room, width: int, height: int) -> tuple[str, dict[str, bytes], NDArray[np.int32]]:
    """Write a room as MuJoCo XML; also give the textures, and the furniture index of every geom."""
    paints: dict[tuple[Paint, str], str] = {}

    def material(paint: Paint, kind: str) -> str:
        return paints.setdefault((paint, kind), f"m{len(paints)}")

    geoms, furniture_of_geom = [], []
    for quad in _shell(room):
        position, axes, half, paint = quad
        geoms.append(_geom("plane", half, position, axes, material(paint, "plane")))
        furniture_of_geom.append(-1)
    for index, piece in enumerate(room.furniture):
        for part in piece.parts:
            geoms.append(_geom_of_part(part, material(part.paint, "solid")))
            furniture_of_geom.append(index)
    textures = {paint.texture for paint, _ in paints if paint.texture}
    assets = {f"{name}.png": cv2.imencode(".png", draw_texture(name)[..., ::-1])[1].tobytes() for name in textures}
    kinds = [(name, kind) for name in sorted(textures) for kind in ("2d", "cube")]
    lines = [f'<texture name="{name}_{kind}" type="{kind}" file="{name}.png"/>' for name, kind in kinds]
    lines += [_material(name, paint, kind) for (paint, kind), name in paints.items()]
    light = f'pos="0 0 {room.height - 0.3}" dir="0 0 -1" castshadow="false" cutoff="90" exponent="0"'
    xml = f"""<mujoco>
      <visual>
        <headlight ambient="0.42 0.42 0.42" diffuse="0.32 0.32 0.32" specular="0.1 0.1 0.1"/>
        <map znear="0.01" zfar="20"/>
        <quality offsamples="4"/>
        <global offwidth="{width}" offheight="{height}" fovy="{_FOV_Y_DEG}"/>
      </visual>
      <statistic extent="1"/>
      <asset>{''.join(lines)}</asset>
      <worldbody>
        <light {light} diffuse="0.35 0.35 0.33" specular="0.1 0.1 0.1" attenuation="1 0.05 0.02"/>
        <camera name="camera" pos="0 0 1" fovy="{_FOV_Y_DEG}"/>
        {''.join(geoms)}
      </worldbody>
    </mujoco>"""
    return xml, assets, np.array([*furniture_of_geom, -1], np.int32)


def _shell(room: Room) -> list[tuple]:
    """Return floor, ceiling and walls with their skirting: (position, axes [3,3], half size, paint)."""
    x, y, z = room.length / 2, room.width / 2, room.height
    ceiling = Paint(colour=(0.97, 0.97, 0.96), texture="plaster")
    skirting = Paint(colour=(0.93, 0.92, 0.9))
    quads = [
        ((0, 0, 0), np.eye(3), (x, y), room.floor),
        ((0, 0, z), np.diag([1.0, -1.0, -1.0]), (x, y), ceiling),
    ]
    for turn in range(4):
        c, s = [(1, 0), (0, 1), (-1, 0), (0, -1)][turn]
        inwards, up = np.array([-c, -s, 0.0]), np.array([0, 0, 1.0])
        axes = np.stack([np.cross(up, inwards), up, inwards], axis=1)  # along the wall, up, into the room
        distance, half = (x, y) if turn % 2 == 0 else (y, x)
        quads.append(((c * distance, s * distance, z / 2), axes, (half, z / 2), room.wall))
        near = distance - 0.008
        quads.append(((c * near, s * near, 0.045), axes, (half, 0.045), skirting))
    return quads


def _material(name: str, paint: Paint, kind: str) -> str:
    texture = ""
    if paint.texture:
        tile_m = TEXTURES[paint.texture].tile_m or 1.0
        form = "2d" if kind == "plane" else "cube"
        repeat = f'texuniform="true" texrepeat="{1 / tile_m:.4f} {1 / tile_m:.4f}"' if kind == "plane" else ""
        texture = f'texture="{paint.texture}_{form}" {repeat}'
    colour = " ".join(f"{channel:.4f}" for channel in paint.colour)
    return (
        f"<material name={quoteattr(name)} {texture} rgba=\"{colour} 1\" "
        f'specular="{paint.shine:.2f}" shininess="0.4" emission="{paint.glow:.2f}"/>'
    )


def _geom_of_part(part: Part, material: str) -> str:
    size = part.half_size[:1] + part.half_size[2:] if part.kind == "cylinder" else part.half_size
    return _geom(part.kind, size, part.centre, part.rotation, material)


def _geom(kind: str, size: tuple, position: tuple, axes: NDArray[np.float64], material: str) -> str:
    if kind == "plane":
        size = (*size, 0.1)
    numbers = {
        "size": size,
        "pos": position,
        "xyaxes": (*axes[:, 0], *axes[:, 1]),
    }
    words = " ".join(f'{name}="{" ".join(f"{value:.5f}" for value in values)}"' for name, values in numbers.items())
    return f'<geom type="{kind}" {words} material="{material}" contype="0" conaffinity="0"/>'
