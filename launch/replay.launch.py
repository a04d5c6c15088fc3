"""Replay a bag into the node: with `ros2 bag play` where rosbag2 is installed, else with this package's player.

    ros2 launch spatial_mllm_ros replay.launch.py bag:=my_bag image:=/camera/color/image_raw
"""

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription
from launch.conditions import IfCondition, UnlessCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare


def has_rosbag2():
    try:
        get_package_prefix("ros2bag")
    except PackageNotFoundError:
        return False
    return True


def player(bag, rate, *flags, condition):
    if has_rosbag2():
        command = ["ros2", "bag", "play", bag, "--rate", rate, "--clock", *flags]
        return ExecuteProcess(cmd=command, output="screen", condition=condition)
    words = [bag, "--rate", rate, "--clock", "--wait-for-subscribers", "30", *flags]
    return Node(
        package="spatial_mllm_ros", executable="play_bag", arguments=words, output="screen", condition=condition
    )


def generate_launch_description():
    bag, rate, loop = (LaunchConfiguration(name) for name in ("bag", "rate", "loop"))
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource([FindPackageShare("spatial_mllm_ros"), "/launch/spatial_mllm.launch.py"]),
        launch_arguments={"use_sim_time": "true"}.items(),  # all other arguments of that file pass through by name
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Bag folder (sqlite3 or MCAP)"),
            DeclareLaunchArgument("rate", default_value="1.0", description="Times faster than recorded"),
            DeclareLaunchArgument(
                "loop", default_value="false", description="Begin again at the end", choices=["true", "false"]
            ),
            node,
            player(bag, rate, condition=UnlessCondition(loop)),
            player(bag, rate, "--loop", condition=IfCondition(loop)),
        ]
    )
