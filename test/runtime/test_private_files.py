"""What decides what this program runs lies in a folder of this user alone, and one process at a time writes it."""

import os
import subprocess
import sys
import threading

import pytest

from spatial_mllm_ros.errors import EngineError
from spatial_mllm_ros.runtime.private_files import locked, private_folder, read_private, replacing

LONG_S = 30.0
HOLD = """
import sys, time
from pathlib import Path
from spatial_mllm_ros.runtime.private_files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_made_for_its_owner_alone(tmp_path):
    folder = private_folder(tmp_path / "a" / "engines")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match=r"file/engines cannot be made: "):
        private_folder(tmp_path / "file" / "engines")


def test_what_is_half_written_is_never_seen(tmp_path):
    path = tmp_path / "plan"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"new")
        raise RuntimeError("power failure")
    assert read_private(path) == b"old" and os.listdir(tmp_path) == ["plan"]


def test_a_lock_says_that_it_waits_and_passes_on_when_its_holder_is_killed(tmp_path):
    path, waits, entered = tmp_path / "lock", threading.Event(), threading.Event()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"

    def enter():
        with locked(path, waits.set):
            entered.set()

    waiter = threading.Thread(target=enter, daemon=True)
    waiter.start()
    assert waits.wait(LONG_S) and not entered.is_set()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert entered.wait(LONG_S)
    waiter.join(LONG_S)


def test_a_free_lock_is_taken_without_a_word(tmp_path):
    with locked(tmp_path / "lock", lambda: pytest.fail("nobody holds it")):
        pass
