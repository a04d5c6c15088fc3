"""The prompt in two halves: what is the same for every question, and the question.

The first half ends behind `<|vision_end|>`, so that its keys and values can be kept while the keyframes stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spatial_mllm_ros.errors import CheckpointError, InputError
from spatial_mllm_ros.model.positions import grids_from
from spatial_mllm_ros.model.tokenizer import Tokenizer

__all__ = ["ChatPrompt"]

_VIDEO_PAD = "<|video_pad|>"
_VISION_END = "<|vision_end|>"
_PLACEHOLDER = "question"


class ChatPrompt:
    """Build prompts by the checkpoint's chat template, video before text.

    Args:
        tokenizer: the checkpoint's.
        merge: patches per side of the square that is one token.

    Raises:
        CheckpointError: if the template does not give a video and a question, in this order.
    """

    def __init__(self, tokenizer: Tokenizer, *, merge: int = 2) -> None:
        self._tokenizer = tokenizer
        self._merge = merge
        before, _, after = self.text(_PLACEHOLDER).partition(_VISION_END)
        if before.count(_VIDEO_PAD) != 1 or _PLACEHOLDER not in after:
            raise CheckpointError("the chat template does not put a video before the question, as Qwen2.5-VL's does")
        self._prefix = before + _VISION_END

    def text(self, question: str) -> str:
        """Give the whole prompt as text, with one `<|video_pad|>` for the video."""
        content = [{"type": "video", "video": ""}, {"type": "text", "text": question}]
        return self._tokenizer.render([{"role": "user", "content": content}])

    def prefix_ids(self, grid_thw: Sequence[int] | Tensor) -> Tensor:
        """Give the tokens int64 [1,Lp] up to and including `<|vision_end|>`, for a video of grid (t, h, w)."""
        ((pairs, rows, columns),) = grids_from(grid_thw)
        count = pairs * (rows // self._merge) * (columns // self._merge)
        return self._ids(self._prefix.replace(_VIDEO_PAD, _VIDEO_PAD * count))

    def question_ids(self, question: str) -> Tensor:
        """Give the tokens int64 [1,Lq] behind the prefix: the question and the opening of the answer.

        Prefix and question together are the tokens of the whole prompt.

        Raises:
            InputError: if the question is empty or contains a special token, which would end its turn.
        """
        if not question.strip():
            raise InputError("the question is empty")
        found = [token for token in self._tokenizer.special_tokens if token in question]
        if found:
            raise InputError(f"the question contains the special token {found[0]}")
        return self._ids(self.text(question).partition(_VISION_END)[2])

    def _ids(self, text: str) -> Tensor:
        return torch.tensor([self._tokenizer.encode(text)], dtype=torch.int64)
