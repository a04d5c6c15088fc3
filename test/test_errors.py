"""A door catches all errors of the package by one type, and other code by the type that Python has for them."""

import pytest

from spatial_mllm_ros import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_one_of_the_packages(name):
    assert issubclass(getattr(errors, name), errors.SpatialMLLMError)


def test_bad_input_is_a_value_error_and_a_missing_library_an_import_error():
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.DependencyError, ImportError)
