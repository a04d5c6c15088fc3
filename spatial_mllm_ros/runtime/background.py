"""Open encoders beside a model that serves already: load, build, prove, and hand over when all is well."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from spatial_mllm_ros.errors import SpatialMLLMError
from spatial_mllm_ros.runtime.backends import Opened, Stopped, open_encoders
from spatial_mllm_ros.runtime.config import RuntimeConfig
from spatial_mllm_ros.runtime.devices import pick_spec
from spatial_mllm_ros.runtime.engine_cache import default_cache_folder
from spatial_mllm_ros.runtime.niceness import yield_to_others
from spatial_mllm_ros.runtime.preparation_process import PreparationProcess
from spatial_mllm_ros.runtime.spec import default_specs_folder, load_spec

if TYPE_CHECKING:
    from spatial_mllm_ros.model import SpatialMLLM
    from spatial_mllm_ros.runtime.encoder import Encoders
    from spatial_mllm_ros.runtime.preparation import Preparation

__all__ = ["BackgroundOpening"]

_log = logging.getLogger(__name__)
_NICENESS = 10  # what serves goes first


class BackgroundOpening:
    """Opens what `RuntimeConfig` asks for in a thread of its own; torch serves until then, and if it fails.

    Args:
        model: the model that serves.
        config: which backend, spec and folder.
        use: called from the thread with the encoders, once, if they have proved themselves.

    Attributes:
        step: what is being done; empty when it has ended.
        problem: why torch serves though something else was wanted; one line, empty if nothing went wrong.
    """

    def __init__(self, model: SpatialMLLM, config: RuntimeConfig, use: Callable[[Encoders], object]) -> None:
        self.step = "beginning"
        self.problem = ""
        self._model, self._config, self._use = model, config, use
        self._stop = threading.Event()
        self._process = PreparationProcess()
        self._thread = threading.Thread(target=self._run, name="spatial_mllm engines", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """True while encoders are being opened."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End it: a builder is killed, a proof ends after the encoder that it is about."""
        self._stop.set()
        self._process.stop()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        yield_to_others(_NICENESS)
        try:
            opened = self._open()
        except Stopped:
            return
        except SpatialMLLMError as error:
            opened = Opened(problem=f"torch encodes: {error}")
        except Exception as error:  # the edge of a thread: torch goes on serving, and diagnostics must tell
            _log.exception("opening encoders failed")
            opened = Opened(problem=f"torch encodes: {str(error) or type(error).__name__}")
        if opened.encoders is not None and not self._stop.is_set():
            self._use(opened.encoders)
            _log.info("%s encodes from the next keyframes on", opened.backend)
        if opened.problem:
            _log.log(logging.WARNING if self._config.backend == "auto" else logging.ERROR, "%s", opened.problem)
        self.problem, self.step = opened.problem, ""

    def _open(self) -> Opened:
        config = self._config
        return open_encoders(
            self._model,
            load_spec(pick_spec(config.spec, str(self._model.device)), default_specs_folder()),
            config.backend,
            folder=Path(config.engine_folder).expanduser() if config.engine_folder else default_cache_folder(),
            max_bytes=int(config.cache_gib * (1 << 30)),
            prepare=self._prepare if config.builds else None,
            report=self._report,
            stop=self._stop,
        )

    def _prepare(self, wanted: Preparation) -> None:
        self._process.run(wanted, self._report)

    def _report(self, step: str) -> None:
        if step != self.step:
            _log.debug("%s", step)
        self.step = step
