"""Headers of .npy files, told from hostile ones without evaluating anything."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

from tools.decoding.npy import npy_header


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@given(
    shapes.array_shapes(min_dims=0, max_dims=4, max_side=5),
    st.sampled_from(["<f4", "<f8", ">i2", "|u1", "<u2", "|b1", "<c8"]),
)
def test_a_header_says_what_numpy_wrote(shape, kind) -> None:
    header = npy_header(saved(np.zeros(shape, kind)))
    assert header is not None
    assert (header.shape, header.kind, header.item) == (shape, np.dtype(kind).str[1], np.dtype(kind).itemsize)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x40\x00" + b"(" * 64,
        b"\x93NUMPY\x01\x00\xb8\x0b" + b"-" * 3000 + b"1",
        b"\x93NUMPY\x01\x00\x40\x00" + b"{'descr': [('a', '<f4')], 'shape': (3,), }",
        b"PNG",
    ],
)
def test_anything_else_is_none(content) -> None:
    assert npy_header(content) is None
