"""Load the model and put the stages together, as the parameters say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from spatial_mllm_ros.errors import SpatialMLLMError
from spatial_mllm_ros.geometry import choose_provider
from spatial_mllm_ros.reasoning import Reasoner
from spatial_mllm_ros.ros.config import Config
from spatial_mllm_ros.sampling import KeyframeSelector, Selection

__all__ = ["Pipeline"]

_log = logging.getLogger(__name__)


class Pipeline:
    """The model and its reasoner. Loading goes on in a thread of its own, since a full-size model takes a minute.

    Args:
        config: all parameters.
        on_selection: called from a background thread with every new keyframe set.

    Attributes:
        reasoner: None until the model is loaded, and after `close`.
        problem: why there will be none; empty while there is hope.
    """

    backend = "torch"

    def __init__(self, config: Config, on_selection: Callable[[Selection], object]) -> None:
        self.reasoner: Reasoner | None = None
        self.problem = ""
        self.device = config.model.device
        self._config, self._on_selection = config, on_selection
        self._is_closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._load, name="spatial_mllm load", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """Name of the checkpoint."""
        return self._config.model.checkpoint

    @property
    def is_trained(self) -> bool:
        """False while the model has random weights or is not loaded."""
        return self.reasoner is not None and self.reasoner.model.is_trained

    def close(self) -> None:
        """Stop the reasoner; a model still being loaded is thrown away when it is there."""
        with self._lock:
            self._is_closed = True
            reasoner, self.reasoner = self.reasoner, None
        if reasoner is not None:
            reasoner.close()

    def _load(self) -> None:
        try:
            reasoner = self._make_reasoner()
        except SpatialMLLMError as error:
            self.problem = str(error)
            _log.error("the model cannot be loaded: %s", error)
            return
        except Exception as error:  # the edge of a thread: out of memory, say; diagnostics must tell
            self.problem = f"the model cannot be loaded: {error}"
            _log.exception("the model cannot be loaded")
            return
        with self._lock:
            if not self._is_closed:
                self.reasoner = reasoner
        if self._is_closed:
            reasoner.close()
        elif not reasoner.model.is_trained:
            _log.warning("%s has random weights: its answers mean nothing", self.name)

    def _make_reasoner(self) -> Reasoner:
        from spatial_mllm_ros.model import load_spatial_mllm
        from spatial_mllm_ros.runtime import pick_device, pick_dtype

        config = self._config
        self.device = pick_device(config.model.device)
        needs_vggt = config.geometry.provider == "vggt"
        model = load_spatial_mllm(
            config.model.checkpoint,
            device=self.device,
            dtype=pick_dtype(config.model.dtype, self.device),
            geometry=needs_vggt,
        )
        provider = choose_provider(
            config.geometry, has_depth=True, has_pose=True, predict=model.predict_geometry if needs_vggt else None
        )
        return Reasoner(
            model,
            KeyframeSelector(config.sampling),
            provider,
            config.reasoning,
            buffer=config.buffer,
            backend=self.backend,
            on_selection=self._on_selection,
        )
