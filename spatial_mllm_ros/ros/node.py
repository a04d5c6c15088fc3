"""The node `spatial_mllm`: a lifecycle node that watches a camera and answers questions about the space around it.

configure: begin to load the model, offer services, action and topics. activate: watch the camera. deactivate and
cleanup undo the two, in reverse. With the parameter `autostart` (the default) the node does the first two by itself.
"""

from __future__ import annotations

import functools
import logging
import signal
import sys
import threading
from collections.abc import Callable

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from spatial_mllm_ros.errors import SpatialMLLMError
from spatial_mllm_ros.frames import Frame, cv_bridge_probe
from spatial_mllm_ros.msg import Keyframes, SpatialAnswer
from spatial_mllm_ros.reasoning import Reasoner
from spatial_mllm_ros.ros import diagnostics
from spatial_mllm_ros.ros.camera_input import CameraInput
from spatial_mllm_ros.ros.config import Config
from spatial_mllm_ros.ros.conversions import keyframes_msg_from_selection
from spatial_mllm_ros.ros.coverage import CoveragePublisher
from spatial_mllm_ros.ros.logs import forward_logs
from spatial_mllm_ros.ros.parameters import NodeParameters
from spatial_mllm_ros.ros.pipeline import Pipeline
from spatial_mllm_ros.ros.qos import ANSWER, LATEST, describe_publishers
from spatial_mllm_ros.ros.question_doors import QuestionDoors, threads_needed
from spatial_mllm_ros.sampling import Selection

__all__ = ["SpatialMLLMNode", "main"]

_log = logging.getLogger(__name__)
_OTHER_THREADS = 6  # colour, depth, pose, timers, lifecycle services, one to spare

Return = TransitionCallbackReturn


def _logged(transition: Callable[[SpatialMLLMNode, LifecycleState], Return]) -> Callable:
    """Log what a transition raises; rclpy turns it into ERROR without a word."""

    @functools.wraps(transition)
    def run(node: SpatialMLLMNode, state: LifecycleState) -> Return:
        try:
            return transition(node, state)
        except Exception as error:  # the edge between rclpy and us
            _log.error("%s failed: %s", transition.__name__, error, exc_info=not isinstance(error, SpatialMLLMError))
            return Return.ERROR

    return run


