"""Start the node on a robot.

    ros2 launch spatial_mllm_ros spatial_mllm.launch.py image:=/camera/color/image_raw profile:=agx_orin
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

PROFILES = ["agx_orin", "cpu", "desktop", "orin_nx"]


def argument(name, default, description, choices=None):
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)


def generate_launch_description():
    value = LaunchConfiguration
    profile_file = [FindPackageShare("spatial_mllm_ros"), "/config/", value("profile"), ".yaml"]
    return LaunchDescription(
        [
            argument("profile", "cpu", "Class of machine; picks the file in config/", PROFILES),
            argument("params_file", profile_file, "Parameter file to use in place of the profile's"),
            argument("checkpoint", "small", "Checkpoint folder or Hugging Face id; small ships with the package"),
            argument("image_transport", "raw", "Form of the colour topic", ["raw", "compressed"]),
            argument("image", "/camera/color/image_raw", "Colour topic (sensor_msgs/Image), for image_transport raw"),
            argument(
                "image_compressed",
                [value("image"), "/compressed"],
                "Colour topic (sensor_msgs/CompressedImage), for image_transport compressed",
            ),
            argument("camera_info", "/camera/color/camera_info", "Calibration topic"),
            argument("depth", "/camera/aligned_depth_to_color/image_raw", "Depth topic, registered to the image"),
            argument("odometry", "/odom", "Odometry topic (nav_msgs/Odometry)"),
            argument("pose", "/pose", "Pose topic (geometry_msgs/PoseStamped), in place of odometry"),
            argument("camera_mount", "", "Camera in the odometry's child frame: x y z roll pitch yaw; empty: tf2"),
            argument("namespace", "", "Namespace of the node"),
            argument("use_sim_time", "false", "Take the time from /clock", ["true", "false"]),
            argument("autostart", "true", "Configure and activate at the start", ["true", "false"]),
            argument("log_level", "info", "Log level", ["debug", "info", "warn", "error"]),
            Node(
                package="spatial_mllm_ros",
                executable="spatial_mllm",
                name="spatial_mllm",
                namespace=value("namespace"),
                output="screen",
                emulate_tty=True,
                parameters=[
                    ParameterFile(value("params_file")),
                    {
                        "model.checkpoint": ParameterValue(value("checkpoint"), value_type=str),
                        "image_transport": ParameterValue(value("image_transport"), value_type=str),
                        "frames.camera_mount": ParameterValue(value("camera_mount"), value_type=str),
                        "use_sim_time": ParameterValue(value("use_sim_time"), value_type=bool),
                        "autostart": ParameterValue(value("autostart"), value_type=bool),
                    },
                ],
                remappings=[
                    ("~/image", value("image")),
                    ("~/image/compressed", value("image_compressed")),
                    ("~/camera_info", value("camera_info")),
                    ("~/depth", value("depth")),
                    ("~/odometry", value("odometry")),
                    ("~/pose", value("pose")),
                ],
                arguments=["--ros-args", "--log-level", ["spatial_mllm:=", value("log_level")]],
            ),
        ]
    )
