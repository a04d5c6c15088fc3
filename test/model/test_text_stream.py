import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_mllm_ros.model import TokenTextStream


def pieces(tokenizer, ids):
    stream = TokenTextStream(tokenizer)
    return [stream.push(token) for token in ids] + [stream.flush()]


@given(text=st.text().filter(lambda text: "<|" not in text))
def test_the_pieces_add_up_to_the_text(small_model, text):
    tokenizer = small_model.tokenizer
    assert "".join(pieces(tokenizer, tokenizer.encode(text))) == text


@given(data=st.data())
def test_any_tokens_give_what_decoding_them_at_once_gives(small_model, data):
    tokenizer = small_model.tokenizer
    ids = data.draw(st.lists(st.integers(0, small_model.config.text.vocab_size + 3)))
    given_pieces = pieces(tokenizer, ids)
    assert "".join(given_pieces) == tokenizer.decode(ids)
    assert all(piece.encode() is not None for piece in given_pieces)


def test_a_character_is_held_back_until_it_is_whole(small_model):
    tokenizer = small_model.tokenizer
    ids = tokenizer.encode("a沙")
    assert len(ids) == 4  # a, and three bytes
    assert pieces(tokenizer, ids) == ["a", "", "", "沙", ""]


def test_half_a_character_at_the_end_is_marked(small_model):
    tokenizer = small_model.tokenizer
    assert pieces(tokenizer, tokenizer.encode("沙")[:2]) == ["", "", "\ufffd"]


def test_special_tokens_give_no_text(small_model):
    tokenizer = small_model.tokenizer
    assert pieces(tokenizer, [tokenizer.id_of("<|im_end|>")]) == ["", ""]


def test_a_stream_can_be_used_again_after_flushing(small_model):
    tokenizer = small_model.tokenizer
    stream = TokenTextStream(tokenizer)
    stream.push(tokenizer.encode("沙")[0])
    stream.flush()
    assert stream.push(tokenizer.encode("b")[0]) == "b"


@pytest.mark.parametrize("text", ["The sofa.", " 3.5 meters\n"])
def test_words_come_piece_by_piece(small_model, text):
    tokenizer = small_model.tokenizer
    assert len([piece for piece in pieces(tokenizer, tokenizer.encode(text)) if piece]) > 1
