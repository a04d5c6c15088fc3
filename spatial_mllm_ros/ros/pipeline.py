"""Load the model and put the stages together, as the parameters say."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spatial_mllm_ros.errors import SpatialMLLMError
from spatial_mllm_ros.geometry import (
    DepthElseVggt,
    DepthProvider,
    GeometryConfig,
    PointMapProvider,
    VggtProvider,
    choose_provider,
)
from spatial_mllm_ros.reasoning import Reasoner
from spatial_mllm_ros.ros.config import Config
from spatial_mllm_ros.sampling import KeyframeSelector, Selection

if TYPE_CHECKING:
    from spatial_mllm_ros.model import SpatialMLLM
    from spatial_mllm_ros.runtime.background import BackgroundOpening

__all__ = ["Pipeline", "check_model", "load_model"]

_log = logging.getLogger(__name__)
_HEADS = {"vggt": True, "auto": None, "depth": False, "none": False}  # whether VGGT's are loaded; None: if there
_DISCOVERY_S = 1.0  # a node just made finds other nodes' publishers after 0.1 to 0.35 s
_LOOK_EVERY_S = 0.02


def check_model(config: Config) -> None:
    """Find out what can be told about the model without loading it or fetching it from a hub.

    Raises:
        CheckpointError: if the folder is missing, or lacks files or is damaged at first sight.
        InputError: if the device is not there.
    """
    from spatial_mllm_ros.model.checkpoint import find_checkpoint, open_checkpoint
    from spatial_mllm_ros.runtime import pick_device

    pick_device(config.model.device)
    checkpoint = config.model.checkpoint
    is_path = checkpoint.startswith((".", "~", "/")) or Path(checkpoint).is_dir()
    if is_path:
        open_checkpoint(find_checkpoint(checkpoint))


def load_model(config: Config) -> SpatialMLLM:
    """Load the model that the parameters name.

    Raises:
        CheckpointError: if it cannot be had, or is not what it should be.
    """
    from spatial_mllm_ros.model import load_spatial_mllm
    from spatial_mllm_ros.runtime import pick_device, pick_dtype

    device = pick_device(config.model.device)
    return load_spatial_mllm(
        config.model.checkpoint,
        device=device,
        dtype=pick_dtype(config.model.dtype, device),
        geometry=_HEADS[config.geometry.provider],
    )


class Pipeline:
    """The model and its reasoner. Loading goes on in a thread of its own, since a full-size model takes a minute.

    Args:
        config: all parameters.
        on_selection: called from a background thread with every new keyframe set.
        load: gives the model.
        has_depth: says whether depth, intrinsics and poses are published, so that VGGT's heads need not be loaded;
            asked for up to a second, never after `close`.

    Attributes:
        reasoner: None until the model is loaded, and after `close`.
        problem: why there will be none; empty while there is hope.
    """

    def __init__(
        self,
        config: Config,
        on_selection: Callable[[Selection], object],
        load: Callable[[Config], SpatialMLLM] = load_model,
        has_depth: Callable[[], bool] = lambda: False,
    ) -> None:
        self.reasoner: Reasoner | None = None
        self.problem = ""
        self._config, self._on_selection, self._load_model = config, on_selection, load
        self._has_depth = has_depth
        self._engines: BackgroundOpening | None = None
        self._is_closed = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._load, name="spatial_mllm load", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """Name of the checkpoint."""
        return self._config.model.checkpoint

    @property
    def device(self) -> str:
        """Where the model runs; until it is loaded, where it shall."""
        reasoner = self.reasoner
        return self._config.model.device if reasoner is None else str(reasoner.model.device)

    @property
    def backend(self) -> str:
        """What encodes the next keyframes."""
        reasoner = self.reasoner
        return "torch" if reasoner is None else reasoner.backend

    @property
    def engines_step(self) -> str:
        """What is being done to have engines; empty if nothing is."""
        engines = self._engines
        return "" if engines is None else engines.step

    @property
    def engines_problem(self) -> str:
        """Why torch encodes though another backend was chosen; empty if nothing went wrong."""
        engines = self._engines
        return "" if engines is None else engines.problem

    @property
    def is_backend_asked_for(self) -> bool:
        """True if the backend was named, not left to `auto`."""
        return self._config.runtime.backend != "auto"

    @property
    def is_trained(self) -> bool:
        """False while the model has random weights or is not loaded."""
        reasoner = self.reasoner
        return reasoner is not None and reasoner.model.is_trained

    @property
    def is_loading(self) -> bool:
        """True while the thread that loads the model is alive."""
        return self._thread.is_alive()

    def reconfigure(self, config: Config) -> None:
        """Take over the live parameters."""
        with self._lock:
            self._config = config
            if self.reasoner is not None:
                self.reasoner.reconfigure_selection(config.sampling)

    def forget(self) -> None:
        """Forget all frames and keyframes."""
        reasoner = self.reasoner
        if reasoner is not None:
            reasoner.clear()

    def close(self) -> None:
        """Stop the reasoner; a model still being loaded is thrown away when it is there."""
        with self._lock:
            self._is_closed.set()
            reasoner, self.reasoner = self.reasoner, None
        if self._engines is not None:
            self._engines.close()
        if reasoner is not None:
            reasoner.close()

    def _load(self) -> None:
        try:
            config = self._config
            if config.geometry.provider == "auto" and self._finds_depth():
                config = replace(config, geometry=replace(config.geometry, provider="depth"))
            if self._is_closed.is_set():
                return
            model = self._load_model(config)
            with self._lock:
                if self._is_closed.is_set():
                    return
                self.reasoner = self._make_reasoner(model)
                self._open_engines(model)
        except SpatialMLLMError as error:
            self.problem = f"the model cannot be loaded: {error}"
            _log.error("%s", self.problem)
        except Exception as error:  # the edge of a thread: out of memory, say; diagnostics must tell
            self.problem = f"the model cannot be loaded: {error}"
            _log.exception("the model cannot be loaded")
        else:
            _log.info("%s is loaded on %s", self.name, self.device)
            if not model.is_trained:
                _log.warning("%s has random weights: its answers mean nothing", self.name)

    def _finds_depth(self) -> bool:
        deadline = time.monotonic() + _DISCOVERY_S
        while True:
            with self._lock:  # `close` waits for it, so the node is still there
                if self._is_closed.is_set():
                    return False
                if self._has_depth():
                    return True
            if time.monotonic() > deadline or self._is_closed.wait(_LOOK_EVERY_S):
                return False

    def _make_reasoner(self, model: SpatialMLLM) -> Reasoner:
        config = self._config
        return Reasoner(
            model,
            KeyframeSelector(config.sampling),
            _provider(config.geometry, model),
            config.reasoning,
            buffer=config.buffer,
            on_selection=self._on_selection,
        )

    def _open_engines(self, model: SpatialMLLM) -> None:
        """Begin to load or build what shall encode in place of torch, which serves meanwhile."""
        from spatial_mllm_ros.runtime import pick_backend

        if pick_backend(self._config.runtime.backend, str(model.device)) == "torch":
            return
        from spatial_mllm_ros.runtime.background import BackgroundOpening

        self._engines = BackgroundOpening(model, self._config.runtime, self.reasoner.use_encoders)
        self._engines.start()


def _provider(config: GeometryConfig, model: SpatialMLLM) -> PointMapProvider | None:
    predict = model.predict_geometry if model.has_geometry else None
    if config.provider == "auto" and predict is not None:
        return DepthElseVggt(DepthProvider(config), VggtProvider(predict, config))
    return choose_provider(config, has_depth=True, has_pose=True, predict=predict)
