"""What is said about parameters elsewhere is what the config dataclasses say."""

from __future__ import annotations

from pathlib import Path

import pytest

from spatial_mllm_ros.ros.parameter_files import defaults_yaml, parameters_markdown

ROOT = Path(__file__).parents[2]
WAY_OUT = "run `python -m spatial_mllm_ros.ros.parameter_files`"


@pytest.mark.parametrize(
    ("path", "made"), [("config/spatial_mllm.yaml", defaults_yaml), ("docs/parameters.md", parameters_markdown)]
)
def test_files_made_from_the_parameters_are_up_to_date(path, made):
    assert (ROOT / path).read_text() == made(), WAY_OUT
