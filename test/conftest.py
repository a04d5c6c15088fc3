"""What holds for every test."""

from hypothesis import settings

settings.register_profile("busy", deadline=None)  # how long one example takes says more about the machine than the code
settings.load_profile("busy")
