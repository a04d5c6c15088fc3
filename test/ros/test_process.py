"""The process around the node: what it asks of the C library."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed; `make setup` brings it")
pytest.importorskip("spatial_mllm_ros.msg", reason="the interfaces are not built; run `make build`")

# Prints how many of eight images of 1 MB got pages of their own, after a larger buffer was freed.
IMAGES = """
import ctypes, sys

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
if "apart" in sys.argv:
    from spatial_mllm_ros.ros.process import _keep_large_buffers_apart
    _keep_large_buffers_apart()
libc.free(libc.malloc(16 << 20))
before = libc.mallinfo2().hblks
images = [libc.malloc(1 << 20) for _ in range(8)]
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is the C library of Linux")
def test_images_get_pages_of_their_own_whatever_was_freed_before(monkeypatch):
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)

    def images_apart(*words):
        done = subprocess.run([sys.executable, "-c", IMAGES, *words], capture_output=True, text=True)
        if "mallinfo2" in done.stderr:
            pytest.skip("another C library, or a glibc before 2.33")
        return int(done.stdout.splitlines()[-1])

    assert images_apart() == 0, "what glibc does by itself"
    assert images_apart("apart") == 8
