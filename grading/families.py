"""Names columns whose headers are in unknown words, by the numbers in them.

Headers come in families: eight that differ in the number of a weight, four in the neuron, two
in the output. A family in unknown words is taken for what the table lacks, where its numbers
say so. Two of four are sums and their sigmoids; of two of eight, one changes by the other.
"""

import re
import unicodedata
from functools import lru_cache

import numpy as np

from backprop import E1, E2, GRADIENT_SYMBOLS, SIGMOIDS, WEIGHTS, E_total
from grading.reading import number_in

ROWS = 12  # below a header, that are looked at
LONGEST = 40  # characters of a header
FEWEST = 8  # texts in a row that may be a header
MOST = 6  # families of one size that are looked at
CLOSE = 0.02  # relative: an update, or a sigmoid, also where some of it is mistaken or rounded
ENOUGH = 0.5  # of a family's columns that must fit: the others may hold mistakes

_CONSTANT = re.compile(r"½|²|\^ ?2|0[.,]5|1/2")
_NEURON = re.compile(r"([ho])[ _]?{?#")
_CHANGE = re.compile(r"[Δδ+⁺]|delta|new|neu|nouv|nuev")  # a step or a δ, not the quantity
_EIGHT = [str(k) for k in range(1, 9)]
_NEURONS = [neuron.name for neuron in SIGMOIDS.values()]  # h1 h2 o1 o2

WEIGHT = dict(zip(_EIGHT, (w.name for w in WEIGHTS)))
GRADIENT = dict(zip(_EIGHT, (g.name for g in GRADIENT_SYMBOLS.values())))
SUM = {name: name for name in _NEURONS}
ACTIVATION = {neuron.name: a.name for a, neuron in SIGMOIDS.items()}
ERROR = {"1": E1.name, "2": E2.name}
COMPLETE = {E_total.name}.union(
    *(role.values() for role in (WEIGHT, GRADIENT, SUM, ACTIVATION, ERROR))
)


def more_names(sheet, number, named):
    """The columns of a header in unknown words: a list of (column, name).

    Args:
        number: the header's row. named: its columns that are known, a list of (column, name).
    """
    row, known = sheet.rows[number], {name: c for c, name in reversed(named)}
    if sum(isinstance(text, str) for text in row) < FEWEST or known.keys() >= COMPLETE:
        return []
    taken, columns, found = {c for c, _ in named}, _Columns(sheet, number), []
    families = [*_families(row, taken).values()]
    for one, other, members, fits in (
        (WEIGHT, GRADIENT, _EIGHT, columns.changes_by),
        (SUM, ACTIVATION, _NEURONS, columns.is_sum_of),
    ):
        mine = [f for f in families if f.keys() >= {*members}][:MOST]
        found += _two_roles(mine, one, other, members, fits, known)
    known |= {name: c for c, name in reversed(found)}
    errors = [f for f in families if f.keys() == ERROR.keys() and not columns.constant(f)]
    if errors and not {*ERROR.values()} & known.keys():
        found += _assigned(errors[0], ERROR)
        known |= {name: c for c, name in _assigned(errors[0], ERROR)}
    if E_total.name not in known and E2.name in known and E1.name in known:
        column = 1 + max(known[E1.name], known[E2.name])
        alone = column not in taken | {c for c, _ in found}
        if alone and columns.sums(column, known[E1.name], known[E2.name]):
            found.append((column, E_total.name))
    return found


def _families(row, taken):
    """Headers that differ in a number only: template → {member: columns}.

    A member is the number, or the neuron with it. Columns that are taken are left out.
    """
    families = {}
    for column, text in enumerate(row, start=1):
        short = isinstance(text, str) and len(text) <= LONGEST
        if short and column not in taken and (found := _template(text)):
            template, member = found
            families.setdefault(template, {}).setdefault(member, []).append(column)
    return families


@lru_cache(10_000)
def _template(text):
    """(what is the same in a family's headers, the member) of a header; None of another text."""
    text = unicodedata.normalize("NFKC", _CONSTANT.sub("", text)).lower()
    digits = {*re.findall(r"\d+", text)}
    if len(digits) != 1 or not digits <= {*_EIGHT} or _CHANGE.search(text):
        return None
    (digit,) = digits
    text = text.replace(digit, "#")
    letter = _NEURON.search(text)
    return (_NEURON.sub("#", text), bool(letter)), letter[1] + digit if letter else digit


def _assigned(family, role):
    """The names of a family's columns: a list of (column, name)."""
    return [(c, role[member]) for member, columns in family.items() for c in columns]


def _two_roles(families, one, other, members, fits, known):
    """Give families one of two roles; where one is known, it is the other.

    Args:
        fits: a function of {member: column} of both roles, whether the numbers agree.
    """
    roles = [role for role in (one, other) if {role[m] for m in members} <= known.keys()]
    if len(roles) == 2 or not families:
        return []
    if not roles:
        for first in families:
            for second in families:
                if first is not second and fits(_first(first), _first(second)):
                    return _assigned(first, one) + _assigned(second, other)
        return []
    there = {m: known[roles[0][m]] for m in members}
    for family in families:
        pair = (there, _first(family)) if roles[0] is one else (_first(family), there)
        if fits(*pair):
            return _assigned(family, other if roles[0] is one else one)
    return []


def _first(family):
    """The first column of each member; another one belongs to a second table."""
    return {member: columns[0] for member, columns in family.items()}


class _Columns:
    """The numbers of the first rows below a header."""

    def __init__(self, sheet, number):
        self.sheet = sheet
        self.rows = sorted(n for n in sheet.rows if n > number)[:ROWS]

    def __call__(self, column):
        """The numbers of a column, (rows,)."""
        return np.array([number_in(self.sheet.value(row, column)) for row in self.rows])

    def constant(self, family):
        """Whether a family's columns hold one number each, as inputs do."""
        values = [self(columns[0]) for columns in family.values()]
        return all(len({*v[np.isfinite(v)]}) <= 1 for v in values)

    @np.errstate(all="ignore")
    def changes_by(self, weights, gradients):
        """Whether most weights change by the same part of their gradient."""
        rates = []
        for member, column in weights.items():
            step = -np.diff(self(column))
            ratio = step / self(gradients[member])[:-1]
            rates.append(np.nanmedian(ratio) if np.isfinite(ratio).any() else np.nan)
        rate = np.nanmedian(rates)
        return rate > 0 and np.mean(np.abs(rates / rate - 1) < CLOSE) > ENOUGH

    @np.errstate(all="ignore")
    def is_sum_of(self, sums, activations):
        """Whether most activations are the sigmoids of the sums."""
        near = []
        for member, column in sums.items():
            found, right = self(activations[member]), 1 / (1 + np.exp(-self(column)))
            near.append(np.nanmean(np.abs(found - right) < CLOSE * right) > ENOUGH)
        return np.mean(near) >= ENOUGH

    def sums(self, total, one, other):
        """Whether a column holds numbers, in the place of a sum of two others."""
        return np.isfinite(self(total)).any() and np.isfinite(self(one) + self(other)).any()
