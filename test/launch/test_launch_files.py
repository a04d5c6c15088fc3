"""The launch files fit the node, everywhere; and they start it, where launch is installed (it is not on PyPI)."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "launch"
NODE_FILE = LAUNCH / "spatial_mllm.launch.py"
WHY = "launch comes with a ROS distribution only; source one to run this"


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.launch.py")), ids=lambda path: path.name)
def test_launch_file_is_python_and_says_what_it_is_for(path):
    tree = ast.parse(path.read_text())
    assert "ros2 launch spatial_mllm_ros " + path.name in ast.get_docstring(tree)
    assert any(isinstance(node, ast.FunctionDef) and node.name == "generate_launch_description" for node in tree.body)


def test_every_profile_has_a_parameter_file():
    profiles = ast.literal_eval(re.search(r"^PROFILES = (\[.*\])$", NODE_FILE.read_text(), re.M)[1])
    for profile in profiles:
        assert (ROOT / "config" / f"{profile}.yaml").is_file()


def test_every_remapped_topic_is_one_that_the_node_reads():
    sources = "".join(path.read_text() for path in (ROOT / "spatial_mllm_ros" / "ros").glob("*.py"))
    for topic in re.findall(r'\("(~/[a-z_/]+)", value', NODE_FILE.read_text()):
        assert f'"{topic}"' in sources, topic


@pytest.mark.ros
def test_declared_arguments_have_descriptions():
    pytest.importorskip("launch_ros", reason=WHY)
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    arguments = get_launch_description_from_python_launch_file(str(NODE_FILE)).get_launch_arguments()
    assert {"profile", "checkpoint", "image", "use_sim_time"} <= {argument.name for argument in arguments}
    assert all(argument.description for argument in arguments)


@pytest.mark.ros
@pytest.mark.slow
def test_launch_starts_the_node_and_it_becomes_active():
    pytest.importorskip("launch_testing", reason=WHY)
    from launch import LaunchDescription, LaunchService
    from launch.actions import EmitEvent, IncludeLaunchDescription, RegisterEventHandler, TimerAction
    from launch.event_handlers import OnProcessIO
    from launch.events import Shutdown
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    text = []

    def read(event):
        text.append(event.text.decode(errors="replace"))
        return [EmitEvent(event=Shutdown())] if "watching" in text[-1] else None

    service = LaunchService()
    service.include_launch_description(
        LaunchDescription(
            [
                RegisterEventHandler(OnProcessIO(on_stdout=read, on_stderr=read)),
                IncludeLaunchDescription(PythonLaunchDescriptionSource(str(NODE_FILE))),
                TimerAction(period=60.0, actions=[EmitEvent(event=Shutdown(reason="too late"))]),
            ]
        )
    )
    service.run()
    assert "watching" in "".join(text)
