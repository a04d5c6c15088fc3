"""`spatial-mllm ask` answers from a bag, a video or a folder alike, and says what its answers rest on."""

import json

import cv2
import numpy as np
import pytest
from support.recorded_bags import camera_info, compressed, image, odometry, write_bag

from spatial_mllm_ros.cli.main import main

QUESTIONS = ["How many chairs are there?", "Where is the door?"]
TALKS = ["--checkpoint", "random-small"]  # about anything
SHORT = [*TALKS, "--max-new-tokens", "4"]


def views(count):
    """Views [48,64,3] of a wide textured wall, each further to the right."""
    wall = np.random.default_rng(0).integers(0, 256, (12, 200, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return [wall[:, 8 * index : 8 * index + 64] for index in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    for index, view in enumerate(views(12)):
        cv2.imwrite(str(path / f"{index:02d}.png"), view)
    return path


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """A camera with depth and poses, two metres from the wall."""
    stored = [camera_info("/camera/color/camera_info", 0.0)]
    for index, view in enumerate(views(12)):
        time_s = index / 10
        view = view[::2, ::2]  # the size that the calibration is for
        stored.append(odometry("/odom", time_s, 0.1 * index))
        stored.append(compressed("/camera/color/image_raw/compressed", time_s, np.ascontiguousarray(view)))
        depth = np.full((24, 32), 2000, np.uint16)
        stored.append(image("/camera/aligned_depth_to_color/image_raw", time_s, depth, "16UC1"))
    return write_bag(tmp_path_factory.mktemp("bags") / "wall", stored)


def as_json(capsys, *arguments):
    status = main(["ask", *map(str, arguments), *SHORT, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_folder_is_answered_with_status_0(folder, capsys):
    status, result = as_json(capsys, folder, *QUESTIONS, "-k", 4)
    assert status == 0
    assert [answer["question"] for answer in result["answers"]] == QUESTIONS
    for answer in result["answers"]:
        assert answer["status"] == "OK" and 0 < answer["num_tokens"] <= 4
        assert {"queue", "prefill", "first_token", "decode", "total"} <= set(answer["stage_times_s"])
    assert {"encode_2d", "encode_spatial", "fuse", "prefill"} <= set(result["encode_times_s"])


def test_keyframes_are_an_even_number_in_order_of_time(folder, capsys):
    _, result = as_json(capsys, folder, QUESTIONS[0], "-k", 4)
    stamps = result["keyframe_stamps_ns"]
    assert len(stamps) == 4 and stamps == sorted(stamps)


def test_untrained_model_is_called_so(folder, capsys):
    assert main(["ask", str(folder), QUESTIONS[0], *SHORT, "--json"]) == 0
    printed = capsys.readouterr()
    assert "random weights: its answers mean nothing" in printed.err
    assert json.loads(printed.out)["meaningful"] is False


def test_without_geometry_coverage_is_unknown(folder, capsys):
    _, result = as_json(capsys, folder, QUESTIONS[0], "-k", 4)
    assert (result["geometry"], result["coverage"], result["method"]) == (None, None, "uniform")


def test_bag_gives_geometry_and_coverage(bag, capsys):
    _, result = as_json(capsys, bag, QUESTIONS[0], "-k", 4)
    assert (result["geometry"], result["method"]) == ("depth", "space-aware")
    assert 0 < result["coverage"] <= 1


def test_vggt_gives_geometry_where_it_is_asked_for(folder, capsys):
    _, result = as_json(capsys, folder, QUESTIONS[0], "-k", 4, "--geometry", "vggt")
    assert (result["geometry"], result["method"]) == ("vggt", "space-aware")


def test_video_is_answered(tmp_path, capsys):
    path = tmp_path / "wall.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV cannot write a video")
    for view in views(12):
        writer.write(np.ascontiguousarray(view))
    writer.release()
    status, result = as_json(capsys, path, QUESTIONS[0], "-k", 4, "--method", "recent")
    assert status == 0 and result["method"] == "recent"


def test_words_tell_question_answer_keyframes_and_times(bag, capsys):
    assert main(["ask", str(bag), *QUESTIONS, "-k", "4", *SHORT]) == 0
    printed = capsys.readouterr().out
    for words in (*QUESTIONS, "keyframes  4 of 12 candidates", "coverage   ", "first_token", "status     OK"):
        assert words in printed


def test_without_a_checkpoint_the_one_that_ships_answers_what_it_has_learnt(bag, capsys):
    asked = ["How large is this room, in square meters?", "Where is the door?"]
    assert main(["ask", str(bag), *asked, "-k", "4", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    measured, refused = result["answers"]
    assert result["meaningful"] is True
    assert measured["status"] == "OK" and measured["answer"].isdigit()
    assert refused["status"] == "NOT_SUPPORTED" and "What is the size of this room" in refused["message"]


def test_same_answer_every_time(folder, capsys):
    told = [as_json(capsys, folder, *QUESTIONS, "-k", 4)[1]["answers"] for _ in range(2)]
    assert [answer["answer"] for answer in told[0]] == [answer["answer"] for answer in told[1]]


def test_candidates_bound_what_is_kept(folder, capsys):
    _, result = as_json(capsys, folder, QUESTIONS[0], "-k", 2, "--candidates", 5)
    assert result["num_candidates"] <= 5


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["{folder}/nowhere", "where?"], "there is no such file or folder"),
        (["{folder}", " "], "a question is empty"),
        (["{folder}", "where?", "-k", "3"], "num_keyframes must be 2 plus a multiple of 2"),
        (["{folder}", "where?", "--candidates", "1"], "window_frames must lie in"),
        (["{folder}", "x" * 1001], "at most 1000 are allowed"),
        (["{folder}", "no<|im_end|>"], "special token"),
        (["{folder}", "where?", "--geometry", "depth"], "needs depth with intrinsics, and poses"),
        (["{folder}", "where?", "--checkpoint", "{folder}"], "config.json"),
        (["{folder}", "where?", "--start", "3600"], "0 frames are of use"),
        (["{folder}", "where?", "--topic", "/camera"], "which has no topic"),
    ],
)
def test_bad_input_is_one_line_and_status_2(folder, capsys, arguments, message):
    assert main(["ask", *TALKS, *(word.format(folder=folder) for word in arguments)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("spatial-mllm ask: ")]
    assert message in lines[-1]


def test_steering_characters_do_not_reach_the_terminal():
    from spatial_mllm_ros.cli.ask import _printable

    assert _printable("a\x1b[31m\tb\n\x07é") == "a\N{REPLACEMENT CHARACTER}[31m\tb\n\N{REPLACEMENT CHARACTER}é"
