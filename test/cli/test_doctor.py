"""The doctor says what is there and how to get what is not, on a complete machine and on a bare one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spatial_mllm_ros.cli import doctor
from spatial_mllm_ros.cli.main import main
from spatial_mllm_ros.errors import DependencyError
from spatial_mllm_ros.runtime import probe

ROOT = Path(__file__).parents[2]
PARTS = {"ROS 2", "rclpy", "our interfaces", "middleware", "cv_bridge", "rosbags", "transformers", "torch", "CUDA GPU"}
PARTS |= {"tensorrt", "tensorrt_rtx", "ONNX Runtime", "released checkpoint"}


@pytest.fixture(autouse=True)
def forget():
    yield
    doctor._ask_child.cache_clear()
    probe.probe_runtimes.cache_clear()


@pytest.fixture
def quick(monkeypatch):
    """A doctor that starts no processes and imports no large libraries."""
    monkeypatch.setattr(doctor, "_ros_trial", lambda: ("/ros/rclpy", "9.1", "rmw_fastrtps_cpp", ""))
    monkeypatch.setattr(doctor, "_cv_bridge", lambda: "decodes bgr8")
    monkeypatch.setattr(doctor, "probe_runtimes", lambda: (probe.Finding(part="torch", is_found=True, detail="2.13"),))


def finding_of(part):
    return next(finding for finding in doctor.examine() if finding.part == part)


def test_every_part_is_looked_at(capsys):
    main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert {finding["part"] for finding in findings} >= PARTS
    for finding in findings:
        assert finding["detail"]
        assert finding["is_found"] or finding["fix"], f"{finding['part']} is missing, and nothing says how to get it"


def test_status_tells_whether_the_demo_can_run(quick, monkeypatch, capsys):
    assert main(["doctor"]) == 0
    assert "All that the demo needs is there" in capsys.readouterr().out
    find = doctor.importlib.util.find_spec
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "rosbags" else find(name))
    assert main(["doctor"]) == 1
    output = capsys.readouterr().out
    assert "for lack of: rosbags" in output and "pip install rosbags" in output


def test_says_the_same_without_rich(quick, monkeypatch, capsys):
    find = doctor.importlib.util.find_spec
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "rich" else find(name))
    assert main(["doctor"]) == 0
    assert "rmw_fastrtps_cpp" in capsys.readouterr().out


def test_one_broken_part_does_not_hide_the_others(quick, monkeypatch):
    def explode():
        raise RuntimeError("this library is broken")

    monkeypatch.setattr(doctor, "_cv_bridge", explode)
    broken = finding_of("cv_bridge")
    assert not broken.is_found and "this library is broken" in broken.detail and broken.fix
    assert finding_of("rosbags").is_found


def test_rclpy_that_cannot_start_is_needed_and_missing(quick, monkeypatch):
    def broken():
        raise doctor._Missing("broken: Expected RMW implementation …", "unset RMW_IMPLEMENTATION")

    monkeypatch.setattr(doctor, "_ros_trial", broken)
    for part in ("rclpy", "our interfaces"):
        finding = finding_of(part)
        assert finding.is_needed and not finding.is_found and finding.fix == "unset RMW_IMPLEMENTATION"


def test_known_broken_transformers_is_called_missing(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda module: "5.4.0")
    with pytest.raises(doctor._Missing, match=r"5\.4\.0 computes wrong positions"):
        doctor._transformers()


@pytest.mark.parametrize(
    ("variables", "trouble"),
    [
        ({}, "most raw images get lost"),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": "/not/there.xml"}, "/not/there.xml is not there"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, None),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / "fastdds.xml")}, None),
    ],
)
def test_middleware_without_room_for_images_is_reported(quick, monkeypatch, variables, trouble):
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    finding = finding_of("middleware")
    assert finding.is_found == (trouble is None)
    assert trouble is None or trouble in finding.detail


def test_other_middleware_needs_no_fast_dds_profile(monkeypatch):
    monkeypatch.setattr(doctor, "_ros_trial", lambda: ("/ros/rclpy", "9.1", "rmw_cyclonedds_cpp", ""))
    monkeypatch.delenv("FASTDDS_DEFAULT_PROFILES_FILE", raising=False)
    assert doctor._middleware().startswith("rmw_cyclonedds_cpp")


def test_checkpoint_counts_only_with_its_weights(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda name, file: str(tmp_path / file) if "135K" in name else None)
    with pytest.raises(doctor._Missing, match="135K without its weights"):
        doctor._checkpoint()
    (tmp_path / "model-00001-of-00002.safetensors").touch()
    assert doctor._checkpoint().endswith("135K")


def test_runtime_that_breaks_on_import_is_a_finding(monkeypatch):
    def broken(name):
        raise SystemError("initialisation of _torch failed\nlong story")

    def no_tensorrt(flavour):
        raise DependencyError(f"{flavour} cannot be imported; pip install {flavour}")

    monkeypatch.setattr(probe.importlib, "import_module", broken)
    monkeypatch.setattr(probe, "find_tensorrt", no_tensorrt)
    findings = {finding.part: finding for finding in probe.probe_runtimes()}
    assert findings["torch"].detail == "initialisation of _torch failed"
    assert findings["tensorrt"].fix == "pip install tensorrt"
    assert not any(finding.is_found for finding in findings.values())


@pytest.mark.slow
def test_works_on_a_machine_with_neither_ros_nor_torch_nor_rich(tmp_path):
    hidden = ("torch", "rclpy", "transformers", "cv_bridge", "onnxruntime", "rich", "huggingface_hub", "cv2", "rosbags")
    (tmp_path / "bare.py").write_text(
        f"import sys, importlib.util\nhidden = {hidden}\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name in hidden else find(name, *rest)\n"
        "sys.modules.update(dict.fromkeys(hidden))  # importing one raises ModuleNotFoundError\n"
        "from spatial_mllm_ros.cli.main import main\n"
        "sys.exit(main(['doctor']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("ROS_DISTRO", None)
    done = subprocess.run([sys.executable, tmp_path / "bare.py"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    for part in ("rclpy", "torch", "OpenCV"):
        assert f"✗ {part} " in done.stdout
