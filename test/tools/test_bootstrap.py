"""The set-up names what is missing, does each step once, and leaves a sourced ROS distribution its own packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import bootstrap  # noqa: E402
import steps  # noqa: E402


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine with Python and nothing else; no ROS is sourced."""
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda program: None)
    monkeypatch.setattr(bootstrap, "_can_import", lambda *names: False)
    monkeypatch.setattr(bootstrap, "_debian_name", lambda: "python3")
    monkeypatch.setattr(bootstrap.sysconfig, "get_path", lambda name: str(tmp_path))


@pytest.fixture
def here(monkeypatch, tmp_path):
    """A checkout of its own for the steps."""
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    monkeypatch.setattr(steps, "LOGS", tmp_path / ".cache" / "setup")
    steps.LOGS.mkdir(parents=True)
    return tmp_path


def shell(words, **environment):
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_everything_missing_is_named_in_one_line(bare, capsys):
    assert bootstrap.main(["setup"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("sudo apt install python3-venv python3-dev g++ make")


def test_sourced_distro_needs_its_colcon_numpy_and_opencv(bare):
    missing = set(bootstrap.missing_packages("jazzy"))
    assert missing >= {"python3-colcon-common-extensions", "python3-numpy", "python3-opencv"}


def test_python_that_is_not_the_distros_is_refused(bare, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "sourced_distro", lambda: "jazzy")
    assert bootstrap.main(["setup"]) == 1
    message = capsys.readouterr().err
    assert "jazzy is sourced" in message and "PYTHON=/usr/bin/python3" in message


def test_distro_counts_only_with_its_command(monkeypatch, tmp_path):
    monkeypatch.setenv("ROS_DISTRO", "humble")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.sourced_distro() is None
    (tmp_path / "ros2").touch(mode=0o755)
    assert bootstrap.sourced_distro() == "humble"


def test_distro_keeps_its_numpy_opencv_and_an_older_pytest():
    constraints = 'cv-bridge==1.13\nnumpy==2.2.6; python_version < "3.14"\nopencv-python-headless==4.14\npytest==9.2.0\ntorch==2.13.0'
    lines = bootstrap.constraints_beside_distro(constraints, "1.26.4").split()
    assert lines == ["torch==2.13.0", "numpy==1.26.4", "pytest==7.4.4"]


def test_callers_variables_do_not_reach_the_set_up(monkeypatch):
    for name in ("PIP_TARGET", "PYTHONHOME", "MAKEFLAGS", "PYTHONPATH", "AMENT_PREFIX_PATH"):
        monkeypatch.setenv(name, "/elsewhere")
    assert "/elsewhere" not in bootstrap._environment(None).values()
    beside_ros = bootstrap._environment("jazzy")
    assert beside_ros["PYTHONPATH"] == beside_ros["AMENT_PREFIX_PATH"] == "/elsewhere"
    assert beside_ros["PIP_USER"] == "0"


def test_cmake_files_point_at_this_python_and_numpy(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\necho /here/include/python3.12; echo /here/numpy/_core/include\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    folder = tmp_path / "share" / "std_msgs" / "cmake"
    folder.mkdir(parents=True)
    path = folder / "exportExport.cmake"
    path.write_text(
        '  INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp311-cp311/include/python3.11;'
        '/opt/_internal/cpython-3.11.9/lib/python3.11/site-packages/numpy/core/include;${_IMPORT_PREFIX}/include"\n'
    )
    bootstrap.point_cmake_files_here(tmp_path)
    assert path.read_text() == (
        '  INTERFACE_INCLUDE_DIRECTORIES "/here/include/python3.12;/here/numpy/_core/include;${_IMPORT_PREFIX}/include"\n'
    )


def test_links_to_removed_files_go(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    (tmp_path / "install").mkdir()
    (tmp_path / "install" / "alive").symlink_to(tmp_path)
    (tmp_path / "install" / "dead").symlink_to(tmp_path / "gone")
    bootstrap.remove_dead_links()
    assert [path.name for path in (tmp_path / "install").iterdir()] == ["alive"]


def run_step(here, command, *, inputs=("a",), **options):
    steps.run_step("a step", command, steps.Stamp(here / "stamp", inputs), dict(os.environ), **options)


def test_step_is_done_once_until_its_inputs_change(here, capsys):
    count = ["sh", "-c", f"echo x >> {here / 'count'}"]
    for inputs in (("a",), ("a",), ("b",)):
        run_step(here, count, inputs=inputs)
    assert (here / "count").read_text().count("x") == 2
    assert capsys.readouterr().out.splitlines()[1] == "[set-up] a step: as before"


def test_failed_step_shows_the_end_of_its_log_and_is_tried_again(here):
    command = ["sh", "-c", "seq 1 99; echo 'no matching distribution' >&2; exit 3"]
    for _ in range(2):
        with pytest.raises(steps.SetupError, match=r"the end of \.cache/setup/a-step\.log:\n(.*\n)*.*no matching distribution"):
            run_step(here, command)


def test_step_is_not_done_when_what_follows_it_fails(here):
    def fail():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run_step(here, ["true"], then=fail)
    assert not (here / "stamp").exists()


def test_optional_step_that_fails_is_said_and_passed_over(here, capsys):
    run_step(here, ["false"], is_optional=True)
    assert "not available here (see .cache/setup/a-step.log)" in capsys.readouterr().out
    assert not (here / "stamp").exists()


def test_program_that_is_not_there_is_an_error_not_a_traceback(here):
    with pytest.raises(steps.SetupError, match="/no/such/program cannot be started"):
        run_step(here, ["/no/such/program"])


def test_second_set_up_waits_for_the_first(here):
    wait = "import sys; sys.path.insert(0, 'tools'); import steps, pathlib\n"
    wait += f"steps.LOGS = pathlib.Path({str(steps.LOGS)!r})\nwith steps.alone(): print('mine')"
    with steps.alone():
        other = subprocess.Popen([sys.executable, "-c", wait], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert "waiting" in other.stdout.readline()
        assert other.poll() is None
    assert "mine" in other.communicate(timeout=30)[0]


@pytest.mark.skipif(not (ROOT / ".venv" / ".ros_wheels").exists(), reason="the checkout has no set-up of its own")
def test_environment_finds_packages_before_those_of_the_caller(tmp_path):
    (tmp_path / "numpy.py").write_text("raise ImportError('the wrong numpy')")
    out = shell(["tools/run", "python", "-c", "import numpy, spatial_mllm_ros as s; print(s.__file__)"], PYTHONPATH=str(tmp_path))
    assert out == str(ROOT / "spatial_mllm_ros" / "__init__.py")


@pytest.mark.skipif(not (ROOT / "install").exists(), reason="the checkout is not built")
@pytest.mark.parametrize("shell_name", ["bash", "zsh"])
def test_environment_can_be_sourced(shell_name):
    if not bootstrap.shutil.which(shell_name):
        pytest.skip(f"no {shell_name} here")
    script = "set -eu; . tools/env.sh; command -v spatial_mllm play_bag ask"
    assert len(shell([shell_name, "-c", script]).splitlines()) == 3
