import importlib.util
import json
import logging
import subprocess
import sys

import numpy as np
import pytest

from spatial_mllm_ros.frames import COLOUR_ENCODINGS, bridge, cv_bridge_probe, decode_image

HAS_CV_BRIDGE = importlib.util.find_spec("cv_bridge") is not None


@pytest.fixture
def fresh_probe():
    """Forget what the process knows of cv_bridge, before and after."""
    bridge.cv_bridge_probe.cache_clear()
    yield bridge.cv_bridge_probe
    bridge.cv_bridge_probe.cache_clear()


@pytest.fixture
def install_fake(tmp_path, monkeypatch, fresh_probe):
    """Put a module named cv_bridge with the given source first on the search path."""

    def install(source: str):
        (tmp_path / "cv_bridge").mkdir()
        (tmp_path / "cv_bridge" / "__init__.py").write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))
        return fresh_probe()

    return install


@pytest.mark.skipif(not HAS_CV_BRIDGE, reason="cv_bridge is not installed")
def test_the_installed_cv_bridge_agrees_with_our_decoding_where_it_is_used():
    rng = np.random.default_rng(1)
    for encoding in sorted(cv_bridge_probe().encodings):
        channels = 4 if encoding[:4] in ("rgba", "bgra") else 3 if encoding[:3] in ("rgb", "bgr") else 1
        channels = 2 if "yuv" in encoding or "uyvy" in encoding or "yuyv" in encoding else channels
        step = 34 * channels * (2 if "16" in encoding else 1)
        data = rng.integers(0, 256, step * 26, dtype=np.uint8).tobytes()
        fields = {"encoding": encoding, "width": 34, "height": 26, "step": step}
        theirs = decode_image(data, use_cv_bridge=True, **fields)
        ours = decode_image(data, use_cv_bridge=False, **fields)
        assert theirs.dtype == np.uint8 and theirs.shape == (26, 34, 3)
        assert np.abs(theirs.astype(int) - ours).max() <= 1, encoding


@pytest.mark.skipif(not HAS_CV_BRIDGE, reason="cv_bridge is not installed")
def test_the_installed_cv_bridge_is_found_and_described():
    probe = cv_bridge_probe()
    assert probe.is_installed and probe.detail.startswith("cv_bridge")
    assert probe.encodings <= set(COLOUR_ENCODINGS)


def test_a_missing_cv_bridge_is_said_once_and_everything_still_decodes(fresh_probe, monkeypatch, caplog):
    monkeypatch.setattr(bridge.importlib.util, "find_spec", lambda name: None)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            decode_image(bytes(12), encoding="bgr8", width=2, height=2, step=6)
    assert [record.getMessage() for record in caplog.records] == [
        "cv_bridge is not installed; our own decoding serves all image encodings"
    ]
    assert not fresh_probe().is_installed and not fresh_probe().is_usable


def test_a_cv_bridge_that_cannot_be_imported_is_reported_and_not_used(install_fake, caplog):
    probe = install_fake("raise ImportError('numpy.core.multiarray failed to import')")
    assert probe.is_installed and not probe.is_usable
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "does not work here" in caplog.text and "our own decoding serves all" in caplog.text


def test_a_cv_bridge_that_crashes_its_process_does_not_crash_ours(install_fake):
    probe = install_fake("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert probe.is_installed and not probe.is_usable
    assert "signal 11" in probe.detail


def test_a_cv_bridge_that_mixes_up_colours_is_not_used(install_fake):
    probe = install_fake(
        "import numpy as np\n"
        "class CvBridge:\n"
        "    def imgmsg_to_cv2(self, message, desired):\n"
        "        return np.zeros((message.height, message.width, 3), np.uint8)\n"
    )
    assert probe.is_installed and not probe.is_usable
    assert "no image came back as it should" in probe.detail


def test_a_cv_bridge_is_left_just_the_encodings_that_it_gets_right(install_fake):
    probe = install_fake(
        "import numpy as np\n"
        "class CvBridge:\n"
        "    def imgmsg_to_cv2(self, message, desired):\n"
        "        if message.encoding not in ('bgr8', 'mono8'):\n"
        "            raise RuntimeError('unknown encoding')\n"
        "        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, -1)\n"
        "        return np.ascontiguousarray(np.broadcast_to(pixels[..., ::-1], pixels.shape[:2] + (3,)))\n"
    )
    assert probe.encodings == {"bgr8", "mono8"}
    assert "decodes bgr8, mono8" in probe.detail


def test_a_trial_that_hangs_is_given_up(install_fake, monkeypatch):
    monkeypatch.setattr(bridge, "_TIMEOUT_S", 0.2)
    probe = install_fake("import time; time.sleep(600)")
    assert not probe.is_usable and "did not run" in probe.detail


def test_padding_and_foreign_byte_order_never_reach_cv_bridge(fresh_probe, monkeypatch):
    monkeypatch.setattr(bridge.importlib.util, "find_spec", lambda name: None)
    asked = []
    monkeypatch.setattr("spatial_mllm_ros.frames.decoding.cv_bridge_probe", lambda: asked.append(1) or fresh_probe())
    decode_image(bytes(14), encoding="bgr8", width=2, height=2, step=7)
    decode_image(bytes(8), encoding="mono16", width=2, height=2, step=4, is_bigendian=sys.byteorder == "little")
    assert not asked
    decode_image(bytes(12), encoding="bgr8", width=2, height=2, step=6)
    assert asked


def test_the_trial_prints_a_list_of_known_encodings():
    child = subprocess.run([sys.executable, "-c", bridge._CHILD], capture_output=True, text=True, check=True)
    assert set(json.loads(child.stdout.splitlines()[-1])) <= set(COLOUR_ENCODINGS)
