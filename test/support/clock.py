"""A clock that goes as a test says, so that a budget of training time is a number of steps on every machine."""

from types import SimpleNamespace


class Clock:
    """Seconds that pass only when they are added, or `per_look` of them with every look."""

    def __init__(self, per_look=0.0):
        self.now, self.per_look = 0.0, per_look

    def __call__(self):
        self.now += self.per_look
        return self.now


def put_clock(monkeypatch, per_look=0.0):
    """Put a clock in place of the one by which a training run counts its time, and give it."""
    clock = Clock(per_look)
    monkeypatch.setattr("spatial_mllm_ros.training.run.time", SimpleNamespace(process_time=clock))
    return clock
