"""The package installs in each of the three ways: pip, colcon, colcon with links. And it says the same everywhere."""

import ast
import importlib.metadata
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as xml
import zipfile
from pathlib import Path

import pytest
import setuptools

import spatial_mllm_ros
from spatial_mllm_ros.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
GENERATED = ("msg", "srv", "action")
ON_PYPI = {"cv2": "opencv-python-headless", "yaml": "pyyaml"}  # where the name differs from the module's
FROM_ROS = re.compile(r"\w+_msgs|\w+_interfaces|rclpy|std_srvs|tf2_ros|cv_bridge")
FROM_JETPACK = {"tensorrt"}


def run(*command, cwd=ROOT, **environment):
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_version_is_the_same_everywhere():
    manifest = xml.parse(ROOT / "package.xml").getroot()
    in_setup = re.search(r'VERSION = "(.+)"', (ROOT / "setup.py").read_text())[1]
    assert spatial_mllm_ros.__version__ == manifest.findtext("version") == in_setup


def imported_libraries():
    names = set()
    for path in Path(spatial_mllm_ros.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"spatial_mllm_ros"}


def normal(requirement):
    return re.split(r"[=;<>! \[]", requirement)[0].lower().replace("_", "-").replace(".", "-")


def pins():
    lists = [ROOT / "constraints.txt", ROOT / "requirements" / "ros-kilted.txt"]
    lines = [line for path in lists for line in path.read_text().splitlines() if "==" in line and not line.startswith("#")]
    return {normal(line) for line in lines}


def test_manifest_is_format_3_and_names_every_ros_package_that_is_imported():
    manifest = xml.parse(ROOT / "package.xml").getroot()
    assert manifest.get("format") == "3"
    declared = {element.text for element in manifest if element.tag.endswith("depend")}
    assert {name for name in imported_libraries() if FROM_ROS.fullmatch(name)} <= declared


def test_every_library_that_is_imported_is_declared_for_pip(monkeypatch):
    said = {}
    monkeypatch.setattr(setuptools, "setup", said.update)
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    extras = [requirement for extra in said["extras_require"].values() for requirement in extra]
    declared = {normal(requirement) for requirement in said["install_requires"] + extras}
    wanted = {name for name in imported_libraries() if not FROM_ROS.fullmatch(name)} - FROM_JETPACK
    assert {normal(ON_PYPI.get(name, name)) for name in wanted} <= declared


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
    for path in (ROOT / "requirements").glob("*.txt"):
        for line in path.read_text().splitlines():
            assert not line or line.startswith("#") or normal(line) in pins(), f"{path.name}: {line} is not pinned"


@pytest.mark.skipif(not (Path(sys.prefix) / ".steps").exists(), reason="not in the virtual environment that make set up")
def test_everything_that_was_installed_is_pinned():
    site = sysconfig.get_path("purelib")  # not what a sourced ROS or the checkout adds
    installed = {normal(found.metadata["Name"]) for found in importlib.metadata.distributions(path=[site])}
    by_wheels = {name for name in installed if f"ros-{name}" in pins()}  # a ROS package also says its own name
    assert installed - by_wheels - pins() - {"pip"} == set()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the checkout, built from a copy: pip would leave its work in the tree, and use what it finds there."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "spatial_mllm_ros", folder / "tree" / "spatial_mllm_ros", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "engines", folder / "tree" / "engines")
    shutil.copytree(ROOT / "test" / "frames", folder / "tree" / "test")
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / "tree")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", folder, folder / "tree")
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_wheel_holds_library_command_and_specs_but_no_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    held = {name for name in names if name.startswith("spatial_mllm_ros/")}
    files = [path for path in (ROOT / "spatial_mllm_ros").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert held == {str(path.relative_to(ROOT)) for path in files}
    assert any(name.endswith("engines/agx_orin.yaml") for name in names)
    assert not any(name.startswith("test") for name in names)
    assert "spatial-mllm = spatial_mllm_ros.cli.main:main" in entry_points


@pytest.mark.slow
def test_installed_command_answers_without_ros(wheel, tmp_path):
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--ignore-installed", "-q", "--prefix", tmp_path, wheel)
    (site,) = tmp_path.glob("lib/python3*/site-packages")
    command = tmp_path / "bin" / "spatial-mllm"
    environment = {"PYTHONPATH": str(site), "ROS_DISTRO": "", "AMENT_PREFIX_PATH": ""}
    assert run(command, "--version", cwd=tmp_path, **environment).strip() == spatial_mllm_ros.__version__
    for name in COMMANDS:
        assert "usage" in run(command, name, "--help", cwd=tmp_path, **environment)
    bag = ROOT / "test" / "data" / "sample_bag"
    sampled = run(command, "sample", bag, "-k", "4", "--out", tmp_path / "out", "--json", cwd=tmp_path, **environment)
    assert len(json.loads(sampled)[0]["indices"]) == 4


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
