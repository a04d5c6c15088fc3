"""The doctor says what is there and how to get what is not, on a complete machine and on a bare one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spatial_mllm_ros.cli import doctor
from spatial_mllm_ros.cli.main import main

ROOT = Path(__file__).parents[2]


def test_every_part_is_looked_at(capsys):
    main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    parts = {finding["part"] for finding in findings}
    assert {"ROS 2", "rclpy", "cv_bridge", "torch", "CUDA GPU", "tensorrt", "ONNX Runtime", "released checkpoint"} <= parts
    for finding in findings:
        assert finding["detail"]
        assert finding["is_found"] or finding["fix"], f"{finding['part']} is missing, and nothing says how to get it"


def test_status_tells_whether_the_demo_can_run(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_is_there", lambda module: module != "rosbags")
    assert main(["doctor"]) == 1
    assert "for lack of: bags" in capsys.readouterr().out


def test_one_broken_part_does_not_hide_the_others(monkeypatch):
    def explode():
        raise RuntimeError("this library is broken")

    monkeypatch.setattr(doctor, "_cv_bridge", explode)
    findings = doctor.examine()
    assert any("this library is broken" in finding.detail for finding in findings)
    assert any(finding.part == "ONNX Runtime" for finding in findings)


def test_known_broken_transformers_is_called_missing(monkeypatch):
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda name: "5.4.0")
    finding = doctor._transformers()
    assert not finding.is_found and "5.4.0" in finding.detail and finding.fix


@pytest.mark.slow
def test_works_without_ros_and_torch(tmp_path):
    hide = "\n".join(
        [
            "import sys",
            "class Hide:",
            "    def find_spec(self, name, path=None, target=None):",
            "        if name.split('.')[0] in ('torch', 'rclpy', 'transformers', 'cv_bridge', 'onnxruntime'):",
            "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)",
            "sys.meta_path.insert(0, Hide())",
            "import importlib.util",
            "find = importlib.util.find_spec",
            "importlib.util.find_spec = lambda n, p=None: None if n in ('torch', 'rclpy', 'transformers') else find(n, p)",
            "from spatial_mllm_ros.cli.main import main",
            "sys.exit(main(['doctor']))",
        ]
    )
    (tmp_path / "bare.py").write_text(hide)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("ROS_DISTRO", None)
    done = subprocess.run([sys.executable, tmp_path / "bare.py"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "rclpy" in done.stdout and "torch" in done.stdout
