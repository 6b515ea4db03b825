"""How far a number in a workbook may be from ours because numbers were rounded.

A number is right when rounding explains its distance from ours: rounding of this cell and
of every cell that it is computed from, carried through the formula. Spreadsheets store
at least 15 digits. A column that holds fewer was rounded, and its rounding is allowed
for, up to 6 digits; coarser rounding counts as wrong. What follows from a distance
that is too large is said in `columns.py` and `updates.py`.
"""

from decimal import Decimal

import numpy as np

STORED = 5e-15  # relative: a spreadsheet's own 15 digits
ROUNDED_DIGITS = 14  # a column with no more digits than these was rounded
ACCEPTED_DIGITS = 6  # rounding to fewer digits is a mistake
TYPED_DIGITS = 3  # a number with no more digits than these, where one may be typed, is exact
RELATIVE = 1e-9  # another order of the same operations, with room
COARSEST = 1e-3  # where rounding may move a number further, there is nothing to compare


def _digits(value):
    """(significant digits, decimals) of a number as it is stored."""
    number = Decimal(repr(float(value))).normalize().as_tuple()
    return len(number.digits), max(0, -number.exponent)


def most_decimals(columns):
    """How many decimals the numbers of some columns have at most; 0 where there are none."""
    finite = np.concatenate([values[np.isfinite(values)] for values in columns])
    return max((_digits(value)[1] for value in finite if value), default=0)


def uncertainty(values, typed=0, accepted=ACCEPTED_DIGITS):
    """How far each stored number of a column may be from the number that was calculated.

    Args:
        values: float array (rows,).
        typed: how many rows, from the top, may hold numbers that somebody typed. Such a
            number with few digits is exact, not rounded.
        accepted: to how many decimals rounding is allowed.

    Returns:
        Float array (rows,).
    """
    sizes = np.abs(values)
    stored = STORED * sizes
    counts = np.array([_digits(v) if np.isfinite(v) and v else (0, 0) for v in values])
    digits, decimals = counts.max(0)
    rounding = np.zeros(len(values))
    if decimals <= ROUNDED_DIGITS:
        rounding += 0.5 * 10.0 ** -max(decimals, accepted)
    if digits <= ROUNDED_DIGITS:
        leading = np.floor(np.log10(np.where(sizes > 0, sizes, 1))) + 1
        rounding = np.maximum(rounding, 0.5 * 10.0 ** (leading - max(digits, ACCEPTED_DIGITS)))
    rounding[:typed][counts[:typed, 0] <= TYPED_DIGITS] = 0
    return np.maximum(stored, rounding)


def propagate(function, values, distances):
    """Evaluate `function` and how far its outputs move when its arguments do.

    Args:
        function: takes one array an argument, returns a sequence of outputs.
        values: a list of arrays (rows,), one an argument.
        distances: how far each of these numbers may be off, arrays alike.

    Returns:
        (outputs, tolerances), arrays (outputs, rows).
    """
    moved = [np.tile(v, (len(values) + 1, 1)) for v in values]  # the first line is not moved
    for k, distance in enumerate(distances):
        moved[k][k + 1] += distance
    outputs = np.array([np.broadcast_to(o, moved[0].shape) for o in function(*moved)], float)
    here = outputs[:, 0]
    return here, 2 * np.abs(outputs[:, 1:] - here[:, None]).sum(1) + RELATIVE * np.abs(here)