class SpatialMLLMNode(LifecycleNode):
    """Camera in, answers out; see the module's contract.

    Raises:
        InputError: if a parameter override is not allowed.
    """

    def __init__(self, name: str = "spatial_mllm", **options: object) -> None:
        super().__init__(name, **options)
        forward_logs(self.get_logger())
        self._declared = NodeParameters(self, self._on_parameters)
        self._pipeline: Pipeline | None = None
        self._camera: CameraInput | None = None
        self._doors: QuestionDoors | None = None

    @property
    def config(self) -> Config:
        """All parameters as they are now."""
        return self._declared.config

    @property
    def num_threads(self) -> int:
        """Threads that the node's executor needs, so that waiting questions never hold up the camera."""
        return threads_needed(self.config.reasoning.queue_size) + _OTHER_THREADS

    def start(self) -> bool:
        """Configure and activate, as `autostart` does; say whether that went well."""
        configured = self.trigger_configure() == Return.SUCCESS
        return configured and self.trigger_activate() == Return.SUCCESS

    @_logged
    def on_configure(self, state: LifecycleState) -> Return:
        """Begin to load the model, and offer services, action and topics."""
        if self.config.decoding.use_cv_bridge:
            cv_bridge_probe()  # takes a moment: now rather than in the first camera callback
        self._answers = self.create_publisher(SpatialAnswer, "~/answer", ANSWER)
        self._keyframes = self.create_publisher(Keyframes, "~/keyframes", LATEST)
        self._coverage = CoveragePublisher(self)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", ANSWER)
        self._pipeline = Pipeline(self.config, self._on_selection)
        self._doors = QuestionDoors(self, self._active_reasoner, self._answers.publish)
        self._doors.open()
        group = MutuallyExclusiveCallbackGroup()
        self._reset = self.create_service(Trigger, "~/reset", self._on_reset, callback_group=group)
        period_s = self.config.node.diagnostics_period_s
        self._timer = self.create_timer(period_s, self._publish_diagnostics, callback_group=group)
        return Return.SUCCESS

    @_logged
    def on_activate(self, state: LifecycleState) -> Return:
        """Watch the camera."""
        self._camera = CameraInput(self, self.config, self._on_frame, self._forget)
        self._camera.open()
        self.get_logger().info(f"watching {self._camera.image_topic}")
        return super().on_activate(state)

    @_logged
    def on_deactivate(self, state: LifecycleState) -> Return:
        """Stop watching; questions are answered NOT_READY until the node is active again."""
        result = super().on_deactivate(state)
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
        self._forget()
        return result

    @_logged
    def on_cleanup(self, state: LifecycleState) -> Return:
        """Free what configure made."""
        self._free()
        return Return.SUCCESS

    @_logged
    def on_shutdown(self, state: LifecycleState) -> Return:
        """Free everything, from any state."""
        if self._camera is not None:
            self.on_deactivate(state)
        self._free()
        return Return.SUCCESS

    def on_error(self, state: LifecycleState) -> Return:
        """Free everything, so that the node can be configured again."""
        return self.on_shutdown(state)

    def _free(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is None:
            return
        self.destroy_timer(self._timer)
        self.destroy_service(self._reset)
        pipeline.close()  # ends the questions that wait, so that their threads come free
        self._doors.close()
        self._coverage.close()
        for publisher in (self._diagnostics, self._keyframes, self._answers):
            self.destroy_publisher(publisher)

    def _active_reasoner(self) -> Reasoner | None:
        pipeline = self._pipeline
        return pipeline.reasoner if pipeline is not None and self._camera is not None else None

    def _on_frame(self, frame: Frame) -> None:
        reasoner = self._active_reasoner()
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

    def _forget(self) -> None:
        pipeline = self._pipeline
        if pipeline is not None and pipeline.reasoner is not None:
            pipeline.reasoner.clear()

    def _on_parameters(self, config: Config) -> None:
        if self._camera is not None:
            self._camera.reconfigure(config)
        pipeline = self._pipeline
        if pipeline is not None and pipeline.reasoner is not None:
            pipeline.reasoner.reconfigure_selection(config.sampling)

    def _publish_diagnostics(self) -> None:
        pipeline, camera = self._pipeline, self._camera
        if pipeline is None:
            return
        reasoner = pipeline.reasoner
        status = [diagnostics.model_status(pipeline)]
        if camera is not None:
            silent_s = camera.seconds_since_image()
            if silent_s is not None and silent_s > self.config.assembler.max_delay_s:
                camera.release_waiting()
            status.append(
                diagnostics.camera_status(
                    diagnostics.CameraState(
                        topic=camera.image_topic,
                        publishers=describe_publishers(self, camera.image_topic),
                        silent_s=silent_s,
                        timeout_s=self.config.node.camera_timeout_s,
                        counts=camera.all_counts(),
                        qos_problems=camera.qos_problems,
                    )
                )
            )
        if reasoner is not None:
            state = reasoner.diagnostics()
            status += [diagnostics.keyframes_status(state), diagnostics.answers_status(state)]
        array = DiagnosticArray(status=status)
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return an exit status."""
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    is_over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_over.set())
    try:
        node = SpatialMLLMNode()
    except SpatialMLLMError as error:
        print(f"spatial_mllm: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = MultiThreadedExecutor(node.num_threads)
    executor.add_node(node)
    spinning = threading.Thread(target=_spin, args=(executor, is_over), name="spatial_mllm executor", daemon=True)
    spinning.start()
    is_well = node.start() if node.config.node.autostart else True
    if not is_well:
        is_over.set()
    while not is_over.wait(0.5):  # in slices, so that a signal is noticed at once on every platform
        pass
    node.trigger_shutdown()
    executor.shutdown(timeout_sec=5.0)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0 if is_well else 1


def _spin(executor: MultiThreadedExecutor, is_over: threading.Event) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    finally:
        is_over.set()


if __name__ == "__main__":
    sys.exit(main())
