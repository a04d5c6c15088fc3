"""Find out, once, what an installed cv_bridge gets right, and let it decode just that.

cv_bridge breaks users in virtual environments: compiled for NumPy 1 it fails or crashes the process under NumPy 2, and
the pure Python one on PyPI knows neither YUV nor 16-bit conversions and reads 16UC1 as bytes. So it is tried in a child
process, encoding by encoding, against our own decoding, and only what agrees is left to it. Our own decoding serves
everything else, and everything where cv_bridge is missing; the log says so once.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

__all__ = ["CvBridgeProbe", "cv_bridge_probe", "rgb_from_cv_bridge"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 30.0
_CHILD = "from spatial_mllm_ros.frames import bridge; bridge.print_proof()"
_MAX_DIFFERENCE = 1  # of 255; another OpenCV may round a conversion the other way


@dataclass(frozen=True, kw_only=True)
class CvBridgeProbe:
    """What was found out about cv_bridge.

    Attributes:
        is_installed: True if a module of that name can be found.
        version: of the PyPI package; empty if unknown (an apt package does not say) or not installed.
        encodings: the encodings that it decoded as it should.
        detail: a sentence for a log or `spatial-mllm doctor`.
    """

    is_installed: bool
    version: str = ""
    encodings: frozenset[str] = frozenset()
    detail: str = ""

    @property
    def is_usable(self) -> bool:
        """True if at least one encoding is left to cv_bridge."""
        return bool(self.encodings)


@functools.cache
def cv_bridge_probe() -> CvBridgeProbe:
    """Try the installed cv_bridge on small images in a child process, log the outcome, and remember it.

    The first call takes about a second if cv_bridge is installed, so a node calls it while it is configured rather
    than in its first camera callback.
    """
    probe = _probe()
    is_broken = probe.is_installed and not probe.is_usable
    logger.log(logging.WARNING if is_broken else logging.INFO, "%s", probe.detail)
    return probe


def rgb_from_cv_bridge(pixels: NDArray, encoding: str, width: int, height: int) -> NDArray[np.uint8]:
    """Decode packed pixels in native byte order with cv_bridge to uint8 [H,W,3] RGB."""
    message = SimpleNamespace(
        encoding=encoding,
        width=width,
        height=height,
        step=pixels.nbytes // height,
        is_bigendian=int(sys.byteorder == "big"),
        data=memoryview(pixels).cast("B"),
    )
    return _cv_bridge().imgmsg_to_cv2(message, "rgb8")


def print_proof() -> None:
    """Print a JSON list of the encodings that cv_bridge decodes as we do; the child process's work."""
    from spatial_mllm_ros.frames import decoding  # decoding imports this module

    samples = np.random.default_rng(0).integers(0, 256, 8 * 6 * 8, dtype=np.uint8)
    proved = []
    for encoding in decoding.COLOUR_ENCODINGS:
        colour = decoding._COLOUR[encoding]
        if not colour.is_bridgeable:
            continue
        dtype = np.dtype(f"u{colour.bits // 8}")
        pixels = samples.view(dtype)[: 6 * 8 * colour.channels].reshape(6, 8, colour.channels)
        try:
            theirs = rgb_from_cv_bridge(pixels, encoding, 8, 6)
            ours = colour.convert(pixels)
            agree = theirs.dtype == np.uint8 and theirs.shape == ours.shape
            if agree and np.abs(theirs.astype(int) - ours).max() <= _MAX_DIFFERENCE:
                proved.append(encoding)
        except Exception:  # the edge of a process whose purpose is to see what fails
            continue
    print(json.dumps(proved))


@functools.cache
def _cv_bridge() -> object:
    from cv_bridge import CvBridge

    return CvBridge()


def _probe() -> CvBridgeProbe:
    if importlib.util.find_spec("cv_bridge") is None:
        return CvBridgeProbe(
            is_installed=False, detail="cv_bridge is not installed; our own decoding serves all image encodings"
        )
    try:
        version = importlib.metadata.version("cv-bridge")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    proved, trouble = _ask_child()
    name = f"cv_bridge {version}".strip()
    if not proved:
        detail = f"{name} does not work here ({trouble}); our own decoding serves all image encodings"
    else:
        detail = f"{name} decodes {', '.join(sorted(proved))}; our own decoding serves the other image encodings"
    return CvBridgeProbe(is_installed=True, version=version, encodings=frozenset(proved), detail=detail)


def _ask_child() -> tuple[list[str], str]:
    """Return the proved encodings, or an empty list and what went wrong."""
    search_path = os.pathsep.join(path or os.getcwd() for path in sys.path)
    try:
        child = subprocess.run(
            [sys.executable, "-c", _CHILD],
            env={
                **os.environ,
                "PYTHONPATH": search_path,
                "PYTHONSAFEPATH": "1",
            },  # our modules, not those of the folder
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"its trial did not run: {error}"
    if child.returncode < 0:
        return [], f"its trial was ended by signal {-child.returncode}"
    if child.returncode > 0:
        return [], (child.stderr.strip().splitlines() or [f"its trial ended with status {child.returncode}"])[-1]
    try:
        return json.loads(child.stdout.strip().splitlines()[-1]), "no image came back as it should"
    except (ValueError, IndexError):
        return [], f"its trial printed {child.stdout[-80:]!r}"
