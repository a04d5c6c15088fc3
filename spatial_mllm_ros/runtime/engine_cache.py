"""Keep built engines: found again only if everything they were built from and for is the same.

Takes a key (what an engine was built from, and for which machine) and its bytes; gives the bytes back when the key,
the size and the SHA-256 agree with the manifest beside them. An engine is executable code (DESIGN.md, decision 6), so
the folder must belong to this user alone. Knows no TensorRT: bytes in, bytes out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spatial_mllm_ros.runtime.private_files import locked, private_folder, read_private, replacing

__all__ = ["CachedEngine", "CacheMiss", "EngineCache", "EngineKey", "default_cache_folder"]

_log = logging.getLogger(__name__)
_MANIFEST_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class EngineKey:
    """Everything that decides whether an engine may be used: change one field and it is another engine.

    Attributes:
        stage: "encoder_2d" or "spatial_encoder".
        onnx_sha256: of the ONNX graph and its external weights together.
        spec_sha256: of the engine spec's canonical JSON.
        builder: "tensorrt" or "tensorrt_rtx".
        builder_version: such as "10.3.0.30".
        gpu: product name, such as "Orin"; "any" for an engine built ahead of time for a compute capability.
        compute_capability: such as "sm_87".
        driver: driver version, "any" as for `gpu`.
    """

    stage: str
    onnx_sha256: str
    spec_sha256: str
    builder: str
    builder_version: str
    gpu: str
    compute_capability: str
    driver: str

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over all fields."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def stem(self) -> str:
        """File name of the engine without its suffix."""
        return f"{self.stage}-{self.compute_capability}-{self.digest[:16]}"


@dataclass(frozen=True, kw_only=True, eq=False)
class CachedEngine:
    """An engine that was found and agrees with its manifest.

    Attributes:
        plan: the serialised engine. These very bytes were hashed; nothing is read a second time.
        path: where it lies.
        details: what the builder noted beside it (JSON values), such as device memory in bytes.
    """

    plan: bytes
    path: Path
    details: dict


@dataclass(frozen=True)
class CacheMiss:
    """Why there is no engine to load: one sentence."""

    reason: str


def default_cache_folder() -> Path:
    """Return the folder for engines: `$XDG_CACHE_HOME/spatial_mllm_ros/engines` (XDG base directories)."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "spatial_mllm_ros" / "engines"


class EngineCache:
    """A folder of engines, each with a manifest, under a size cap with least-recently-used eviction.

    Args:
        folder: made with mode 0700 if it is not there.
        max_bytes: cap for all engines together; the one stored last always stays.

    Raises:
        EngineError: if the folder belongs to someone else, is a link, or others may write or read it.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = private_folder(folder)
        self.max_bytes = max_bytes

    def load(self, key: EngineKey) -> CachedEngine | CacheMiss:
        """Read the engine for `key` and prove that it is the one that was stored.

        Raises:
            EngineError: if the engine or its manifest is not a plain file that this user alone can write: such a file
                is never loaded and never overwritten.
        """
        plan_path, manifest_path = self._paths(key)
        if not os.path.lexists(plan_path) or not os.path.lexists(manifest_path):
            return CacheMiss(f"no engine for {key.stage} on {key.gpu} ({key.compute_capability}) has been built")
        manifest = _read_manifest(read_private(manifest_path))
        if isinstance(manifest, CacheMiss):
            return CacheMiss(f"{manifest_path}: {manifest.reason}")
        difference = _first_difference(manifest["key"], key)
        if difference:
            return CacheMiss(f"{plan_path} does not match: {difference}")
        plan = read_private(plan_path)
        if len(plan) != manifest["size_bytes"]:
            return CacheMiss(f"{plan_path} has {len(plan)} bytes, its manifest says {manifest['size_bytes']}")
        if hashlib.sha256(plan).hexdigest() != manifest["sha256"]:
            return CacheMiss(f"{plan_path} was altered: its SHA-256 is not the manifest's")
        with contextlib.suppress(OSError):  # a read-only cache still serves; only the eviction order suffers
            os.utime(manifest_path)
        return CachedEngine(plan=plan, path=plan_path, details=manifest["details"])

    @contextlib.contextmanager
    def building(self, key: EngineKey, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Hold the build lock of `key`, so that two processes do not build one engine twice; waits for its turn.

        After entering, call `load` again: the other process may have stored it meanwhile.

        Args:
            key: what is to be built.
            on_wait: called once if another process holds the lock.
        """
        with locked(self.folder / f"{key.stem}.lock", on_wait):
            for left in self.folder.glob(f".{key.stem}.*"):  # by a builder that was killed; gigabytes, maybe
                left.unlink(missing_ok=True)
            yield

    def store(self, key: EngineKey, write: Callable[[BinaryIO], object], details: dict) -> Path:
        """Write an engine and its manifest, each whole or not at all, then evict what exceeds the cap.

        Args:
            key: what the engine is for.
            write: called once with a binary file to write the plan to; large plans need not fit in memory twice.
            details: JSON values kept in the manifest.

        Returns:
            The engine's path.
        """
        plan_path, manifest_path = self._paths(key)
        with replacing(plan_path) as file:
            hashing = _HashingFile(file)
            write(hashing)
        manifest = {
            "manifest_version": _MANIFEST_VERSION,
            "key": dataclasses.asdict(key),
            "size_bytes": hashing.size_bytes,
            "sha256": hashing.sha256.hexdigest(),
            "details": details,
        }
        with replacing(manifest_path) as file:
            file.write(json.dumps(manifest, indent=2).encode())
        self._evict(keep=plan_path)
        return plan_path

    def _paths(self, key: EngineKey) -> tuple[Path, Path]:
        return self.folder / f"{key.stem}.engine", self.folder / f"{key.stem}.json"

    def _evict(self, keep: Path) -> None:
        engines = []
        for path in self.folder.glob("*.engine"):
            with contextlib.suppress(FileNotFoundError):  # another process evicts too
                manifest = path.with_suffix(".json")
                used_ns = (manifest if manifest.exists() else path).stat().st_mtime_ns
                engines.append((used_ns, path.stat().st_size, path))
        total = sum(size for _, size, _ in engines)
        for _, size, path in sorted(engines):
            if total <= self.max_bytes:
                return
            if path != keep:
                _log.info("engine cache: removing %s (least recently used; the cap is %d bytes)", path, self.max_bytes)
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)
                total -= size


class _HashingFile:
    """Write through to a file, counting and hashing what passes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes | memoryview) -> int:
        self.sha256.update(data)
        written = self._file.write(data)
        self.size_bytes += written
        return written


def _read_manifest(text: bytes) -> dict | CacheMiss:
    try:
        manifest = json.loads(text)
    except ValueError:
        return CacheMiss("the manifest is damaged")
    wanted = {"manifest_version": int, "key": dict, "size_bytes": int, "sha256": str, "details": dict}
    if not isinstance(manifest, dict) or any(not isinstance(manifest.get(name), kind) for name, kind in wanted.items()):
        return CacheMiss("the manifest is damaged")
    if manifest["manifest_version"] != _MANIFEST_VERSION:
        return CacheMiss(f"the manifest has version {manifest['manifest_version']}, not {_MANIFEST_VERSION}")
    return manifest


def _first_difference(stored: dict, key: EngineKey) -> str | None:
    for name, wanted in dataclasses.asdict(key).items():
        if stored.get(name) != wanted:
            return f"it was built for {name} {stored.get(name)}, wanted is {wanted}"
    return None
