"""Which transformers releases can be used, and where they keep the classes that we take layers from."""

from __future__ import annotations

import functools
import re
from types import ModuleType

from spatial_mllm_ros.errors import DependencyError

__all__ = ["check_transformers", "qwen_module"]

OLDEST = (4, 49, 0)  # the first with Qwen2.5-VL
# `get_rope_index` gives wrong positions (huggingface/transformers#45325, fixed in 5.5.4). Our positions are our own,
# but whoever compares with transformers on such a machine, or trains there, would get other numbers.
BROKEN = ((5, 4, 0), (5, 5, 3))
_WAY_OUT = "; install transformers>=5.5.4, or any from 4.49 to 5.3"


def check_transformers(version: str) -> None:
    """Refuse releases of transformers that lack Qwen2.5-VL or get it wrong.

    Raises:
        DependencyError: naming the version and the reason.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    numbers += (0,) * (3 - len(numbers))
    if numbers < OLDEST:
        raise DependencyError(f"transformers {version} has no Qwen2.5-VL{_WAY_OUT}")
    if BROKEN[0] <= numbers <= BROKEN[1]:
        raise DependencyError(
            f"transformers {version} computes wrong positions for Qwen2.5-VL (releases 5.4.0 to 5.5.3){_WAY_OUT}"
        )


@functools.lru_cache(maxsize=1)
def qwen_module() -> ModuleType:
    """Import transformers' Qwen2.5-VL, once.

    Raises:
        DependencyError: if transformers is missing or cannot be used.
    """
    try:
        import transformers
    except ImportError as error:
        raise DependencyError("the model needs transformers; `pip install transformers`") from error
    check_transformers(transformers.__version__)
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl

    return modeling_qwen2_5_vl
