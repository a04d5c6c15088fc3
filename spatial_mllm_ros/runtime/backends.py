"""Choose what runs the encoders, open it, and prove it against torch before it serves.

Takes a loaded model, an engine spec and the name of a backend; gives `Encoders`, or one sentence why torch serves.
Nothing is tried twice: whatever fails here stays given up until the program starts anew (DESIGN.md, decisions 6 and 7).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from spatial_mllm_ros.errors import EngineError, SpatialMLLMError
from spatial_mllm_ros.runtime.devices import pick_backend
from spatial_mllm_ros.runtime.encoder import Encoder, Encoders
from spatial_mllm_ros.runtime.engine_cache import CacheMiss
from spatial_mllm_ros.runtime.graph_store import weights_sha256
from spatial_mllm_ros.runtime.graphs import encoder_graph
from spatial_mllm_ros.runtime.loaders import LOADERS, Loader
from spatial_mllm_ros.runtime.parity import Parity, measure_parity, stored_inputs
from spatial_mllm_ros.runtime.preparation import Preparation
from spatial_mllm_ros.runtime.spec import EngineSpec, Stage
from spatial_mllm_ros.runtime.tensorrt_api import known_fault
from spatial_mllm_ros.runtime.torch_encoder import TorchEncoder

if TYPE_CHECKING:
    from spatial_mllm_ros.model import SpatialMLLM

__all__ = ["Opened", "Stopped", "open_encoders"]

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """Opening was stopped by its caller."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """What came of opening a backend.

    Attributes:
        encoders: to serve with; None if torch serves.
        problem: why torch serves though another backend was chosen; one line, empty if nothing went wrong.
        parities: how far each encoder was measured to be from torch.
    """

    encoders: Encoders | None = None
    problem: str = ""
    parities: tuple[Parity, ...] = ()

    @property
    def backend(self) -> str:
        """What serves: "torch", "onnxruntime" or "tensorrt"."""
        return "torch" if self.encoders is None else self.encoders.backend


def open_encoders(
    model: SpatialMLLM,
    spec: EngineSpec,
    backend: str,
    *,
    folder: Path,
    max_bytes: int,
    prepare: Callable[[Preparation], object] | None = None,
    report: Callable[[str], object] = lambda step: None,
    stop: threading.Event | None = None,
) -> Opened:
    """Load encoders, have them built if they are not there, and prove them; whatever fails, torch is to serve.

    Args:
        model: what serves meanwhile, and the reference for the proof.
        spec: shapes and numbers of the encoders.
        backend: "auto", "torch", "onnxruntime" or "tensorrt".
        folder: the engine cache.
        max_bytes: cap for engines, and for graphs.
        prepare: exports and builds what is missing; None takes only what is there.
        report: told each step, in words.
        stop: when set, the work ends at its next step.

    Raises:
        Stopped: if `stop` was set.
    """
    chosen = pick_backend(backend, str(model.device))
    if chosen == "torch":
        return Opened()
    steps = _Steps(report, stop or threading.Event())
    try:
        return _open(model, spec, chosen, folder, max_bytes, prepare, steps)
    except Stopped:
        raise
    except (SpatialMLLMError, OSError, RuntimeError, MemoryError) as error:  # RuntimeError: torch, out of memory say
        if steps.stop.is_set():
            raise Stopped from error
        _log.debug("%s cannot serve", chosen, exc_info=error)
        return Opened(problem=f"torch encodes, not {chosen}: {_one_line(error)}")


class _Steps:
    """Reports the steps of opening, and ends it between two of them."""

    def __init__(self, report: Callable[[str], object], stop: threading.Event) -> None:
        self.report, self.stop = report, stop

    def begin(self, step: str) -> None:
        self.check()
        self.report(step)

    def check(self) -> None:
        if self.stop.is_set():
            raise Stopped


def _open(
    model: SpatialMLLM,
    spec: EngineSpec,
    backend: str,
    folder: Path,
    max_bytes: int,
    prepare: Callable[[Preparation], object] | None,
    steps: _Steps,
) -> Opened:
    loader_type = LOADERS[backend]
    if spec.runtime not in loader_type.runtimes:
        raise EngineError(f'the engine spec "{spec.description}" is for {spec.runtime}; runtime.spec names another')
    steps.begin("looking for engines")
    loader = loader_type(spec, model.device)
    wanted = Preparation(
        checkpoint=model.name,
        weights_sha256=weights_sha256(model, spec.dtype),
        spec=spec,
        folder=folder,
        max_bytes=max_bytes,
    )
    loaded = loader.load(wanted)
    if isinstance(loaded, CacheMiss) and prepare is not None:
        _log.info("%s; torch encodes meanwhile", loaded.reason)
        steps.check()
        prepare(wanted)
        steps.begin("loading engines")
        loaded = loader.load(wanted)
    if isinstance(loaded, CacheMiss):
        raise EngineError(f"{loaded.reason}; `spatial-mllm build` makes it")
    return _prove(model, spec, backend, loader, loaded, steps)


def _prove(
    model: SpatialMLLM,
    spec: EngineSpec,
    backend: str,
    loader: Loader,
    compiled: Mapping[Stage, Encoder],
    steps: _Steps,
) -> Opened:
    """Compare each encoder with torch on stored inputs; only if all are close enough they serve."""
    references = {stage: TorchEncoder(encoder_graph(model, stage, spec)) for stage in get_args(Stage)}
    parities = []
    for stage, encoder in compiled.items():
        steps.begin(f"proving {stage}")
        inputs = [(name, values.to(model.device)) for name, values in stored_inputs(stage, spec)]
        parity = measure_parity(encoder, references[stage], inputs)
        parities.append(parity)
        if not parity.passed:
            problem = f"torch encodes, not {backend}: {_verdict(parity, loader.name)}"
            return Opened(problem=problem, parities=tuple(parities))
    encoders = Encoders(
        backend=backend,
        video_shape=(spec.num_keyframes, 3, spec.height, spec.width),
        device=model.device,
        **{**references, **compiled},
    )
    return Opened(encoders=encoders, parities=tuple(parities))


def _verdict(parity: Parity, library: str) -> str:
    if not parity.is_finite:
        found = "numbers that are not finite"
    else:
        found = f"cosine {parity.cosine:.5f}, relative error {parity.largest_relative_error:.1e}"
    differs = f"{parity.stage} by {library} differs from torch on {parity.input_name} ({found})"
    return "; ".join(filter(None, (differs, known_fault(library))))


def _one_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
