from hypothesis import settings

# No test asserts a time, so none may fail for one on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
