"""Render rooms with MuJoCo, offscreen: colour, metric depth, and which piece of furniture each pixel shows.

MuJoCo's simulation is not used: its drawing functions get a list of primitives. So one OpenGL context with one set of
textures serves all rooms, and showing another room takes milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes.opengl import make_context
from spatial_mllm_ros.training.scenes.room import Light, Room
from spatial_mllm_ros.training.scenes.shapes import Part
from spatial_mllm_ros.training.scenes.textures import TEXTURES, draw_texture

__all__ = ["RoomRenderer", "View", "intrinsics_for"]

_NEAR_M, _FAR_M = 0.03, 30.0
_MAX_GEOMS = 4000
_SHADES = ("contact", "crease")  # drawn over what is behind them; no surfaces, so neither depth nor segmentation
_SHADE_OPACITY = 0.99  # below 0.995 MuJoCo blends
_BOTTOM_SHOWS_ABOVE_M = 0.8
_HIDDEN = 1001  # mjGEOM_NONE: MuJoCo passes over such a primitive
_FACES = tuple((axis, sign) for axis in range(3) for sign in (1, -1))


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What a camera sees.

    Attributes:
        image: uint8 [H,W,3] RGB.
        depth_m: float32 [H,W], metres along the optical axis.
        furniture: int16 [H,W], index into `Room.furniture`; -1 for walls, floor and ceiling.
    """

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    furniture: NDArray[np.int16]


def intrinsics_for(width: int, height: int, fov_x_deg: float) -> NDArray[np.float64]:
    """Return the camera matrix of a pinhole camera with square pixels: float64 [3,3], pixel centres at integers."""
    focal = width / 2 / math.tan(math.radians(fov_x_deg) / 2)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])


