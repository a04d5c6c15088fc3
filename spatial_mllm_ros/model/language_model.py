"""The language model: Qwen2.5's decoder layers with multimodal rotary positions and our own key-value cache.

The layers are transformers'; attention, positions and cache are ours, so that releases of transformers that differ in
cache classes, mask building and position handling give the same numbers, and cropping the cache costs nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spatial_mllm_ros.model.config import TextConfig
from spatial_mllm_ros.model.kv_cache import KVCache

__all__ = ["LanguageModel"]

_Write = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]  # a layer's new keys and values to all of them
_Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # queries, keys, values to what was found


class LanguageModel(nn.Module):
    """Decode embeddings to hidden states.

    Args:
        embed_tokens, layers, norm: transformers' modules.
    """

    def __init__(self, config: TextConfig, embed_tokens: nn.Module, layers: nn.ModuleList, norm: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = embed_tokens
        self.layers = layers
        self.norm = norm

    def forward(
        self, embeds: Tensor, positions: Tensor, cache: KVCache, attention_mask: Tensor | None = None
    ) -> Tensor:
        """Run new tokens through all layers and add them to the cache.

        Args:
            embeds: [1,n,D] of the new tokens.
            positions: int64 [3,1,n] (time, row, column) of the new tokens.
            cache: what came before; extended in place.
            attention_mask: bool [1,length+n], False for padding, of all tokens; None if there is no padding.

        Returns:
            hidden states [1,n,D] after the final norm.
        """
        count = embeds.shape[1]
        mask = _causal_mask(cache.length, count, attention_mask, embeds.device)
        hidden = self._run(embeds, positions, cache.append, mask)
        cache.commit(count)
        return hidden

    def read(self, embeds: Tensor, positions: Tensor, attend: _Attend, depth: int) -> tuple[Tensor, Tensor]:
        """Read whole sequences at once and keep nothing, as training does.

        Args:
            embeds: [B,L,D].
            positions: int64 [3,B,L].
            attend: from queries [B,heads,L,d], keys and values [B,key heads,L,d] to [B,heads,L,d]; says which token
                sees which.
            depth: of layers whose states are given too.

        Returns:
            hidden states [B,L,D] after the final norm, and those after `depth` layers.
        """
        tables, kept = self._rope_tables(positions, embeds.dtype), embeds
        x = embeds
        for index in range(len(self.layers)):
            x = self._layer(index, x, tables, lambda _, key, value: (key, value), attend)
            kept = x if index == depth - 1 else kept
        return self.norm(x), kept

    def step(self, embeds: Tensor, positions: Tensor, cache: KVCache, place: Tensor) -> Tensor:
        """Do as `forward` does for one token, with shapes that do not tell how many came before; nothing is committed.

        Args:
            embeds: [1,1,D] of the new token.
            positions: int64 [3,1,1].
            cache: with capacity for the token, and no padding.
            place: int64 [1], how many tokens came before.
        """
        mask = (torch.arange(cache.capacity, device=place.device) <= place)[None]  # [1,capacity]
        return self._run(embeds, positions, functools.partial(cache.write_at, place), mask)

    def _run(self, embeds: Tensor, positions: Tensor, write: _Write, mask: Tensor | None) -> Tensor:
        tables = self._rope_tables(positions, embeds.dtype)
        attend = functools.partial(_grouped_attention, mask=mask)
        x = embeds
        for index in range(len(self.layers)):
            x = self._layer(index, x, tables, write, attend)
        return self.norm(x)

    def _layer(
        self, index: int, x: Tensor, tables: tuple[Tensor, Tensor], write: _Write, attend: _Attend
    ) -> Tensor:
        layer = self.layers[index]
        x = x + self._attention(index, layer.self_attn, layer.input_layernorm(x), tables, write, attend)
        return x + layer.mlp(layer.post_attention_layernorm(x))

    def _rope_tables(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Make cosine and sine [1,1,n,head_dim]; each section of the channels turns with its own axis."""
        config = self.config
        steps = torch.arange(0, config.head_dim, 2, device=positions.device).float() / config.head_dim
        angles = positions[..., None].float() * (1.0 / config.rope_theta**steps)  # [3,1,n,head_dim/2]
        sections = angles.split(list(config.mrope_section), dim=-1)
        angles = torch.cat([section[axis] for axis, section in enumerate(sections)], dim=-1).repeat(1, 1, 2)[:, None]
        return angles.cos().to(dtype), angles.sin().to(dtype)

    def _attention(
        self,
        index: int,
        attn: nn.Module,
        x: Tensor,
        tables: tuple[Tensor, Tensor],
        write: _Write,
        attend: _Attend,
    ) -> Tensor:
        config = self.config
        query, key, value = (
            project(x).unflatten(-1, (heads, config.head_dim)).transpose(1, 2)
            for project, heads in (
                (attn.q_proj, config.num_attention_heads),
                (attn.k_proj, config.num_key_value_heads),
                (attn.v_proj, config.num_key_value_heads),
            )
        )  # [1,heads,n,head_dim]
        query, key = _rotate(query, tables), _rotate(key, tables)
        key, value = write(index, key, value)
        out = attend(query, key, value)
        return attn.o_proj(out.transpose(1, 2).flatten(2))


def _grouped_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attend with several query heads per key head. `mask` bool [n,S], True where seen; None is causal or one token."""
    count, groups = query.shape[2], query.shape[1] // key.shape[1]
    if count < key.shape[2] or count == 1:  # a group's heads as queries of one head: keys are not copied for them
        folded = query.reshape(1, -1, groups * count, query.shape[3])
        mask = mask if mask is None else mask.repeat(groups, 1)
        return F.scaled_dot_product_attention(folded, key, value, attn_mask=mask).view(query.shape)
    key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)


def _causal_mask(past: int, count: int, attention_mask: Tensor | None, device: torch.device) -> Tensor | None:
    """Say which tokens each new token sees: itself, and what came before and is no padding. None if SDPA needs none."""
    if attention_mask is None and (past == 0 or count == 1):
        return None
    new = torch.arange(past, past + count, device=device)[:, None]
    old = torch.arange(past + count, device=device)[None]
    mask = old <= new
    if attention_mask is not None:
        mask = (mask & attention_mask[0].to(device)) | (old == new)  # padding sees itself, lest its softmax be empty
    return mask


def _rotate(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = tables
    low, high = x.chunk(2, dim=-1)
    return x * cosine + torch.cat([-high, low], dim=-1) * sine
