"""Export the encoders and build their engines, in a process of its own: `python -m …runtime.preparation`.

`prepare` is what `spatial-mllm build` is for too: graphs and engines lie where a node with the same spec finds them.

Apart from the node, for three reasons: a builder that runs out of memory is killed without the node; exporting patches
torch while it traces, which a model that serves in another thread would notice; and stopping it is a signal.

The process reads one line of JSON (a `Preparation`) on stdin and writes lines of JSON on stdout: {"step": ...} as it
goes on, and last {"done": true} or {"error": ...}. It ends when stdin is closed, so it never outlives its parent.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from spatial_mllm_ros.errors import EngineError, SpatialMLLMError
from spatial_mllm_ros.runtime.engine_cache import CachedEngine, EngineCache
from spatial_mllm_ros.runtime.graph_store import GraphKey, GraphStore, StoredGraph, code_sha256, weights_sha256
from spatial_mllm_ros.runtime.spec import EngineSpec, Stage

if TYPE_CHECKING:
    from spatial_mllm_ros.model import SpatialMLLM
    from spatial_mllm_ros.runtime.tensorrt_api import TensorRT

__all__ = ["Preparation", "main", "prepare"]

Report = Callable[[str], object]
_NICENESS = 10  # what serves goes first
_STEP_S = 1.0  # least time between two lines about one build


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What is to be there.

    Attributes:
        checkpoint: folder, hub id or reserved name of the model.
        weights_sha256: of the model that serves; the checkpoint has to give the same.
        spec: the encoders, their shapes and numbers.
        folder: of the engine cache; graphs lie in `graphs/` in it.
        max_bytes: cap for engines, and for graphs.
    """

    checkpoint: str
    weights_sha256: str
    spec: EngineSpec
    folder: Path
    max_bytes: int

    def graph_key(self, stage: Stage) -> GraphKey:
        """Return the key of a stage's graph."""
        return GraphKey(
            stage=stage,
            weights_sha256=self.weights_sha256,
            spec_sha256=self.spec.sha256,
            code_sha256=code_sha256(),
        )

    def graphs(self) -> GraphStore:
        """Open the store of graphs.

        Raises:
            EngineError: if others may write or read the folder.
        """
        EngineCache(self.folder, self.max_bytes)
        return GraphStore(self.folder / "graphs", self.max_bytes)

    def to_json(self) -> str:
        """Write as one line of JSON."""
        return json.dumps({**vars(self), "spec": self.spec.model_dump(), "folder": str(self.folder)})

    @classmethod
    def from_json(cls, text: str) -> Preparation:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "spec": EngineSpec(**fields["spec"]), "folder": Path(fields["folder"])})


def prepare(wanted: Preparation, report: Report) -> None:
    """Export what is not there, and build engines from it if the spec is for TensorRT.

    Args:
        wanted: what is to be there afterwards.
        report: told each step, in words.

    Raises:
        SpatialMLLMError: if something cannot be exported or built.
        OSError: if something cannot be written.
    """
    tensorrt = None
    if wanted.spec.runtime != "onnxruntime":
        from spatial_mllm_ros.runtime.tensorrt_api import find_tensorrt

        tensorrt = find_tensorrt(wanted.spec.runtime)
    store = wanted.graphs()
    for stage in wanted.spec.stages:
        key = wanted.graph_key(stage)

        def export(key: GraphKey = key) -> StoredGraph:
            return _export(wanted, key, store, report)

        with store.building(key, lambda stage=stage: report(f"waiting for another process that exports {stage}")):
            graph = store.find(key)
            if graph is None or (tensorrt is None and graph.path is None):
                graph = export()
            if tensorrt is not None:
                _build(tensorrt, wanted, stage, graph, export, report)
                store.drop(key)


def _load(wanted: Preparation, report: Report) -> SpatialMLLM:
    from spatial_mllm_ros.model import ENCODERS, load_spatial_mllm

    report(f"loading {wanted.checkpoint} to export it")
    model = load_spatial_mllm(wanted.checkpoint, "cpu", wanted.spec.dtype, parts=ENCODERS)
    if weights_sha256(model, wanted.spec.dtype) != wanted.weights_sha256:
        raise EngineError(f"{wanted.checkpoint} holds other weights than those that serve; start anew to load them")
    return model


def _export(wanted: Preparation, key: GraphKey, store: GraphStore, report: Report) -> StoredGraph:
    from spatial_mllm_ros.runtime.onnx_export import ExportedGraph, export_encoder

    def tell(step: str) -> None:
        report(f"exporting {key.stage}: {step}")

    def export(folder: Path) -> ExportedGraph:
        model = _load(wanted, report)
        report(f"exporting {key.stage}")
        return export_encoder(model, key.stage, wanted.spec, folder, tell)

    graph = store.add(key, export)
    gc.collect()  # the model's memory is the builder's now; the next stage reads the checkpoint again
    return graph


def _build(
    tensorrt: TensorRT,
    wanted: Preparation,
    stage: Stage,
    graph: StoredGraph,
    export: Callable[[], StoredGraph],
    report: Report,
) -> None:
    from spatial_mllm_ros.runtime.engine_builder import build_engine
    from spatial_mllm_ros.runtime.engine_key import engine_key

    cache = EngineCache(wanted.folder, wanted.max_bytes)
    key = engine_key(stage, graph.sha256, wanted.spec, tensorrt)
    with cache.building(key, lambda: report(f"waiting for another process that builds {stage}")):
        if isinstance(cache.load(key), CachedEngine):
            return
        if graph.path is None:
            graph = export()
            key = engine_key(stage, graph.sha256, wanted.spec, tensorrt)
        details: dict = {"spec": wanted.spec.model_dump()}
        progress = _progress(f"building {stage} with {tensorrt.flavour} {tensorrt.version}", report)

        def write(file) -> None:
            built = build_engine(tensorrt, graph.path, file, target=wanted.spec.target, progress=progress)
            details.update(vars(built))
            if built.activation_bytes is not None:
                wanted.spec.require_memory(stage, built.activation_bytes, f"{tensorrt.flavour} {tensorrt.version}")

        report(f"building {stage} with {tensorrt.flavour} {tensorrt.version}")
        cache.store(key, write, details)


def _progress(what: str, report: Report) -> Callable[[str, int, int], bool]:
    """Turn the builder's many steps into a line a second."""
    said_at = [time.monotonic()]

    def progress(phase: str, done: int, of: int) -> bool:
        if time.monotonic() - said_at[0] >= _STEP_S:
            said_at[0] = time.monotonic()
            report(f"{what}: {phase} {done}/{of}")
        return True

    return progress


def main() -> int:
    """Do what stdin says; return 0 if it is done, 1 if not, having said why."""
    lines = _own_stdout()
    wanted = Preparation.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(_NICENESS)
    try:
        prepare(wanted, lambda step: _say(lines, step=step))
    except SpatialMLLMError as error:
        _say(lines, error=str(error))
    except OSError as error:
        _say(lines, error=_disk_trouble(error, wanted.folder))
    else:
        _say(lines, done=True)
        return 0
    return 1


def _own_stdout() -> TextIO:
    """Keep stdout for the protocol; whatever a library prints goes to stderr."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return lines


def _say(lines: TextIO, **fields: object) -> None:
    print(json.dumps(fields), file=lines, flush=True)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def _disk_trouble(error: OSError, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space is left for engines in {folder}; free some, or set the parameter runtime.engine_folder"
    return f"engines cannot be kept in {folder}: {error}"


if __name__ == "__main__":
    sys.exit(main())
