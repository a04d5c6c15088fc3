"""A double of the model, for tests of queues and threads: its answer spells out which keyframes and words it was given.

Exactness on real numbers is tested with the real model in test/reasoning/test_exactness.py.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import torch

from spatial_mllm_ros.errors import InputError


@dataclass
class FakeInputs:
    pixel_values: torch.Tensor
    grid_thw: tuple
    video: torch.Tensor


@dataclass
class FakePrefill:
    """The "KV cache" is the list of all tokens; a visual token is the mean brightness of a frame."""

    tokens: list = field(default_factory=list)

    @property
    def length(self):
        return len(self.tokens)

    def crop(self, length):
        del self.tokens[length:]


class FakePrompt:
    def prefix_ids(self, grid_thw):
        return [-1]

    def question_ids(self, question):
        if "<|im_end|>" in question:
            raise InputError("the question contains the special token <|im_end|>")
        return [ord(letter) for letter in question]


class FakeTextStream:
    def push(self, token):
        return chr(token)

    def flush(self):
        return ""


class FakeModel:
    """Answers with "<brightness of each keyframe>|<question>", one letter per token.

    `may_encode` and `may_speak` are gates that a test closes to hold the encoders or the decoder at a known point.
    """

    name = "fake"
    is_trained = True
    has_geometry = False
    device = torch.device("cpu")
    config = SimpleNamespace(repetition_penalty=1.0, scope=None)

    def __init__(self, *, fails=()):
        self.prompt = FakePrompt()
        self.fails = set(fails)
        self.may_encode, self.may_speak = threading.Event(), threading.Event()
        self.may_encode.set()
        self.may_speak.set()
        self.num_tried = 0
        self.num_encoded = 0
        self.spoken = 0
        self.encoding = threading.Event()

    def text_stream(self):
        return FakeTextStream()

    def visual_inputs(self, images):
        brightness = torch.tensor([float(image.mean()) for image in images])
        return FakeInputs(brightness, (len(images) // 2, 1, 2), brightness)

    def encode_2d(self, pixel_values, grid_thw):
        self.num_tried += 1
        self.encoding.set()
        self.may_encode.wait()
        if "encode" in self.fails:
            raise RuntimeError("the encoder is broken")
        return pixel_values

    def encode_frames(self, video):
        return video

    def encode_spatial(self, video, frame_tokens=None):
        return video

    def fuse(self, visual, spatial, grid_thw):
        return visual

    def prefill(self, input_ids, *, fused=None, grid_thw=None, past=None, room=0, logits="last"):
        state = past or FakePrefill()
        if fused is not None:
            self.num_encoded += 1
        else:
            self.question = input_ids
        state.tokens.extend(list(input_ids) if fused is None else [int(value) for value in fused])
        return state

    def generate(self, prefill, *, max_new_tokens, **_):
        if "generate" in self.fails:
            raise RuntimeError("the decoder is broken")
        seen = prefill.tokens[: prefill.length - len(self.question)]
        said = ",".join(map(str, seen)) + "|" + "".join(map(chr, self.question))
        for letter in said[:max_new_tokens]:
            self.may_speak.wait()
            prefill.tokens.append(ord(letter))
            self.spoken += 1
            yield ord(letter)
