"""The latency benchmark compares like with like: every way gives the same words, and says what it cost."""

import json
from xml.etree import ElementTree

import pytest

from spatial_mllm_ros.bench import latency
from spatial_mllm_ros.bench.ways import QUESTIONS, Cold, Plain, Warm, noise_images
from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.model import load_spatial_mllm


@pytest.fixture(scope="module")
def network():
    return load_spatial_mllm("random-small")


@pytest.mark.parametrize("num_keyframes", [2, 16])
def test_straightforward_cold_and_warm_say_the_same(network, num_keyframes):
    images = noise_images(num_keyframes, (112, 84))
    told = []
    for way in (Plain, Cold, Warm):
        asked = way(network, images, 12)
        told.append([asked.ask(question) for question in QUESTIONS])
        asked.close()
    for plain, cold, warm in zip(*told, strict=True):
        assert plain.text == cold.text == warm.text
        assert plain.num_tokens == cold.num_tokens == warm.num_tokens > 0
        for answer in (plain, cold, warm):
            assert 0 < answer.first_token_s <= answer.total_s


@pytest.mark.slow
def test_result_is_written_as_json_and_picture(tmp_path, parse):
    arguments = ["--models", "random-small", "-k", "2", "--rounds", "1", "--max-new-tokens", "4", "--json"]
    assert latency.run(parse(*arguments, "--out", str(tmp_path))) == 0
    (model,) = json.loads((tmp_path / "latency.json").read_text())["models"]
    assert model["same_words"]
    assert set(model["ways"]) == {"plain", "cold", "warm", "loaded"}
    assert model["ways"]["plain"]["first_token_s"]["plain_by_this"] == 1
    for peak in model["peak_memory"].values():
        assert 0 < peak["before_bytes"] <= peak["peak_bytes"]
    ElementTree.parse(tmp_path / "latency.svg")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["-k", "3"], "must be even"),
        (["--rounds", "0"], "at least 1"),
        (["--size", "250x196"], "multiples of 28"),
        (["--size", "wide"], "WxH"),
    ],
)
def test_bad_sizes_are_refused_at_once(parse, arguments, message):
    with pytest.raises(InputError, match=message):
        latency.run(parse(*arguments))


@pytest.fixture
def parse():
    import argparse

    parser = argparse.ArgumentParser()
    latency.add_arguments(parser)
    return lambda *words: parser.parse_args(words)
