"""The command imports what it runs and no more, and every failure is one clear line and an exit status."""

import subprocess
import sys
import types

import pytest

from spatial_mllm_ros import __version__
from spatial_mllm_ros.cli import main as cli
from spatial_mllm_ros.errors import InputError


@pytest.fixture
def command(monkeypatch):
    """Put a subcommand `probe` in place, whose `run` a test gives."""

    def command(run):
        module = types.ModuleType("probe")
        module.add_arguments = lambda parser: parser.add_argument("word", nargs="?")
        module.run = run
        monkeypatch.setitem(cli.COMMANDS, "probe", "do as the test says")
        monkeypatch.setitem(sys.modules, "spatial_mllm_ros.cli.probe", module)

    return command


def failing(error):
    def run(args):
        raise error

    return run


def test_status_is_that_of_the_subcommand(command):
    command(lambda args: 0 if args.word == "good" else 1)
    assert cli.main(["probe", "good"]) == 0
    assert cli.main(["probe", "bad"]) == 1


def test_bad_input_is_one_line_and_status_2(command, capsys):
    command(failing(InputError("the bag is empty")))
    assert cli.main(["probe"]) == 2
    assert capsys.readouterr().err == "spatial-mllm probe: the bag is empty\n"


def test_verbose_shows_where_an_error_comes_from(command):
    command(failing(InputError("the bag is empty")))
    with pytest.raises(InputError):
        cli.main(["--verbose", "probe"])


def test_our_own_bugs_are_not_hidden(command):
    command(failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["probe"])


def test_interrupt_is_status_130(command):
    command(failing(KeyboardInterrupt()))
    assert cli.main(["probe"]) == 130


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["--no-such-option"]])
def test_wrong_use_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: spatial-mllm" in capsys.readouterr().err


def test_version_is_the_package_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_subcommand_has_its_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: spatial-mllm {name}" in capsys.readouterr().out


def test_help_imports_neither_torch_nor_a_subcommand():
    code = (
        "import sys; from spatial_mllm_ros.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m in ('torch', 'cv2') or m.startswith('spatial_mllm_ros.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['spatial_mllm_ros.cli.main']"


def test_reader_that_stops_reading_is_no_error():
    code = (
        "import sys, types; from spatial_mllm_ros.cli import main as cli\n"
        "probe = types.ModuleType('probe'); probe.add_arguments = lambda parser: None\n"
        "def run(args):\n"
        "    for number in range(100000): print(number)\n"
        "    return 0\n"
        "probe.run = run; cli.COMMANDS['probe'] = 'print much'\n"
        "sys.modules['spatial_mllm_ros.cli.probe'] = probe; sys.exit(cli.main(['probe']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 141
