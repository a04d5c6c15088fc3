import json

import pytest
import torch
from safetensors.torch import save_file

from spatial_mllm_ros.errors import CheckpointError
from spatial_mllm_ros.model import safetensors_file
from spatial_mllm_ros.model.safetensors_file import have_same_data, read_header, read_tensor, staging_buffer

CPU = torch.device("cpu")


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(7, 11, generator=generator)
    return {"wide": wide, "half": wide.half(), "brain": wide.bfloat16(), "one": torch.tensor(3.5), "none": wide[:0]}


@pytest.fixture
def path(tmp_path, tensors):
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "x.safetensors")
    return tmp_path / "x.safetensors"


@pytest.mark.parametrize("piece_bytes", [8, 4 << 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tensors_come_back_as_the_library_wrote_them(path, tensors, dtype, piece_bytes, monkeypatch):
    monkeypatch.setattr(safetensors_file, "_PIECE_BYTES", piece_bytes)
    header = read_header(path)
    assert set(header) == set(tensors)
    for name, tensor in tensors.items():
        read = read_tensor(header[name], CPU, dtype, staging_buffer())
        assert torch.equal(read, tensor.to(dtype)), name


def test_equal_data_is_told_from_different_data(path, monkeypatch):
    monkeypatch.setattr(safetensors_file, "_PIECE_BYTES", 32)
    other = path.with_name("y.safetensors")
    same = torch.arange(30.0)
    changed = same.clone()
    changed[-1] = 0
    save_file({"a": same, "b": same.clone(), "c": changed, "d": same.half()}, other)
    header = read_header(other)
    assert have_same_data(header["a"], header["b"])
    assert not have_same_data(header["a"], header["c"])
    assert not have_same_data(header["a"], header["d"])


def write(path, header, data=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"a": ENTRY}, b"1234567", "15 bytes where|is no complete safetensors file"),
        ({"a": ENTRY}, b"123456789", "is no complete safetensors file"),
        (b"{", b"", "its header is no JSON"),
        ({"a": {**ENTRY, "dtype": "I8"}}, b"12345678", "the tensor a is stored as I8; only floating point"),
        ({"a": {**ENTRY, "shape": [3]}}, b"12345678", "entry for a is damaged: 8 bytes for"),
        ({"a": {**ENTRY, "shape": [-1, -2]}}, b"12345678", "entry for a is damaged"),
        ({"a": {"dtype": "F32"}}, b"", "entry for a is damaged"),
        ({"a": {**ENTRY, "data_offsets": [-8, 0]}}, b"", "entry for a is damaged"),
    ],
)
def test_a_damaged_header_is_refused(tmp_path, header, data, message):
    write(tmp_path / "x.safetensors", header, data)
    with pytest.raises(CheckpointError, match=message) as error:
        read_header(tmp_path / "x.safetensors")
    assert "x.safetensors" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"123", (1 << 40).to_bytes(8, "little"), (200).to_bytes(8, "little") + b"{}"])
def test_a_header_cut_short_is_refused(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="its header is cut short"):
        read_header(tmp_path / "x.safetensors")


def test_a_file_that_changes_after_listing_is_named_with_the_tensor(path):
    header = read_header(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"x\.safetensors: the tensor wide cannot be read"):
        read_tensor(header["wide"], CPU, torch.float32, staging_buffer())
    path.unlink()
    with pytest.raises(CheckpointError, match=r"x\.safetensors: the tensor wide cannot be read"):
        read_tensor(header["wide"], CPU, torch.bfloat16, staging_buffer())
