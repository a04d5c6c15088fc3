"""Equality with the paper's own code, stage by stage."""

import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model import load_spatial_mllm
from spatial_mllm_ros.model.golden import INPUTS, open_fixture
from spatial_mllm_ros.model.verification import verify

STAGES = {
    "vision.npz": ("fused_embeds", "video_grid_thw"),
    "prefill.npz": ("logits", "position_ids", "rope_deltas"),
    "geometry.npz": ("pose_enc", "extrinsic", "intrinsic", "depth", "depth_conf", "world_points", "world_points_conf"),
}


@pytest.fixture(scope="module")
def checks(fixture):
    model = load_spatial_mllm(fixture.folder / "checkpoint", geometry=True, **fixture.sizes)
    return verify(model, fixture)


def test_every_array_is_within_its_tolerance_in_float32(checks):
    failed = [f"{check.file} {check.name}: {check.relative_error} {check.note}" for check in checks if not check.passed]
    assert not failed


def test_every_array_of_the_fixture_is_compared(fixture, checks):
    compared = {check.name for check in checks if check.passed is not None}
    for arrays in fixture.arrays.values():
        left_out = {name for name in arrays if name not in compared and name not in INPUTS and "_in" not in name[-4:]}
        assert not left_out


def test_all_stages_are_there(checks):
    names = {(check.file, check.name) for check in checks}
    for file, expected in STAGES.items():
        assert {(file, name) for name in expected} <= names


def test_greedy_tokens_are_the_same(checks):
    tokens = [check for check in checks if check.file == "generate.json"]
    assert tokens and all(check.max_error == 0 for check in tokens)


def test_bfloat16_keeps_the_direction_of_every_stage(fixture):
    model = load_spatial_mllm(fixture.folder / "checkpoint", dtype="bfloat16", geometry=True, **fixture.sizes)
    floats = [check for check in verify(model, fixture) if check.tolerance is None and check.cosine is not None]
    assert len(floats) > 10
    assert min(check.cosine for check in floats) > 0.999


def test_a_folder_without_golden_data_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no fixture"):
        open_fixture(tmp_path)


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "vision.npz").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(InputError, match=r"vision\.npz: cannot be read"):
        open_fixture(tmp_path)
