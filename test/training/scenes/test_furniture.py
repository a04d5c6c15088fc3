"""Every look of every category measures what it says, and the held-out looks are never seen in training."""

import numpy as np
import pytest

from spatial_mllm_ros.errors import InputError
from spatial_mllm_ros.training.scenes.furniture import CATALOGUE, looks_of, make_piece
from spatial_mllm_ros.training.scenes.furniture.palettes import PALETTES
from spatial_mllm_ros.training.scenes.shapes import extents

LOOKS = [(name, look) for name, category in CATALOGUE.items() for look in range(len(category.looks))]


def test_there_are_twelve_categories_with_several_looks_in_each_split():
    assert len(CATALOGUE) >= 12
    for name in CATALOGUE:
        train, held_out = looks_of(name, "train"), looks_of(name, "heldout")
        assert len(train) >= 8 and len(held_out) >= 1 and not set(train) & set(held_out)


@pytest.mark.parametrize(("name", "look"), LOOKS)
def test_piece_fills_its_box_and_has_the_longest_edge_asked_for(name, look):
    for seed in range(3):
        piece = make_piece(name, look, 1.3, np.random.default_rng(seed))
        assert max(piece.size) == pytest.approx(1.3)
        x, y, z = piece.size
        assert np.allclose(extents(piece.parts), [[-x / 2, -y / 2, 0], [x / 2, y / 2, z]])
        assert min(piece.size) > 0.15


@pytest.mark.parametrize(("name", "look"), LOOKS)
def test_each_look_varies_with_its_seed(name, look):
    first, second = (make_piece(name, look, 1.0, np.random.default_rng(seed)) for seed in (0, 1))
    assert first.size != second.size or first.parts[0].paint != second.parts[0].paint


def test_most_pieces_show_the_colours_of_their_category():
    assert set(PALETTES) == set(CATALOGUE)
    shows = {name: [] for name in CATALOGUE}
    for name, look in LOOKS:
        for seed in range(3):
            parts = make_piece(name, look, 1.0, np.random.default_rng(seed)).parts
            shows[name].append(any(nearest_category(part.paint.colour) == name for part in parts))
    assert min(map(np.mean, shows.values())) > 0.5  # some refrigerators are white or steel only
    assert np.mean(sum(shows.values(), [])) > 0.9


def nearest_category(colour):
    known = {name: [*palette.woods, *palette.fabrics, *palette.enamels] for name, palette in PALETTES.items()}
    return min(known, key=lambda name: np.linalg.norm(np.array(known[name]) - colour, axis=1).min())


def test_unknown_category_or_split_is_refused():
    with pytest.raises(InputError, match="splits are train and heldout"):
        looks_of("chair", "validation")
    with pytest.raises(InputError, match="'piano'"):
        looks_of("piano", "train")
