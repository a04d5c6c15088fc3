"""Transformers' own Qwen2.5-VL parts with random weights, run as that library runs them: the reference for ours.

Hides what differs between its releases (4.49 to 5.x).
"""

import functools

import torch

from spatial_mllm_ros.model.config import TextConfig, VisionConfig
from spatial_mllm_ros.model.versions import qwen_module


def vision_pair(config: VisionConfig, ours):
    """Give transformers' vision tower with random weights, and load `ours` (a `VisionTower`) with the same."""
    module = qwen_module()
    names = ("depth", "hidden_size", "intermediate_size", "num_heads", "out_hidden_size", "window_size")
    qwen_config = module.Qwen2_5_VLVisionConfig(
        fullatt_block_indexes=list(config.fullatt_block_indexes), **{name: getattr(config, name) for name in names}
    )
    qwen_config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    theirs = _randomised(module.Qwen2_5_VisionTransformerPretrainedModel(qwen_config))
    _copy_weights(ours, theirs)
    return theirs


def run_vision(theirs, pixel_values, grids):
    """Run transformers' vision tower on videos of the given grids, giving [N/4,D]."""
    with torch.no_grad():
        out = theirs(pixel_values, grid_thw=torch.tensor(grids))
    return out.pooler_output if hasattr(out, "pooler_output") else out


def text_pair(config: TextConfig, ours):
    """Give transformers' language model with random weights, and load `ours` (a `LanguageModel`) with the same."""
    module = qwen_module()
    is_split = hasattr(module, "Qwen2_5_VLTextModel")
    qwen_config = (module.Qwen2_5_VLTextConfig if is_split else module.Qwen2_5_VLConfig)(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        rms_norm_eps=config.rms_norm_eps,
        rope_theta=config.rope_theta,
        rope_scaling={"rope_type": "default", "type": "default", "mrope_section": list(config.mrope_section)},
        use_sliding_window=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    qwen_config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    theirs = _randomised((module.Qwen2_5_VLTextModel if is_split else module.Qwen2_5_VLModel)(qwen_config))
    _copy_weights(ours, theirs)
    return theirs


def run_text(theirs, embeds, positions, attention_mask=None):
    """Run transformers' language model, giving hidden states [1,L,D]."""
    with torch.no_grad():
        return theirs(inputs_embeds=embeds, position_ids=positions, attention_mask=attention_mask).last_hidden_state


def _randomised(module):
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            scale = 1 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.normal_(0, scale) if not name.endswith("norm.weight") else parameter.uniform_(0.5, 1.5)
    return module.eval()


def _copy_weights(ours, theirs):
    ours.load_state_dict(theirs.state_dict(), assign=True)


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
