"""Keyframes encoded as the reasoner encodes them, outside of its threads."""

from spatial_mllm_ros.reasoning.encoding import encode_keyframes


def run_all(stage, work, *arguments):
    """Run every stage, as long as it takes."""
    return work(*arguments)


def encoded_by(encoders, model, inputs):
    """What compiled encoders give the language model; fails if the keyframes do not fit them."""
    encoded = encode_keyframes(model, [], inputs, run_all, encoders=encoders)
    assert encoded.backend == encoders.backend
    return encoded.fused
