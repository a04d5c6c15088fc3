"""Whatever ends the builder ends in one sentence, and the process that waits for it lives."""

import sys
import threading

import pytest
from support.small_engines import SPEC

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.runtime.preparation import Preparation
from spatial_mllm_ros.runtime.preparation_process import PreparationProcess

LONG_S = 60.0



@pytest.fixture
def wanted(tmp_path):
    return Preparation(
        checkpoint="random-small", weights_sha256="0", spec=SPEC, folder=tmp_path / "engines", max_bytes=1 << 30
    )


def run(code, wanted, steps=None):
    """Run a few lines of Python in place of the builder; `say` writes a line of the protocol."""
    head = "import json, os, signal, sys, time\ndef say(**f): print(json.dumps(f), flush=True)\n"
    PreparationProcess([sys.executable, "-c", head + code]).run(wanted, [].append if steps is None else steps.append)


def test_what_is_wanted_survives_the_way_to_the_child(wanted):
    assert Preparation.from_json(wanted.to_json()) == wanted


def test_steps_are_reported_as_they_come(wanted):
    steps = []
    run("say(step=json.loads(sys.stdin.readline())['checkpoint']); say(step='two'); say(done=True)", wanted, steps)
    assert steps == ["random-small", "two"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("say(error='the graph has a hole'); sys.exit(1)", "^the graph has a hole$"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "was killed, most likely for lack of memory; run `spatial-mllm build`",
        ),
        ("raise MemoryError('too much')", "ended with status 1: MemoryError: too much$"),
        ("say(step='on my way')", "ended with status 0: without a word"),
    ],
)
def test_a_bad_end_is_one_sentence(wanted, code, reason):
    with pytest.raises(EngineError, match=reason) as caught:
        run(code, wanted)
    assert "\n" not in str(caught.value)


def test_a_run_can_be_stopped_at_any_time(wanted):
    process = PreparationProcess(
        [sys.executable, "-c", 'import time; print(\'{"step": "long"}\', flush=True); time.sleep(600)']
    )
    begun, ended = threading.Event(), []

    def run():
        try:
            process.run(wanted, lambda step: begun.set())
        except EngineError as error:
            ended.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert begun.wait(LONG_S)
    process.stop()
    thread.join(LONG_S)
    assert ended == ["building the engines was stopped"]
    with pytest.raises(EngineError, match="was stopped"):
        process.run(wanted, print)


def test_the_real_builder_says_in_one_line_what_is_wrong(wanted):
    wanted.folder.write_text("in the way")
    with pytest.raises(EngineError, match="^engine cache .*engines cannot be made: File exists$"):
        PreparationProcess().run(wanted, print)


def test_the_builder_ends_with_its_parent(wanted):
    """The child waits for a lock that this process holds, when its stdin is closed."""
    import subprocess

    from spatial_mllm_ros.runtime.preparation_process import _COMMAND

    store = wanted.graphs()
    with store.building(wanted.graph_key("encoder_2d")):
        child = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.stdin.write(wanted.to_json() + "\n")
        child.stdin.flush()
        assert "waiting for another process that exports encoder_2d" in child.stdout.readline()
        child.stdin.close()
        assert child.wait(LONG_S) == 1
        child.stdout.close()
