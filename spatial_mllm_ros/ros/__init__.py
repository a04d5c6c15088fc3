"""The ROS 2 door: messages in, stages called, messages out.

The only folder that imports `rclpy` and messages. It holds no logic that would work without ROS: frames are decoded and
put together in `frames`, keyframes chosen in `sampling`, questions answered in `reasoning`.
"""
