"""What the generated camera sees agrees with where things are; a renderer serves one room after another."""

import builtins

import numpy as np
import pytest

from spatial_mllm_ros.errors import DependencyError, InputError
from spatial_mllm_ros.geometry import unproject
from spatial_mllm_ros.training.scenes import (
    RoomConfig,
    RoomRenderer,
    TourConfig,
    make_room,
    make_tour,
    opengl,
    render_tour,
)
from spatial_mllm_ros.training.scenes.layout import _notches
from spatial_mllm_ros.training.scenes.renderer import intrinsics_for


@pytest.mark.parametrize(("seed", "style"), [(0, "balanced"), (1, "natural"), (4, "balanced"), (6, "natural")])
def test_depth_and_pose_put_every_pixel_in_the_room_and_every_object_in_its_box(renderer, seed, style):
    room = make_room(seed, RoomConfig(style=style))
    tour = make_tour(room, TourConfig(frames=10))
    rendered = render_tour(room, tour, renderer)
    low, high = room.outline.min(0), room.outline.max(0)
    for pose, depth_m, ids in zip(rendered.world_from_camera, rendered.depth_m, rendered.furniture):
        points = unproject(depth_m, rendered.intrinsics, pose)
        flat = points[..., :2].reshape(-1, 2)
        assert (flat >= low - 0.02).all() and (flat <= high + 0.02).all()
        assert points[..., 2].min() > -0.02 and points[..., 2].max() < room.height + 0.02
        for notch in _notches(room.outline):
            a, b = notch.min(0) + 0.06, notch.max(0) - 0.06
            assert not ((flat > a) & (flat < b)).all(1).any()
        for index in sorted(set(np.unique(ids)) - {-1}):
            piece = room.furniture[index]
            seen = points[ids == index]
            c, s = np.cos(piece.yaw), np.sin(piece.yaw)
            local = (seen[:, :2] - piece.centre[:2]) @ np.array([[c, -s], [s, c]])
            box = np.column_stack([local, seen[:, 2] - piece.centre[2]])
            assert (np.abs(box) <= np.array(piece.size) / 2 + 0.01).all(1).mean() > 0.995, piece.category


def test_segmentation_and_depth_change_together_with_the_picture(renderer):
    """A pixel of an object is closer than the wall behind it: hiding the furniture can only make depth larger."""
    room = make_room(2, RoomConfig(style="natural"))
    pose = make_tour(room, TourConfig(frames=5)).world_from_camera[1]
    renderer.show(room)
    with_furniture = renderer.view(pose)
    import dataclasses

    renderer.show(dataclasses.replace(room, furniture=()))
    empty = renderer.view(pose)
    shown = with_furniture.furniture >= 0
    assert shown.any() and (empty.furniture == -1).all()
    assert (with_furniture.depth_m[shown] < empty.depth_m[shown] + 1e-3).all()
    assert np.allclose(with_furniture.depth_m[~shown], empty.depth_m[~shown], atol=2e-3)
    assert np.abs(with_furniture.image[shown].astype(int) - empty.image[shown]).mean() > 5


def test_showing_another_room_and_back_gives_the_same_picture(renderer):
    first, second = make_room(3), make_room(8)
    pose = make_tour(first, TourConfig(frames=3)).world_from_camera[0]
    renderer.show(first)
    before = renderer.image(pose)
    renderer.show(second)
    renderer.show(first)
    assert np.array_equal(before, renderer.image(pose))


