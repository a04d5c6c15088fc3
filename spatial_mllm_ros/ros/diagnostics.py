"""What `/diagnostics` says about the node: state, camera, keyframes, answers, model. State in, messages out."""

from __future__ import annotations

import math
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from spatial_mllm_ros.reasoning import AnswerStatus, ReasonerDiagnostics
from spatial_mllm_ros.ros.camera_input import CameraState
from spatial_mllm_ros.ros.pipeline import Pipeline

__all__ = ["answers_status", "camera_status", "clock_status", "keyframes_status", "model_status"]

_LARGEST_AGE_S = 60.0  # an image older than this does not come from a live camera with the node's clock


def camera_status(name: str, camera: CameraState) -> DiagnosticStatus:
    """Say whether images come and can be used, and if not, why."""
    level, message = DiagnosticStatus.OK, "images are coming"
    if camera.qos_problems:
        level, message = DiagnosticStatus.ERROR, "; ".join(camera.qos_problems.values())
    elif camera.silence:
        level, message = DiagnosticStatus.WARN, camera.silence
    elif camera.image_problem:
        level, message = DiagnosticStatus.ERROR, f"images cannot be used: {camera.image_problem}"
    elif abs(camera.image_age_s) > _LARGEST_AGE_S:
        level = DiagnosticStatus.WARN
        message = (
            f"images are stamped {camera.image_age_s:.0f} s before this node's time; "
            "if a bag is played, play it with a clock and set use_sim_time"
        )
    values = {
        "topic": camera.topic,
        "publishers": camera.publishers,
        "image_age_s": f"{camera.image_age_s:.3f}",
        **dict(sorted(camera.counts.items())),
    }
    return _status(name, "camera", level, message, values)


def clock_status(name: str, state: str, uses_sim_time: bool, now_ns: int) -> DiagnosticStatus:
    """Say in which lifecycle state the node is, and whether its clock goes."""
    level, message = DiagnosticStatus.OK, state
    if uses_sim_time and now_ns == 0:
        level, message = DiagnosticStatus.WARN, f"{state}; use_sim_time is set but nothing is published on /clock"
    values = {"state": state, "use_sim_time": uses_sim_time, "time_s": f"{now_ns / 1e9:.3f}"}
    return _status(name, "node", level, message, values)


def keyframes_status(name: str, state: ReasonerDiagnostics) -> DiagnosticStatus:
    """Say whether there are keyframes to answer from, and how old they are."""
    level, message = DiagnosticStatus.OK, f"keyframe set {state.keyframes_version} is ready"
    if not state.is_ready:
        level, message = DiagnosticStatus.WARN, "no keyframes are encoded yet"
    elif state.encoder_problem:
        level, message = DiagnosticStatus.WARN, state.encoder_problem
    values = {
        "backend": state.backend,
        "window_frames": state.window_frames,
        "frames_taken": state.frames_received,
        "frames_dropped": state.frames_dropped,
        "prefix_age_s": "never" if math.isinf(state.prefix_age_s) else f"{state.prefix_age_s:.2f}",
        "prefixes_built": state.prefixes_built,
        "prefixes_abandoned": state.prefixes_abandoned,
        "pair_cache_hits": state.pair_cache_hits,
        "pair_cache_misses": state.pair_cache_misses,
        "frame_cache_hits": state.frame_cache_hits,
        "frame_cache_misses": state.frame_cache_misses,
        "cache_bytes": state.cache_bytes,
    }
    return _status(name, "keyframes", level, message, values)


def answers_status(name: str, state: ReasonerDiagnostics) -> DiagnosticStatus:
    """Say how questions ended, and how long their stages took."""
    level, message = DiagnosticStatus.OK, f"{state.questions_ended.get(AnswerStatus.OK, 0)} questions answered"
    if state.last_error:
        level, message = DiagnosticStatus.WARN, state.last_error
    values = {"waiting": state.questions_waiting}
    values.update({f"ended_{status.name.lower()}": number for status, number in sorted(state.questions_ended.items())})
    for stage, (median, percentile_95) in state.stages.items():
        values[f"{stage}_median_s"] = f"{median:.4f}"
        values[f"{stage}_p95_s"] = f"{percentile_95:.4f}"
    return _status(name, "answers", level, message, values)


def model_status(name: str, pipeline: Pipeline) -> DiagnosticStatus:
    """Say which model answers, where it runs, and what encodes for it."""
    level, message = DiagnosticStatus.OK, f"{pipeline.name} answers"
    if pipeline.problem:
        level, message = DiagnosticStatus.ERROR, pipeline.problem
    elif pipeline.reasoner is None:
        level, message = DiagnosticStatus.WARN, f"{pipeline.name} is being loaded"
    elif pipeline.engines_problem and pipeline.is_backend_asked_for:
        level, message = DiagnosticStatus.ERROR, pipeline.engines_problem
    elif not pipeline.is_trained:
        level, message = DiagnosticStatus.WARN, f"{pipeline.name} has random weights: its answers mean nothing"
    elif pipeline.engines_problem:
        level, message = DiagnosticStatus.WARN, pipeline.engines_problem
    values = {
        "checkpoint": pipeline.name,
        "device": pipeline.device,
        "backend": pipeline.backend,
        "engines": pipeline.engines_step or pipeline.engines_problem or "none are being made",
    }
    return _status(name, "model", level, message, values)


def _status(name: str, part: str, level: bytes, message: str, values: Mapping[str, object]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=f"{name}: {part}", message=message, hardware_id="", values=pairs)
