"""What is some columns of an array, by the way it was written."""

import pytest

import croton.tensor as T
from croton.tensor.indexing.columns import columns_of

KNOWN = T.specify_shape(T.fmatrix("known"), (None, 8))
UNKNOWN = T.fmatrix("unknown")
ROWS = T.specify_shape(T.ftensor3("rows"), (None, 2, 8))
N = T.lscalar("n")


@pytest.mark.parametrize(
    ("v", "ends"),
    [
        (KNOWN[:, 2:5], (2, 5)),
        (KNOWN[:, :5], (0, 5)),
        (KNOWN[:, 5:], (5, 8)),
        (KNOWN[:, -3:], (5, 8)),
        (KNOWN[:, 5:20], (5, 8)),
        (KNOWN[..., 2:-1], (2, 7)),
        (UNKNOWN[:, 2:5], (2, 5)),
        (ROWS[:, :, 2:5], (2, 5)),
        (ROWS[..., 4:], (4, 8)),
        (T.fvector()[2:5], (2, 5)),
        (UNKNOWN[:, 2:], None),
        (UNKNOWN[:, -2:], None),
        (UNKNOWN[:, N:5], None),
        (KNOWN[:, 5:5], None),
        (KNOWN[:, 2:7:2], None),
        (KNOWN[:, ::-1], None),
        (KNOWN[:, 3], None),
        (KNOWN[1:, 2:5], None),
        (KNOWN[2:5], None),
        (ROWS[:, 0, 2:5], None),
        (ROWS[:, 0:1], None),
        (KNOWN, None),
        (KNOWN + 1, None),
    ],
)
def test_columns(v, ends):
    found = columns_of(v)
    assert (None if found is None else (found.start, found.stop)) == ends
    if found is not None:
        assert found.array is v.owner.inputs[0]
