"""The node `spatial_mllm`: a lifecycle node that watches a camera and answers questions about the space around it.

configure: begin to load the model. activate: watch the camera. deactivate and cleanup undo the two, in reverse. With
the parameter `autostart` (the default) the node does the first two by itself. Services, action and diagnostics are
there in every state: a question to a node that is not active is answered NOT_READY.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import Callable, Sequence

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from spatial_mllm_ros.errors import SpatialMLLMError
from spatial_mllm_ros.frames import Frame, cv_bridge_probe
from spatial_mllm_ros.msg import Keyframes
from spatial_mllm_ros.reasoning import AnswerStatus, Reasoner
from spatial_mllm_ros.ros import diagnostics
from spatial_mllm_ros.ros.camera_input import CameraInput
from spatial_mllm_ros.ros.config import Config
from spatial_mllm_ros.ros.conversions import keyframes_msg_from_selection
from spatial_mllm_ros.ros.coverage import CoveragePublisher
from spatial_mllm_ros.ros.logs import LogForwarding
from spatial_mllm_ros.ros.parameters import NodeParameters
from spatial_mllm_ros.ros.pipeline import Pipeline, check_model, load_model
from spatial_mllm_ros.ros.process import run
from spatial_mllm_ros.ros.qos import ANSWER, LATEST
from spatial_mllm_ros.ros.question_doors import QuestionDoors, Unanswerable, threads_needed
from spatial_mllm_ros.ros.topics import is_depth_published
from spatial_mllm_ros.sampling import Selection

__all__ = ["SpatialMLLMNode", "main"]

_log = logging.getLogger("spatial_mllm_ros.ros.node")  # not __name__, which is __main__ under `python -m`
_OTHER_THREADS = 4  # timer and services, lifecycle, clock and tf, one to spare; the camera has a thread of its own
_TIME_JUMP = Duration(seconds=-1)  # a clock that goes back further than this has begun anew (a bag that loops)

Return = TransitionCallbackReturn


def _logged(transition: Callable[[SpatialMLLMNode, LifecycleState], Return]) -> Callable:
    """Log what a transition raises; rclpy turns it into ERROR without a word."""

    @functools.wraps(transition)
    def run(node: SpatialMLLMNode, state: LifecycleState) -> Return:
        try:
            return transition(node, state)
        except Exception as error:  # the edge between rclpy and us
            _log.exception("%s failed: %s", transition.__name__, error)
            return Return.ERROR

    return run


class SpatialMLLMNode(LifecycleNode):
    """Camera in, answers out; see the module's contract.

    Args:
        name: of the node, where no remapping says another.
        context: of rclpy; None for the default one.
        cli_args: ROS arguments besides those of the process.
        parameter_overrides: as from a parameter file.
        load: gives the model for the parameters.

    Raises:
        InputError: if a parameter override is not allowed.
    """

    def __init__(
        self,
        name: str = "spatial_mllm",
        *,
        context: Context | None = None,
        cli_args: list[str] | None = None,
        parameter_overrides: Sequence[Parameter] = (),
        load: Callable[[Config], object] = load_model,
    ) -> None:
        super().__init__(name, context=context, cli_args=cli_args, parameter_overrides=list(parameter_overrides))
        self._load = load
        self._logs = LogForwarding(self.get_logger())
        self._logs.open()
        self._pipeline: Pipeline | None = None  # while configured
        self._camera: CameraInput | None = None  # while active
        self._configured, self._activated = contextlib.ExitStack(), contextlib.ExitStack()
        self._is_finalized = False
        try:
            self._declared = NodeParameters(self, self._on_parameters)
        except SpatialMLLMError:
            self._logs.close()
            super().destroy_node()
            raise
        self._doors = QuestionDoors(self, self._active_reasoner)
        self._doors.open()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", ANSWER)
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, "~/reset", self._on_reset, callback_group=group)
        self.create_timer(  # on a clock of its own, so that it goes where nobody publishes /clock
            self.config.node.diagnostics_period_s,
            self._publish_diagnostics,
            callback_group=group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        threshold = JumpThreshold(min_forward=None, min_backward=_TIME_JUMP, on_clock_change=False)
        self._jump_handle = self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)

    @property
    def config(self) -> Config:
        """All parameters as they are now."""
        return self._declared.config

    @property
    def num_threads(self) -> int:
        """Threads that the node's executor needs, so that waiting questions hold up nothing else."""
        return threads_needed(self.config.reasoning.queue_size) + _OTHER_THREADS

    @property
    def is_loading(self) -> bool:
        """True while a model is being loaded."""
        return self._pipeline is not None and self._pipeline.is_loading

    def start(self) -> bool:
        """Configure and activate, as `autostart` does; say whether that went well."""
        configured = self.trigger_configure() == Return.SUCCESS
        return configured and self.trigger_activate() == Return.SUCCESS

    def stop(self, timeout_s: float = 2.0) -> None:
        """Shut down, from any state; questions under way end CANCELLED. The executor must still be spinning."""
        if not self._is_finalized:
            self.trigger_shutdown()
        self._doors.wait_until_idle(timeout_s)

    def destroy_node(self) -> None:
        """Free everything; the executor must not be spinning any more."""
        self._close()
        self._jump_handle.unregister()
        self._doors.close()
        self._logs.close()
        super().destroy_node()

    @_logged
    def on_configure(self, state: LifecycleState) -> Return:
        """Begin to load the model; fail at once if it cannot be there."""
        try:
            check_model(self.config)
        except SpatialMLLMError as error:
            _log.error("cannot configure: %s", error)
            return Return.FAILURE
        if self.config.decoding.use_cv_bridge:
            cv_bridge_probe()  # takes a moment: now rather than in the first camera callback
        made = self._configured
        self._keyframes = self.create_publisher(Keyframes, "~/keyframes", LATEST)
        made.callback(self.destroy_publisher, self._keyframes)
        self._coverage = CoveragePublisher(self)
        made.callback(self._coverage.close)
        has_depth = functools.partial(is_depth_published, self, self.config.node.depth_transport)
        self._pipeline = Pipeline(self.config, self._on_selection, self._load, has_depth)
        made.callback(self._close_pipeline)
        return Return.SUCCESS

    @_logged
    def on_activate(self, state: LifecycleState) -> Return:
        """Watch the camera."""
        camera = CameraInput(self, self.config, self._on_frame, self._pipeline.forget)
        self._activated.callback(self._stop_watching, camera)
        camera.open()
        self._camera = camera
        _log.info("watching %s", camera.image_topic)
        return super().on_activate(state)

    @_logged
    def on_deactivate(self, state: LifecycleState) -> Return:
        """Stop watching; questions under way end CANCELLED."""
        result = super().on_deactivate(state)
        self._activated.close()
        return result

    @_logged
    def on_cleanup(self, state: LifecycleState) -> Return:
        """Let go of the model."""
        self._configured.close()
        return Return.SUCCESS

    @_logged
    def on_shutdown(self, state: LifecycleState) -> Return:
        """Free everything, from any state."""
        self._is_finalized = True
        self._close()
        return Return.SUCCESS

    @_logged
    def on_error(self, state: LifecycleState) -> Return:
        """Free everything, so that the node can be configured again."""
        self._close()
        return Return.SUCCESS

    def _close(self) -> None:
        self._activated.close()
        self._configured.close()

    def _close_pipeline(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        pipeline.close()

    def _stop_watching(self, camera: CameraInput) -> None:
        self._camera = None
        camera.close()
        self._doors.end_all("the node was deactivated")
        self._pipeline.forget()

    def _active_reasoner(self) -> Reasoner:
        pipeline = self._pipeline
        if pipeline is None or self._camera is None:
            raise Unanswerable(AnswerStatus.NOT_READY, "the node is not active; activate it first")
        if pipeline.problem:
            raise Unanswerable(AnswerStatus.INTERNAL_ERROR, pipeline.problem)
        reasoner = pipeline.reasoner
        if reasoner is None:
            raise Unanswerable(AnswerStatus.NOT_READY, f"{pipeline.name} is still being loaded; see /diagnostics")
        return reasoner

    def _on_frame(self, frame: Frame) -> None:
        pipeline = self._pipeline
        reasoner = None if pipeline is None else pipeline.reasoner
        if reasoner is not None:
            reasoner.observe(frame)

    def _on_selection(self, selection: Selection) -> None:
        self._keyframes.publish(keyframes_msg_from_selection(selection))
        if self.config.node.publish_coverage:
            self._coverage.publish(selection)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._forget()
        response.success = True
        response.message = "frames and keyframes are forgotten"
        return response

    def _on_clock_jump(self, jump: object) -> None:
        _log.info("the clock went back; frames and keyframes are forgotten")
        self._forget()

    def _forget(self) -> None:
        camera, pipeline = self._camera, self._pipeline
        if camera is not None:
            camera.forget()
        if pipeline is not None:
            pipeline.forget()

    def _on_parameters(self, config: Config) -> None:
        camera, pipeline = self._camera, self._pipeline
        if camera is not None:
            camera.reconfigure(config)
        if pipeline is not None:
            pipeline.reconfigure(config)

    def _publish_diagnostics(self) -> None:
        name, pipeline, camera = self.get_name(), self._pipeline, self._camera
        state = "active" if camera is not None else "inactive" if pipeline is not None else "unconfigured"
        state = "finalized" if self._is_finalized else state
        uses_sim_time = self.get_parameter("use_sim_time").value
        status = [diagnostics.clock_status(name, state, uses_sim_time, self.get_clock().now().nanoseconds)]
        if pipeline is not None:
            status.append(diagnostics.model_status(name, pipeline))
        if camera is not None:
            status.append(diagnostics.camera_status(name, camera.check()))
        reasoner = None if pipeline is None else pipeline.reasoner
        if reasoner is not None:
            reasoning = reasoner.diagnostics()
            status += [diagnostics.keyframes_status(name, reasoning), diagnostics.answers_status(name, reasoning)]
        array = DiagnosticArray(status=status)
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return an exit status."""
    return run(SpatialMLLMNode, args)


if __name__ == "__main__":
    sys.exit(main())
