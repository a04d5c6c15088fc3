"""The `spatial-mllm` command. Takes words from a shell, gives text or JSON and an exit status; knows no ROS."""
