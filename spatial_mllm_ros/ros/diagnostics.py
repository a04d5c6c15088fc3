"""What `/diagnostics` says about the node: camera, keyframes, answers, model. State in, messages out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from spatial_mllm_ros.reasoning import AnswerStatus, ReasonerDiagnostics
from spatial_mllm_ros.ros.pipeline import Pipeline

__all__ = ["CameraState", "answers_status", "camera_status", "keyframes_status", "model_status"]


@dataclass(frozen=True, kw_only=True)
class CameraState:
    """What is known about the camera's topics.

    Attributes:
        topic: resolved name of the colour topic.
        publishers: who publishes on it, in words.
        silent_s: seconds since the last image; None if there was none.
        timeout_s: from when on silence is worth a warning.
        counts: of messages by outcome.
        qos_problems: by topic, in words.
    """

    topic: str
    publishers: str
    silent_s: float | None
    timeout_s: float
    counts: Counter[str]
    qos_problems: Mapping[str, str]


def camera_status(camera: CameraState) -> DiagnosticStatus:
    """Say whether images come, and if not, why."""
    level, message = DiagnosticStatus.OK, "images are coming"
    if camera.qos_problems:
        level, message = DiagnosticStatus.ERROR, next(iter(camera.qos_problems.values()))
    elif camera.silent_s is None:
        level = DiagnosticStatus.WARN
        message = f"no image on {camera.topic} yet: {camera.publishers}; is ~/image remapped?"
    elif camera.silent_s > camera.timeout_s:
        level = DiagnosticStatus.WARN
        message = f"no image on {camera.topic} for {camera.silent_s:.0f} s: {camera.publishers}"
    values = {"topic": camera.topic, "publishers": camera.publishers, **dict(sorted(camera.counts.items()))}
    return _status("camera", level, message, values)


def keyframes_status(state: ReasonerDiagnostics) -> DiagnosticStatus:
    """Say whether there are keyframes to answer from, and how old they are."""
    level, message = DiagnosticStatus.OK, f"keyframe set {state.keyframes_version} is ready"
    if not state.is_ready:
        level, message = DiagnosticStatus.WARN, "no keyframes are encoded yet"
    values = {
        "window_frames": state.window_frames,
        "frames_taken": state.frames_received,
        "frames_dropped": state.frames_dropped,
        "prefix_age_s": f"{state.prefix_age_s:.2f}",
        "prefixes_built": state.prefixes_built,
        "prefixes_abandoned": state.prefixes_abandoned,
        "pair_cache_hits": state.pair_cache_hits,
        "pair_cache_misses": state.pair_cache_misses,
    }
    return _status("keyframes", level, message, values)


def answers_status(state: ReasonerDiagnostics) -> DiagnosticStatus:
    """Say how questions ended, and how long their stages took."""
    level, message = DiagnosticStatus.OK, f"{state.questions_ended.get(AnswerStatus.OK, 0)} questions answered"
    if state.last_error:
        level, message = DiagnosticStatus.WARN, state.last_error
    values = {"waiting": state.questions_waiting}
    values.update({f"ended_{status.name.lower()}": number for status, number in sorted(state.questions_ended.items())})
    for stage, (median, percentile_95) in state.stages.items():
        values[f"{stage}_median_s"] = f"{median:.4f}"
        values[f"{stage}_p95_s"] = f"{percentile_95:.4f}"
    return _status("answers", level, message, values)


def model_status(pipeline: Pipeline) -> DiagnosticStatus:
    """Say which model answers, and where it runs."""
    level, message = DiagnosticStatus.OK, f"{pipeline.name} answers"
    if pipeline.problem:
        level, message = DiagnosticStatus.ERROR, pipeline.problem
    elif pipeline.reasoner is None:
        level, message = DiagnosticStatus.WARN, f"{pipeline.name} is being loaded"
    elif not pipeline.is_trained:
        level, message = DiagnosticStatus.WARN, f"{pipeline.name} has random weights: its answers mean nothing"
    values = {"checkpoint": pipeline.name, "device": pipeline.device, "backend": pipeline.backend}
    return _status("model", level, message, values)


def _status(part: str, level: bytes, message: str, values: Mapping[str, object]) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=f"spatial_mllm: {part}", message=message, hardware_id="", values=pairs)