class RoomRenderer:
    """Renders views of rooms, one room at a time; a context manager, since it holds an OpenGL context.

    Use it in the thread that made it.

    Args:
        width, height: of the images, pixels.
        fov_x_deg: horizontal field of view, degrees.
        samples: samples per pixel and surface edge; 0 is fastest.

    Attributes:
        intrinsics: float64 [3,3] of the images.

    Raises:
        InputError: if the size is not positive.
        DependencyError: if MuJoCo or offscreen OpenGL is not there; says how to get it.
    """

    def __init__(self, width: int, height: int, *, fov_x_deg: float = 75.0, samples: int = 4) -> None:
        if min(width, height) < 1 or not 10 <= fov_x_deg <= 150:
            raise InputError(f"cannot render {width}x{height} pixels with a field of view of {fov_x_deg:g} degrees")
        self.width, self.height = width, height
        self.intrinsics = intrinsics_for(width, height, fov_x_deg)
        self._context = make_context(width, height)
        import mujoco

        self._mujoco = mujoco
        model = mujoco.MjModel.from_xml_string(*_bank_of_textures(width, height, samples))
        self._drawer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawer)
        self._drawer.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(model, maxgeom=_MAX_GEOMS)
        self._scene.flags[:] = 0
        self._materials = {name: index for index, name in enumerate(TEXTURES)}
        self._kinds = {
            "box": mujoco.mjtGeom.mjGEOM_BOX,
            "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
            "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            "panel": mujoco.mjtGeom.mjGEOM_PLANE,
        }
        self._furniture_of_color = np.full(1, -1, np.int16)
        self._surfaces: list[Part] = []

    def show(self, room: Room) -> None:
        """Take a room as what the next images show."""
        self._scene.ngeom = 0
        self._surfaces = []
        furniture_of_color = [-1]  # colour 0 is the background
        for index, parts in [(-1, room.structure), *((i, piece.parts) for i, piece in enumerate(room.furniture))]:
            for part in parts:
                for surface in _surfaces(part):
                    self._add(surface)
                    self._surfaces.append(surface)
                    furniture_of_color.append(index)
        self._bounds = _Bounds(self._surfaces)
        self._is_shown = np.ones(len(self._surfaces), bool)
        self._furniture_of_color = np.array(furniture_of_color, np.int16)
        self._set_lights(room.light, room.height)

    def image(self, world_from_camera: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Render colour only: uint8 [H,W,3] RGB. `world_from_camera` is float64 [4,4], optical axes."""
        self._look_from(world_from_camera)
        return self._draw(self.width, self.height)[0]

    def geometry(
        self, world_from_camera: NDArray[np.float64], divisor: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """Render depth (float32, metres) and furniture index (int16), each [H,W]; sides divided by `divisor`."""
        self._look_from(world_from_camera)
        colors, depth = self._draw(self.width // divisor, self.height // divisor, is_segmented=True)
        number = colors.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16])
        near_part = _NEAR_M / _FAR_M
        depth_m = _NEAR_M / (near_part + depth.astype(np.float64) * (1 - near_part))  # the inverse of glFrustum's z
        return depth_m.astype(np.float32), self._furniture_of_color[number]

    def view(self, world_from_camera: NDArray[np.float64]) -> View:
        """Render everything from one place (float64 [4,4], optical axes)."""
        depth_m, furniture = self.geometry(world_from_camera)
        return View(image=self.image(world_from_camera), depth_m=depth_m, furniture=furniture)

    def close(self) -> None:
        """Give the OpenGL context back."""
        if self._context is not None:
            self._context.make_current()
            self._drawer.free()
            self._context.free()
            self._context = None

    def __enter__(self) -> RoomRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, part: Part) -> None:
        index, paint = self._scene.ngeom, part.paint
        is_shade = paint.texture in _SHADES
        geom = self._scene.geoms[index]
        half = part.half_size
        size = np.array((half[0], half[2], 0.0) if part.kind == "cylinder" else half, np.float64)
        rgba = np.array([*paint.colour, _SHADE_OPACITY if is_shade else 1.0], np.float32)
        self._mujoco.mjv_initGeom(
            geom, self._kinds[part.kind], size, np.array(part.centre, np.float64), part.rotation.reshape(-1), rgba
        )
        geom.matid = self._materials.get(paint.texture, -1)
        geom.segid = -1 if is_shade else index
        geom.specular, geom.shininess, geom.emission = paint.shine, 0.4, paint.glow
        self._scene.ngeom = index + 1

    def _set_lights(self, light: Light, height: float) -> None:
        kinds = self._mujoco.mjtLightType
        black = (0.0, 0.0, 0.0)
        lamps = (
            (kinds.mjLIGHT_DIRECTIONAL, (0.0, 0.0, height), light.direction, light.daylight, light.ambient),
            (kinds.mjLIGHT_SPOT, (0.0, 0.0, height - 0.1), (0.0, 0.0, -1.0), light.lamp, black),
        )
        for index, (kind, position, direction, diffuse, ambient) in enumerate(lamps):
            entry = self._scene.lights[index]
            entry.id, entry.type, entry.pos, entry.dir = index, kind, position, direction
            entry.ambient, entry.diffuse, entry.specular = ambient, diffuse, [0.5 * value for value in diffuse]
            entry.attenuation, entry.cutoff, entry.exponent = (1.0, 0.06, 0.02), 90.0, 0.0
            entry.headlight = entry.castshadow = 0
        self._scene.nlight = len(lamps)

    def _look_from(self, world_from_camera: NDArray[np.float64]) -> None:
        focal, half_height = self.intrinsics[0, 0], self.height / 2
        top = _NEAR_M * half_height / focal
        for camera in self._scene.camera:
            camera.pos = world_from_camera[:3, 3]
            camera.forward, camera.up = world_from_camera[:3, 2], -world_from_camera[:3, 1]
            camera.frustum_center, camera.frustum_width = 0.0, top * self.width / self.height
            camera.frustum_bottom, camera.frustum_top = -top, top
            camera.frustum_near, camera.frustum_far, camera.orthographic = _NEAR_M, _FAR_M, 0
        self._hide_what_cannot_be_seen(world_from_camera)

    def _hide_what_cannot_be_seen(self, world_from_camera: NDArray[np.float64]) -> None:
        """Leave out what lies beside the view or shows its back: drawing costs by the primitive, not by the pixel."""
        slopes = (self.width / 2 / self.intrinsics[0, 0], self.height / 2 / self.intrinsics[1, 1])
        is_shown = self._bounds.may_be_seen(world_from_camera, slopes)
        for index in np.flatnonzero(is_shown != self._is_shown):
            kind = self._kinds[self._surfaces[index].kind]
            self._scene.geoms[index].type = int(kind) if is_shown[index] else _HIDDEN
        self._is_shown = is_shown

    def _draw(
        self, width: int, height: int, is_segmented: bool = False
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        flags, scene_flags = self._mujoco.mjtRndFlag, self._scene.flags
        scene_flags[flags.mjRND_CULL_FACE] = 1
        scene_flags[flags.mjRND_SEGMENT] = scene_flags[flags.mjRND_IDCOLOR] = int(is_segmented)
        rectangle = self._mujoco.MjrRect(0, 0, width, height)
        self._context.make_current()
        self._mujoco.mjr_render(rectangle, self._scene, self._drawer)
        colors = np.empty((height, width, 3), np.uint8)
        depth = np.empty((height, width), np.float32) if is_segmented else None
        self._mujoco.mjr_readPixels(colors, depth, rectangle, self._drawer)
        return colors[::-1], None if depth is None else depth[::-1]  # OpenGL counts rows from below


def _surfaces(part: Part) -> Iterator[Part]:
    """Yield a part as what MuJoCo textures evenly: a textured box as one panel per face, anything else as it is."""
    if part.kind != "box" or not part.paint.texture:
        yield part
        return
    for axis, sign in _FACES:
        normal = sign * part.rotation[:, axis]
        if normal[2] < -0.9 and part.centre[2] - part.half_size[2] < _BOTTOM_SHOWS_ABOVE_M:
            continue
        right, up, half = _face_axes(part, axis, sign)
        rotation = np.stack([right, up, normal], axis=1)
        centre = tuple(np.asarray(part.centre) + normal * part.half_size[axis])
        yield Part(kind="panel", half_size=half, centre=centre, paint=part.paint, rotation=rotation)


class _Bounds:
    """A ball around every surface, and which way the flat ones face."""

    def __init__(self, surfaces: Sequence[Part]) -> None:
        self._centre = np.array([surface.centre for surface in surfaces], np.float64).reshape(-1, 3)
        self._radius = np.array([np.linalg.norm(surface.half_size) for surface in surfaces])
        self._normal = np.array([surface.rotation[:, 2] for surface in surfaces], np.float64).reshape(-1, 3)
        self._is_flat = np.array([surface.kind == "panel" for surface in surfaces], bool)

    def may_be_seen(self, world_from_camera: NDArray[np.float64], slopes: tuple[float, float]) -> NDArray[np.bool_]:
        """Say which may show, bool [n], to a camera whose image reaches `slopes` (x/z, y/z) from its middle."""
        ray = self._centre - world_from_camera[:3, 3]
        x, y, z = (ray @ world_from_camera[:3, :3]).T
        is_inside = z > -self._radius
        for across, slope in ((x, slopes[0]), (y, slopes[1])):
            is_inside &= np.abs(across) - slope * z < self._radius * math.hypot(1, slope)
        return is_inside & ~(self._is_flat & ((ray * self._normal).sum(1) > 0))


def _face_axes(part: Part, axis: int, sign: int) -> tuple[NDArray, NDArray, tuple[float, float, float]]:
    """Return right, up and half size of a box's face as seen from outside; the grain lies along its longer edge."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    u, v = part.rotation[:, first] * sign, part.rotation[:, second]
    a, b = part.half_size[first], part.half_size[second]
    if a < b:  # turn by 90 degrees, which keeps the side that shows
        u, v, a, b = v, -u, b, a
    return u, v, (a, b, 0.0)


def _bank_of_textures(width: int, height: int, samples: int) -> tuple[str, dict[str, bytes]]:
    """Return MuJoCo XML with one material per texture and nothing else, and the pictures that it names."""
    lines, files = [], {}
    for name, texture in TEXTURES.items():
        image = draw_texture(name)
        order = [2, 1, 0, *range(3, image.shape[2])]  # OpenCV writes blue first
        files[f"{name}.png"] = cv2.imencode(".png", image[..., order])[1].tobytes()
        repeat = 1.0 / (texture.tile_m or 1.0)
        uniform = "true" if texture.tile_m else "false"
        lines += [
            f'<texture name="{name}" type="2d" nchannel="{image.shape[2]}" file="{name}.png"/>',
            f'<material name="{name}" texture="{name}" texuniform="{uniform}" texrepeat="{repeat:.4f} {repeat:.4f}"/>',
        ]
    xml = f"""<mujoco>
      <visual>
        <global offwidth="{width}" offheight="{height}"/>
        <quality offsamples="{samples}" shadowsize="0" numslices="20" numstacks="12" numquads="4"/>
      </visual>
      <asset>{"".join(lines)}</asset>
      <worldbody/>
    </mujoco>"""
    return xml, files
