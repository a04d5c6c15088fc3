import pytest
import torch
from support.qwen_reference import text_pair

from spatial_mllm_ros.model.config import TextConfig
from spatial_mllm_ros.model.kv_cache import KVCache
from spatial_mllm_ros.model.network import build_language_model

CONFIG = TextConfig(
    vocab_size=50,
    hidden_size=48,
    intermediate_size=64,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    mrope_section=(2, 1, 1),
)
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def models():
    with torch.device("meta"):
        ours = build_language_model(CONFIG)
    theirs = text_pair(CONFIG, ours)
    return ours.eval().requires_grad_(False), theirs


@pytest.fixture(scope="module")
def prompt():
    """Embeddings [1,40,48] and positions [3,1,40] that differ between the axes."""
    generator = torch.Generator().manual_seed(5)
    positions = torch.randint(0, 60, (3, 1, 40), generator=generator).sort(dim=-1).values
    return torch.randn(1, 40, CONFIG.hidden_size, generator=generator), positions


def run(model, embeds, positions, cuts=(), mask=None):
    cache = KVCache(CONFIG.num_hidden_layers)
    bounds = [0, *cuts, embeds.shape[1]]
    parts = [
        model(embeds[:, a:b], positions[..., a:b], cache, None if mask is None else mask[:, :b])
        for a, b in zip(bounds, bounds[1:])
    ]
    return torch.cat(parts, dim=1), cache


def test_one_pass_equals_transformers(models, prompt):
    ours, theirs = models
    torch.testing.assert_close(run(ours, *prompt)[0], theirs(*prompt)[0], **TOLERANCE)


@pytest.mark.parametrize("cuts", [(1,), (39,), (17, 18, 19), (10, 25), tuple(range(1, 40))])
def test_passes_one_after_another_equal_one_pass(models, prompt, cuts):
    ours, _ = models
    torch.testing.assert_close(run(ours, *prompt, cuts)[0], run(ours, *prompt)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cuts", [(), (12,), (12, 13)])
def test_padding_on_the_left_equals_transformers(models, prompt, cuts):
    ours, theirs = models
    mask = torch.ones(1, 40, dtype=torch.bool)
    mask[:, :7] = False
    hidden, _ = run(ours, *prompt, cuts, mask)
    torch.testing.assert_close(hidden[:, 7:], theirs(*prompt, attention_mask=mask.long())[0][:, 7:], **TOLERANCE)
    assert hidden.isfinite().all()


def test_padding_does_not_change_what_follows(models, prompt):
    ours, _ = models
    embeds, positions = prompt
    mask = torch.ones(1, 40, dtype=torch.bool)
    mask[:, :7] = False
    padded, _ = run(ours, embeds, positions, mask=mask)
    alone, _ = run(ours, embeds[:, 7:], positions[..., 7:])
    torch.testing.assert_close(padded[:, 7:], alone, rtol=1e-5, atol=1e-5)


def test_cropping_restores_the_prefix_exactly(models, prompt):
    ours, _ = models
    embeds, positions = prompt
    _, cache = run(ours, embeds[:, :30], positions[..., :30])
    first = ours(embeds[:, 30:], positions[..., 30:], cache)
    cache.crop(30)
    ours(torch.randn(1, 300, 48), torch.arange(300).expand(3, 1, -1), cache)  # another question, longer than the room
    cache.crop(30)
    assert torch.equal(ours(embeds[:, 30:], positions[..., 30:], cache), first)


def test_a_pass_that_fails_half_way_leaves_the_cache_as_it_was(models, prompt, monkeypatch):
    ours, _ = models
    embeds, positions = prompt
    _, cache = run(ours, embeds[:, :30], positions[..., :30])
    with monkeypatch.context() as patch:
        patch.setattr(ours.layers[2].mlp, "forward", lambda x: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ours(torch.randn(1, 5, 48), positions[..., :5], cache)
    assert cache.length == 30
    again = ours(embeds[:, 30:], positions[..., 30:], cache)
    torch.testing.assert_close(again, run(ours, *prompt)[0][:, 30:], rtol=1e-5, atol=1e-5)


def test_bfloat16_keeps_the_direction(models, prompt):
    ours, _ = models
    half = build_language_model(CONFIG).bfloat16().eval()
    half.load_state_dict({name: t.bfloat16() for name, t in ours.state_dict().items()})
    with torch.no_grad():
        short = run(half, prompt[0].bfloat16(), prompt[1])[0].float()
    assert torch.cosine_similarity(short.flatten(), run(ours, *prompt)[0].flatten(), dim=0) > 0.999
