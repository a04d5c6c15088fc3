"""Transformers' own Qwen2.5-VL parts with random weights, and its positions: the reference for ours."""

import functools

import torch

from spatial_mllm_ros.bench.transformers_qwen import ReferenceText, ReferenceVision
from spatial_mllm_ros.model.versions import qwen_module


def vision_pair(config, ours):
    """Give `ours` (a `VisionTower` on the meta device) random weights, and transformers' tower with the same."""
    randomise(ours)
    return ReferenceVision(config, ours)


def text_pair(config, ours):
    """Give `ours` (a `LanguageModel` on the meta device) random weights, and transformers' model with the same."""
    randomise(ours)
    return ReferenceText(config, ours)


def randomise(module):
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, tensor in module.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator)
        scale = 0.3 if tensor.ndim == 1 else tensor[0].numel() ** -0.5
        weights[name] = 1 + scale * noise if "norm" in name or "ln_q" in name else scale * noise
    module.load_state_dict(weights, assign=True)


def transformers_positions(ids, grids, attention_mask, *, start, video):
    """Let transformers' `get_rope_index` give positions [3,1,L] of a prompt with videos."""
    module = qwen_module()
    ids_of = {"vision_start_token_id": start, "video_token_id": video, "image_token_id": 99, "vision_end_token_id": 92}
    config = module.Qwen2_5_VLConfig(vision_config={"tokens_per_second": 2, "spatial_merge_size": 2}, **ids_of)
    owner = module.Qwen2_5_VLForConditionalGeneration
    if not hasattr(owner, "get_rope_index"):
        owner = module.Qwen2_5_VLModel
    holder = _PositionHolder()
    holder.config = config
    if hasattr(owner, "get_vision_position_ids"):
        holder.get_vision_position_ids = functools.partial(owner.get_vision_position_ids, holder)
    grid = torch.tensor(grids) if grids else None
    options = {"second_per_grid_ts": torch.ones(len(grids)), "attention_mask": attention_mask}
    if "mm_token_type_ids" in owner.get_rope_index.__code__.co_varnames:
        options["mm_token_type_ids"] = (ids == video).long() * 2
    return owner.get_rope_index(holder, ids, video_grid_thw=grid, image_grid_thw=None, **options)[0]


class _PositionHolder:
    """Stands in for `self` of `get_rope_index`, which uses the config alone."""
