"""Packing and counting bits, with numpy's instruction and with the table for numpy 1.x."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from spatial_mllm_ros.sampling import bits

FLAGS = nps.arrays(bool, st.tuples(st.integers(0, 5), st.integers(0, 200)))


@settings(deadline=None)
@given(flags=FLAGS)
def test_packing_and_unpacking_gives_the_flags_back(flags):
    words = bits.pack_bits(flags)

    assert words.dtype == np.uint64
    assert words.shape == (len(flags), bits.words_for(flags.shape[1]))
    np.testing.assert_array_equal(bits.unpack_bits(words)[:, : flags.shape[1]], flags)


@pytest.mark.parametrize("count", [bits._bits_in_words, bits._bits_by_table])
@settings(deadline=None)
@given(flags=FLAGS)
def test_bits_are_counted_per_set(count, flags):
    words = np.ascontiguousarray(bits.pack_bits(flags).T)

    np.testing.assert_array_equal(count(words).sum(axis=0, dtype=np.int64), flags.sum(axis=1))
    np.testing.assert_array_equal(bits.count_bits(words), flags.sum(axis=1))


def test_one_set_has_one_count():
    assert bits.count_bits(np.array([3, 2**63 + 1], np.uint64)) == 4
