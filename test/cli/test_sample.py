"""`spatial-mllm sample` on real recordings: a bag with depth and poses, a video, a folder of images."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from support.recorded_bags import BEGIN_NS, tour, write_bag

from spatial_mllm_ros.cli import sample
from spatial_mllm_ros.cli.main import main
from spatial_mllm_ros.geometry import PointMap


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """A camera that goes 1 m along x per frame, past a wall 1 m away of which it sees 1.6 m."""
    return write_bag(tmp_path_factory.mktemp("bags") / "tour", tour(count=12))


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pictures"
    path.mkdir()
    for number in range(9):
        cv2.imwrite(str(path / f"{number}.png"), np.full((24, 32, 3), 20 * number, np.uint8))
    return path


def result_in(folder):
    return json.loads((folder / "sampling.json").read_text())


def test_keyframes_of_a_bag_are_written_with_their_coverage(bag, tmp_path, capsys):
    out = tmp_path / "out"

    assert main(["sample", str(bag), "-k", "4", "--out", str(out)]) == 0

    result = result_in(out)
    assert (result["method"], result["geometry"], result["num_candidates"]) == ("space-aware", "depth", 12)
    assert len(result["files"]) == len(result["indices"]) == len(result["stamps_ns"]) == 4
    assert result["stamps_ns"] == [BEGIN_NS + 10**8 * index for index in result["indices"]]
    assert sorted(result["order"] + result["filled"]) == result["indices"]
    curve = result["coverage_curves"]["space-aware"]
    assert curve == pytest.approx(np.cumsum(result["gains"]) / result["total_voxels"])
    assert curve[-1] >= result["coverage_curves"]["uniform"][-1]
    for file, index in zip(result["files"], result["indices"], strict=True):
        assert cv2.imread(str(out / file))[0, 0].tolist() == [100, 200, 5 * index]
    assert cv2.imread(str(out / "contact_sheet.png")).shape[1] == 1280
    assert "space covered, from depth: space-aware" in capsys.readouterr().out


def test_json_goes_to_standard_output_and_nothing_else_does(bag, tmp_path, capsys):
    assert main(["sample", str(bag), "-k", "2", "--json", "--out", str(tmp_path)]) == 0

    printed = capsys.readouterr()
    assert json.loads(printed.out) == [result_in(tmp_path)]
    assert printed.err == ""


def test_the_uniform_baseline_needs_no_geometry(folder, tmp_path):
    out = tmp_path / "out"

    assert main(["sample", str(folder), "-k", "4", "--method", "uniform", "--out", str(out)]) == 0

    result = result_in(out)
    assert (result["geometry"], result["indices"], result["gains"]) == (None, [0, 2, 5, 8], [])


def test_the_recent_baseline_is_measured_where_there_is_geometry(bag, tmp_path):
    assert main(["sample", str(bag), "-k", "4", "--method", "recent", "--out", str(tmp_path)]) == 0

    result = result_in(tmp_path)
    assert result["indices"] == [8, 9, 10, 11]
    assert set(result["coverage_curves"]) == {"recent", "uniform"}


def test_several_inputs_get_a_folder_each(bag, folder, tmp_path):
    out = tmp_path / "out"

    assert main(["sample", str(bag), str(folder), "-k", "2", "--method", "uniform", "--out", str(out)]) == 0

    assert result_in(out / "tour")["geometry"] == "depth"
    assert result_in(out / "pictures")["geometry"] is None


def test_candidates_are_taken_at_equal_steps(folder, tmp_path):
    arguments = ["--candidates", "5", "-k", "4", "--method", "uniform", "--out", str(tmp_path / "out")]

    assert main(["sample", str(folder), *arguments]) == 0

    result = result_in(tmp_path / "out")
    assert result["num_candidates"] == 5
    assert result["stamps_ns"] == [0, 200_000_000, 400_000_000, 800_000_000]  # of the images 0, 2, 4, 6, 8


def test_vggt_makes_the_maps_if_a_checkpoint_is_given(folder, tmp_path, capsys):
    arguments = ["--checkpoint", "random-small", "--candidates", "4", "-k", "2", "--out", str(tmp_path / "out")]

    assert main(["sample", str(folder), *arguments]) == 0

    assert result_in(tmp_path / "out")["geometry"] == "vggt"
    assert "is not trained" in capsys.readouterr().err


def test_without_geometry_the_error_suggests_what_to_do(folder, tmp_path, capsys):
    assert main(["sample", str(folder), "--out", str(tmp_path / "out")]) == 2

    message = capsys.readouterr().err
    assert "has no depth with poses" in message
    assert "--checkpoint" in message
    assert "--method uniform" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", "3"], "must be even, not 3"),
        (["-k", "0"], "at least 1 keyframe"),
        (["--candidates", "1"], "2 candidates"),
        (["--geometry", "depth"], "there are no depth with intrinsics and no poses"),
        (["--geometry", "vggt"], "none is loaded"),
    ],
)
def test_bad_options_are_named(folder, tmp_path, capsys, arguments, message):
    assert main(["sample", str(folder), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_input_is_found_before_any_work(folder, tmp_path, capsys):
    missing = tmp_path / "none.mp4"

    assert main(["sample", str(folder), str(missing), "--method", "uniform", "--out", str(tmp_path / "out")]) == 2

    assert "none.mp4" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_inputs_of_one_name_are_refused(folder, tmp_path, capsys):
    assert main(["sample", str(folder), str(folder), "--method", "uniform", "--out", str(tmp_path / "out")]) == 2
    assert "2 inputs are named 'pictures'" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_refused(folder, tmp_path, capsys):
    out = tmp_path / "out"
    out.write_text("")

    assert main(["sample", str(folder), "--method", "uniform", "--out", str(out)]) == 2
    assert "is not a folder" in capsys.readouterr().err


class TwoWorlds:
    """A provider whose first frame lies in another world, and whose last lies in none."""

    name = "vggt"

    def point_maps(self, frames):
        maps = [
            PointMap(
                points=np.ones((2, 3, 3), np.float32),
                confidence=np.ones((2, 3), np.float32),
                stamp_ns=frame.stamp_ns,
                frame_id=f"vggt_{1 + (number > 0)}",
            )
            for number, frame in enumerate(frames)
        ]
        return maps[:-1] + [None]


def test_frames_of_other_worlds_are_left_out_and_counted(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sample, "choose_provider", lambda *_, **__: TwoWorlds())

    assert main(["sample", str(folder), "-k", "2", "--out", str(tmp_path / "out")]) == 0

    assert "2 of 9 candidates are left out" in capsys.readouterr().err
    assert result_in(tmp_path / "out")["num_candidates"] == 7


def test_slow_depth_decides_which_frames_are_candidates(tmp_path):
    """Depth with every third image only: those are taken, though others are due."""
    stored = tour(count=24)
    depth = [entry for entry in stored if "depth" in entry.topic]
    bag = write_bag(tmp_path / "slow", [entry for entry in stored if entry not in depth] + depth[2::3])

    assert main(["sample", str(bag), "-k", "2", "--candidates", "8", "--out", str(tmp_path / "out")]) == 0

    result = result_in(tmp_path / "out")
    assert result["num_candidates"] == 8
    assert all((stamp - BEGIN_NS) // 10**8 % 3 == 2 for stamp in result["stamps_ns"])
