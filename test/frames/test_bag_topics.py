import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.frames.bag_topics import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, TopicSummary, choose_topics

ODOMETRY, POSE = "nav_msgs/msg/Odometry", "geometry_msgs/msg/PoseStamped"


def raw(name, encoding="rgb8", count=10):
    return TopicSummary(name, IMAGE, count, encoding)


def packed(name, encoding="rgb8; jpeg compressed bgr8", count=10):
    return TopicSummary(name, COMPRESSED_IMAGE, count, encoding)


def other(name, type, count=10):
    return TopicSummary(name, type, count)


REALSENSE = [
    raw("/camera/color/image_raw"),
    packed("/camera/color/image_raw/compressed"),
    packed("/camera/color/image_raw/compressedDepth", ""),
    other("/camera/color/camera_info", CAMERA_INFO),
    raw("/camera/depth/image_rect_raw", "16UC1"),
    other("/camera/depth/camera_info", CAMERA_INFO),
    raw("/camera/aligned_depth_to_color/image_raw", "16UC1"),
    packed("/camera/aligned_depth_to_color/image_raw/compressedDepth", "16UC1; compressedDepth png"),
    other("/camera/aligned_depth_to_color/camera_info", CAMERA_INFO),
    raw("/camera/infra1/image_rect_raw", "mono8"),
    other("/odom", ODOMETRY),
    other("/tf", "tf2_msgs/msg/TFMessage"),
]


def name(topic):
    return topic and topic.name


def test_a_depth_camera_is_understood_by_its_names_and_encodings():
    chosen = choose_topics(REALSENSE)
    assert name(chosen.image) == "/camera/color/image_raw"
    assert name(chosen.depth) == "/camera/aligned_depth_to_color/image_raw"
    assert name(chosen.camera_info) == "/camera/color/camera_info"
    assert name(chosen.pose) == "/odom"
    assert chosen.notes == ()


def test_names_that_are_given_are_taken():
    chosen = choose_topics(
        REALSENSE,
        image="/camera/infra1/image_rect_raw",
        depth="/camera/depth/image_rect_raw",
        camera_info="/camera/depth/camera_info",
        pose="",
    )
    assert (name(chosen.image), name(chosen.depth)) == ("/camera/infra1/image_rect_raw", "/camera/depth/image_rect_raw")
    assert (name(chosen.camera_info), chosen.pose) == ("/camera/depth/camera_info", None)


def test_a_compressed_topic_may_be_named_without_its_suffix():
    assert name(choose_topics([packed("/image/compressed")], image="/image").image) == "/image/compressed"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image": "/nothing"}, r"topic '/nothing' cannot be used as sensor_msgs/msg/Image: it is not in the bag"),
        ({"image": "/odom"}, r"it is a nav_msgs/msg/Odometry; fitting topics are /camera/color/image_raw"),
        ({"pose": "/tf"}, r"fitting topics are /odom \(nav_msgs/msg/Odometry\)"),
        ({"depth": "/odom"}, r"it is a nav_msgs/msg/Odometry"),
        ({"camera_info": "/odom"}, r"cannot be used as sensor_msgs/msg/CameraInfo"),
    ],
)
def test_a_name_that_does_not_fit_is_refused_with_those_that_do(given, message):
    with pytest.raises(InputError, match=message):
        choose_topics(REALSENSE, **given)


@pytest.mark.parametrize(
    ("raw_count", "packed_count", "expected"), [(10, 10, "/i"), (3, 10, "/i/compressed"), (0, 1, "/i/compressed")]
)
def test_of_a_raw_and_a_compressed_topic_the_fuller_one_is_taken(raw_count, packed_count, expected):
    assert (
        name(choose_topics([raw("/i", count=raw_count), packed("/i/compressed", count=packed_count)]).image) == expected
    )


def test_grey_is_taken_where_there_is_no_colour():
    assert (
        name(choose_topics([raw("/camera/image", "mono8"), raw("/camera/depth/image", "32FC1")]).image)
        == "/camera/image"
    )


def test_a_jpeg_of_unknown_content_counts_as_colour_unless_it_is_named_depth():
    topics = [packed("/front/compressed", "jpeg"), packed("/depth/image/compressed", "jpeg")]
    assert name(choose_topics(topics).image) == "/front/compressed"


def test_a_colour_topic_of_a_camera_named_depth_is_colour():
    topics = [raw("/depth_camera/image_raw", "rgb8"), raw("/depth_camera/depth/image_raw", "32FC1")]
    chosen = choose_topics(topics)
    assert (name(chosen.image), name(chosen.depth)) == ("/depth_camera/image_raw", "/depth_camera/depth/image_raw")


def test_mono16_is_depth_only_by_name():
    chosen = choose_topics([raw("/thermal/image", "mono16"), raw("/depth/image", "mono16")])
    assert (name(chosen.image), name(chosen.depth)) == ("/thermal/image", "/depth/image")


def test_several_cameras_are_listed():
    with pytest.raises(InputError, match=r"choose one with `topic`: /a \(sensor_msgs/msg/Image\), /b \("):
        choose_topics([raw("/b"), raw("/a")])


@pytest.mark.parametrize("topics", [[], [other("/odom", ODOMETRY)], [raw("/depth", "16UC1")], [raw("/image", count=0)]])
def test_no_colour_image_is_an_error(topics):
    with pytest.raises(InputError, match="no topic with colour images"):
        choose_topics(topics)


def test_what_is_ambiguous_beside_the_image_is_left_out_with_a_note():
    topics = [
        raw("/image"),
        raw("/left/depth", "16UC1"),
        raw("/right/depth", "16UC1"),
        other("/a", POSE),
        other("/b", POSE),
    ]
    chosen = choose_topics(topics)
    assert chosen.depth is None and chosen.pose is None
    assert len(chosen.notes) == 2 and "/left/depth" in chosen.notes[0] and "name one of /a" in chosen.notes[1]


def test_odometry_is_preferred_to_other_poses():
    assert name(choose_topics([raw("/image"), other("/a", POSE), other("/odom", ODOMETRY)]).pose) == "/odom"


def test_the_only_calibration_is_taken_wherever_it_is():
    assert name(choose_topics([raw("/image"), other("/info", CAMERA_INFO)]).camera_info) == "/info"
