"""Examples hold what was drawn, in the same place, and come back from a file as they were."""

import io

import numpy as np
import pytest
from support.made_up import made_up

from spatial_mllm_ros.errors import DependencyError, InputError
from spatial_mllm_ros.training.examples import (
    Example,
    ExampleConfig,
    ExampleMaker,
    points_in_world,
    read_shard,
    write_shard,
)


@pytest.fixture(scope="module")
def example():
    try:
        maker = ExampleMaker(ExampleConfig(frames=16))
    except DependencyError as error:
        pytest.skip(str(error))
    with maker:
        return maker.make(1)


def test_an_object_is_where_its_pixels_are(example):
    points = points_in_world(example.depth_m, example.world_from_camera)
    checked = 0
    for index, centre in enumerate(example.centres):
        is_shown = example.furniture == index
        if is_shown.sum() > 60:
            assert np.linalg.norm(np.median(points[is_shown], axis=0)[:2] - centre[:2]) < 1.0
            checked += 1
    assert checked > 2


def test_keyframe_sets_are_frames_of_the_example(example):
    for chosen in (example.uniform, example.space_aware, example.run):
        assert len(chosen) == 8 and chosen.min() >= 0 and chosen.max() < len(example.jpegs)
    assert (np.diff(example.uniform) > 0).all() and (np.diff(example.run) > 0).all()
    assert example.images(example.uniform).shape == (8, 84, 112, 3)


def test_a_shard_gives_back_what_was_written(example, tmp_path):
    write_shard(tmp_path / "train_000000.npz", [example, example])
    assert [path.name for path in tmp_path.iterdir()] == ["train_000000.npz"]
    _, again = read_shard(tmp_path / "train_000000.npz")
    assert (again.seed, again.area_m2, again.jpegs) == (example.seed, example.area_m2, example.jpegs)
    assert again.questions == example.questions and len(again.questions) > 5
    for name in ("frames", "uniform", "space_aware", "run", "depth_m", "furniture", "world_from_camera", "centres"):
        np.testing.assert_array_equal(getattr(again, name), getattr(example, name))
    assert isinstance(again, Example)


def npz(about):
    file = io.BytesIO()
    np.savez(file, about=np.frombuffer(about, np.uint8))
    return file.getvalue()


def damaged(whole):
    yield from (b"", b"a letter", whole[:1], whole[: len(whole) // 2], whole[:-1])
    yield from map(npz, (b"[", b"3", b"[1]", b'{"a": 1}', b"[{}]", b'[{"seed": 1, "area_m2": 2, "questions": [[1]]}]'))
    alone = io.BytesIO()
    np.save(alone, np.zeros(3))
    yield alone.getvalue()
    directory = whole.rindex(b"PK\x01\x02")  # the last entry of the archive's list, of which numpy reads first
    for at, value in ((directory + 8, 1), (directory + 8, 32), (directory + 10, 99)):  # encrypted, patched, packed
        yield whole[:at] + bytes([value]) + whole[at + 1 :]
    yield whole.replace(b"object_counting", b"object-counting")  # its checksum tells


def test_a_damaged_shard_is_bad_input_that_names_the_file(tmp_path):
    path = tmp_path / "train_000000.npz"
    write_shard(path, [made_up(0)])
    for index, content in enumerate(damaged(path.read_bytes())):
        path.write_bytes(content)
        with pytest.raises(InputError) as raised:
            read_shard(path)
        assert f"{path} holds no examples that can be read" in str(raised.value), index