def test_camera_matrix_says_where_a_point_is_seen(renderer):
    """The middle of a depth edge: the picture of a lamp's pole lies where the camera matrix puts the pole."""
    for seed in range(30):
        room = make_room(seed)
        lamps = [(i, p) for i, p in enumerate(room.furniture) if p.category == "lamp" and p.look == 0]
        if not lamps:
            continue
        index, lamp = lamps[0]
        for pose in make_tour(room, TourConfig(frames=60)).world_from_camera:
            local = pose[:3, :3].T @ (np.array([*lamp.centre[:2], lamp.centre[2] * 0.8]) - pose[:3, 3])
            if local[2] < 1.0 or abs(local[0] / local[2]) > 0.3 or abs(local[1] / local[2]) > 0.2:
                continue
            u, v, _ = renderer.intrinsics @ (local / local[2])
            renderer.show(room)
            row = renderer.view(pose).furniture[round(v)]
            columns = np.flatnonzero(row == index)
            if len(columns):
                assert abs(columns.mean() - u) < 1.0
                return
    pytest.fail("no lamp in sight")


def test_smaller_depth_shows_the_same_scene(renderer):
    room = make_room(5)
    pose = make_tour(room, TourConfig(frames=4)).world_from_camera[2]
    renderer.show(room)
    full, _ = renderer.geometry(pose)
    small, _ = renderer.geometry(pose, 4)
    assert small.shape == (30, 40)
    blocks = full.reshape(30, 4, 40, 4)
    assert (small >= blocks.min((1, 3)) - 0.02).mean() > 0.99 and (small <= blocks.max((1, 3)) + 0.02).mean() > 0.99


def test_pictures_have_contents(renderer):
    room = make_room(7)
    rendered = render_tour(room, make_tour(room, TourConfig(frames=12)), renderer)
    assert rendered.images.std(axis=(1, 2, 3)).min() > 4 and np.median(rendered.images) > 60
    share = rendered.visible_share(len(room.furniture))
    assert share.shape == (12, len(room.furniture)) and share.min() >= 0 and share.sum(1).max() <= 1
    assert (share.max(0) > 0.003).mean() > 0.5


def test_intrinsics_by_hand():
    assert intrinsics_for(200, 100, 90.0) == pytest.approx(np.array([[100, 0, 99.5], [0, 100, 49.5], [0, 0, 1]]))


def test_impossible_sizes_are_refused():
    with pytest.raises(InputError, match="cannot render 0x5 pixels"):
        RoomRenderer(0, 5)


def test_missing_opengl_is_one_clear_error(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(opengl, "_is_loadable", lambda library: False)
    monkeypatch.setattr(opengl.sys, "platform", "linux")
    with pytest.raises(DependencyError, match="sudo apt-get install libegl1 libgl1-mesa-dri"):
        opengl.find_backend()


@pytest.mark.parametrize(("library", "backend"), [("libEGL.so.1", "egl"), ("libOSMesa.so.8", "osmesa")])
def test_backend_is_the_one_installed_unless_one_is_named(monkeypatch, library, backend):
    monkeypatch.setattr(opengl, "_is_loadable", lambda name: name == library)
    monkeypatch.setattr(opengl.sys, "platform", "linux")
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    assert opengl.find_backend() == backend
    monkeypatch.setenv("MUJOCO_GL", "OSMesa")
    assert opengl.find_backend() == "osmesa"


def test_missing_mujoco_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without_mujoco(name, *args, **kwargs):
        if name == "mujoco":
            raise ImportError("No module named 'mujoco'")
        return real(name, *args, **kwargs)

    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setattr(builtins, "__import__", without_mujoco)
    with pytest.raises(DependencyError, match="pip install mujoco"):
        opengl.make_context(8, 8)


def test_leaving_out_what_cannot_be_seen_changes_nothing(renderer, monkeypatch):
    room = make_room(3)
    poses = make_tour(room, TourConfig(frames=16)).world_from_camera
    renderer.show(room)
    views = [renderer.view(pose) for pose in poses]
    monkeypatch.setattr(renderer, "_hide_what_cannot_be_seen", lambda pose: None)
    renderer.show(room)
    for pose, view in zip(poses, views):
        whole = renderer.view(pose)
        differing = np.abs(whole.image.astype(int) - view.image).max(-1) > 8
        assert differing.mean() < 1e-4  # where two surfaces lie in one plane, either may show
        assert (whole.furniture != view.furniture).mean() < 1e-4
