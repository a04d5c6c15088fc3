"""The package installs in each of the three ways: pip, colcon, colcon with links. And it says the same everywhere."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
import zipfile
from pathlib import Path

import pytest

import spatial_mllm_ros

ROOT = Path(__file__).parents[1]
GENERATED = ("msg", "srv", "action")


def run(*command, cwd=ROOT, **environment):
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_version_is_the_same_everywhere():
    manifest = xml.parse(ROOT / "package.xml").getroot()
    in_setup = re.search(r'VERSION = "(.+)"', (ROOT / "setup.py").read_text())[1]
    assert spatial_mllm_ros.__version__ == manifest.findtext("version") == in_setup


def test_manifest_is_format_3_and_names_what_the_ros_folder_imports():
    manifest = xml.parse(ROOT / "package.xml").getroot()
    assert manifest.get("format") == "3"
    declared = {element.text for element in manifest if element.tag.endswith("depend")}
    imported = set()
    for path in (ROOT / "spatial_mllm_ros" / "ros").glob("*.py"):
        imported |= set(re.findall(r"^\s*(?:from|import) (\w+_msgs|\w+_interfaces|rclpy|std_srvs|tf2_ros)\b", path.read_text(), re.M))
    assert imported - {"rcl_interfaces"} <= declared


@pytest.mark.parametrize("kind", GENERATED)
def test_every_interface_is_generated(kind):
    listed = (ROOT / "CMakeLists.txt").read_text()
    for path in (ROOT / kind).iterdir():
        assert f'"{kind}/{path.name}"' in listed


@pytest.mark.parametrize("path", [p for kind in GENERATED for p in (ROOT / kind).iterdir()], ids=lambda p: p.name)
def test_every_field_of_an_interface_has_a_comment(path):
    for line in path.read_text().splitlines():
        if line and not line.startswith("#") and line != "---":
            assert "#" in line, f"{path.name}: {line}"


def test_status_constants_are_those_of_the_reasoner():
    from spatial_mllm_ros.reasoning import AnswerStatus

    constants = dict(re.findall(r"^uint16 ([A-Z_]+)=(\d+)", (ROOT / "msg" / "SpatialAnswer.msg").read_text(), re.M))
    assert {name: int(number) for name, number in constants.items()} == {status.name: int(status) for status in AnswerStatus}


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, spatial_mllm_ros; print(sorted({'numpy', 'torch', 'cv2', 'rclpy', 'transformers'} & set(sys.modules)))"
    assert run(sys.executable, "-c", code, PYTHONPATH=str(ROOT)).strip().endswith("[]")


def test_help_costs_no_torch():
    code = (
        "import sys; from spatial_mllm_ros.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    )
    assert run(sys.executable, "-c", code, PYTHONPATH=str(ROOT)).strip().endswith("False")


def test_every_dependency_is_pinned():
    pinned = {re.split(r"[=; ]", line)[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()}
    for path in (ROOT / "requirements").glob("*.txt"):
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                name = re.split(r"[=;<> ]", line)[0].lower().replace("_", "-")
                assert "==" in line or name in pinned, f"{path.name}: {name} is not pinned"


@pytest.mark.slow
def test_wheel_holds_library_command_and_specs_but_no_tests(tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    for folder in ("frames", "geometry", "sampling", "model/vggt", "runtime", "reasoning", "ros", "cli", "bench"):
        assert f"spatial_mllm_ros/{folder}/__init__.py" in names
    assert any(name.endswith("engines/agx_orin.yaml") for name in names)
    assert not any(name.startswith("test/") for name in names)
    assert "spatial-mllm = spatial_mllm_ros.cli.main:main" in entry_points


@pytest.mark.slow
@pytest.mark.ros
@pytest.mark.parametrize("flags", [[], ["--symlink-install"]], ids=["copied", "linked"])
def test_colcon_build_gives_interfaces_modules_and_executables(tmp_path, flags):
    pytest.importorskip("rclpy", reason="no ROS 2 here")
    colcon = Path(sys.executable).with_name("colcon")
    environment = {}
    if (Path(sys.prefix) / ".ros_wheels").exists():
        environment = {"AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix}
    folders = [f"--{name}-base={tmp_path / name}" for name in ("build", "install")]
    run(
        *([sys.executable, colcon] if colcon.exists() else ["colcon"]), f"--log-base={tmp_path / 'log'}", "build",
        *folders, "--base-paths", ROOT, "--packages-select", "spatial_mllm_ros", *flags,
        "--cmake-args", f"-DPython3_EXECUTABLE={sys.executable}", "-DBUILD_TESTING=OFF",
        **environment,
    )  # fmt: skip
    prefix = tmp_path / "install" / "spatial_mllm_ros"
    (site,) = prefix.glob("lib/python3*/site-packages")
    code = (
        "from spatial_mllm_ros.msg import Keyframes; from spatial_mllm_ros.srv import SpatialQuery\n"
        "from spatial_mllm_ros.action import AskSpatial; import spatial_mllm_ros.frames as f; print(f.__file__)"
    )
    libraries = f"{prefix / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    found = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(site), LD_LIBRARY_PATH=libraries)
    assert found.strip().endswith(f"{site}/spatial_mllm_ros/frames/__init__.py")
    for name in ("spatial_mllm", "play_bag", "ask", "spatial-mllm"):
        assert os.access(prefix / "lib" / "spatial_mllm_ros" / name, os.X_OK)
    for name in ("launch/replay.launch.py", "config/fastdds.xml", "engines/cpu.yaml"):
        assert (prefix / "share" / "spatial_mllm_ros" / name).exists()
