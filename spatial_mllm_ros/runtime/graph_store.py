"""Keep exported graphs: found again only for the same weights, spec and code.

Exporting takes minutes at full size and needs the weights twice, so it is done once for a checkpoint. An engine is
looked up by the hash of the graph that it was built from; the hash stays here when the graph itself, gigabytes of
weights, has been built into an engine and is dropped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spatial_mllm_ros.runtime.private_files import locked, private_folder, read_private, replacing
from spatial_mllm_ros.runtime.spec import Stage

if TYPE_CHECKING:
    from spatial_mllm_ros.model import SpatialMLLM
    from spatial_mllm_ros.runtime.onnx_export import ExportedGraph

__all__ = ["GraphKey", "GraphStore", "StoredGraph", "code_sha256", "weights_sha256"]

_log = logging.getLogger(__name__)
_RECORD = "graph.json"
_CHUNK_BYTES = 1 << 20
_HEADS = ("camera_", "dpt_", "track_")  # fields of VGGT's config that do not matter to the encoders


@dataclass(frozen=True, kw_only=True)
class GraphKey:
    """Everything that decides what an exported graph computes: change one field and it is another graph.

    Attributes:
        stage: which encoder.
        weights_sha256: of the encoders' weights in the spec's dtype, and of the sizes of the model.
        spec_sha256: of the engine spec.
        code_sha256: of the code that defines and exports the encoders.
    """

    stage: Stage
    weights_sha256: str
    spec_sha256: str
    code_sha256: str

    @property
    def stem(self) -> str:
        """Name of the graph's folder."""
        fields = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return f"{self.stage}-{hashlib.sha256(fields.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, kw_only=True)
class StoredGraph:
    """A graph that was exported before.

    Attributes:
        path: the ONNX file; None if it was dropped.
        sha256: of the graph and its weights, as `ExportedGraph.sha256`.
    """

    path: Path | None
    sha256: str


class GraphStore:
    """A folder of exported graphs under a size cap; what was not used for longest goes first.

    Args:
        folder: made with mode 0700 if it is not there.
        max_bytes: cap for all graphs together; the one stored last always stays.

    Raises:
        EngineError: if others may write or read the folder.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = private_folder(folder)
        self.max_bytes = max_bytes

    def find(self, key: GraphKey) -> StoredGraph | None:
        """Return the graph for `key`; None if there is none, or its files are not those that were exported.

        Raises:
            EngineError: if its record is not a plain file that this user alone can write.
        """
        record_path = self.folder / key.stem / _RECORD
        if not os.path.lexists(record_path):
            return None
        try:
            record = json.loads(read_private(record_path))
            key_fields, sha256, files = record["key"], record["sha256"], dict(record["files"])
        except (ValueError, KeyError, TypeError):
            _log.warning("%s is damaged; the graph is exported again", record_path)
            return None
        if key_fields != dataclasses.asdict(key):
            return None
        with contextlib.suppress(OSError):  # a read-only store still serves; only the eviction order suffers
            os.utime(record_path)
        folder = record_path.parent
        if not any((folder / name).exists() for name in files):
            return StoredGraph(path=None, sha256=sha256)
        if any(_file_sha256(folder / name) != wanted for name, wanted in files.items()):
            _log.warning("files in %s were altered; the graph is exported again", folder)
            return StoredGraph(path=None, sha256=sha256)
        return StoredGraph(path=folder / f"{key.stage}.onnx", sha256=sha256)

    def building(self, key: GraphKey, on_wait: Callable[[], object] = lambda: None) -> AbstractContextManager[None]:
        """Hold the lock for exporting `key`; after entering, call `find` again.

        Args:
            key: what is to be exported.
            on_wait: called once if another process holds the lock.
        """
        return locked(self.folder / f"{key.stem}.lock", on_wait)

    def add(self, key: GraphKey, export: Callable[[Path], ExportedGraph]) -> StoredGraph:
        """Export a graph into the store, whole or not at all, then evict what exceeds the cap.

        Args:
            key: what is exported; the caller holds its lock.
            export: writes `<stage>.onnx` and what belongs to it into the folder that it is given.
        """
        for left in self.folder.glob(f".{key.stem}.*"):  # by an export that was killed
            shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix=f".{key.stem}."))  # mode 0700
        try:
            graph = export(folder)
            files = {path.name: _file_sha256(path) for path in sorted(folder.iterdir())}
            record = {"key": dataclasses.asdict(key), "sha256": graph.sha256, "files": files}
            with replacing(folder / _RECORD) as file:
                file.write(json.dumps(record, indent=2).encode())
            shutil.rmtree(self.folder / key.stem, ignore_errors=True)
            os.replace(folder, self.folder / key.stem)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._evict(keep=key.stem)
        return StoredGraph(path=self.folder / key.stem / f"{key.stage}.onnx", sha256=graph.sha256)

    def drop(self, key: GraphKey) -> None:
        """Delete a graph's files, which an engine was built from, but remember its hash."""
        for path in (self.folder / key.stem).glob("*"):
            if path.name != _RECORD:
                path.unlink(missing_ok=True)

    def _evict(self, keep: str) -> None:
        used = []
        for folder in self.folder.iterdir():
            record = folder / _RECORD
            if folder.is_dir() and record.exists():
                used.append((record.stat().st_mtime_ns, sum(path.stat().st_size for path in folder.iterdir()), folder))
        total = sum(size for _, size, _ in used)
        for _, size, folder in sorted(used):
            if total > self.max_bytes and folder.name != keep:
                _log.info("removing %s (least recently used; the cap is %d bytes)", folder, self.max_bytes)
                shutil.rmtree(folder, ignore_errors=True)
                total -= size


def weights_sha256(model: SpatialMLLM, dtype: str) -> str:
    """Hash what the encoders compute with: their sizes, and their weights by name, in the given dtype.

    The same for a checkpoint wherever it is loaded and in whatever dtype, as long as casting to `dtype` gives the same.

    Args:
        model: the network.
        dtype: such as "bfloat16".
    """
    import torch

    config, network = model.config, model.network
    sizes = {name: value for name, value in vars(config.vggt).items() if not name.startswith(_HEADS)}
    digest = hashlib.sha256(repr((dtype, config.vision, sizes, config.spatial_layer)).encode())
    for part in (network.visual, network.vggt.aggregator, network.connector):
        for name, tensor in sorted(part.state_dict().items()):
            values = tensor.to("cpu", getattr(torch, dtype)).contiguous()
            digest.update(f"{name} {tuple(values.shape)}".encode())
            digest.update(values.view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@functools.cache
def code_sha256() -> str:
    """Hash the code of the model and of the runtime, and the versions of the libraries that export."""
    from importlib import metadata

    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted([*(package / "model").rglob("*.py"), *(package / "runtime").glob("*.py")]):
        digest.update(str(path.relative_to(package)).encode())
        digest.update(path.read_bytes())
    for library in ("torch", "onnx", "onnxscript", "transformers"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            digest.update(f"{library} {metadata.version(library)}".encode())
    return digest.hexdigest()


def _file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
