"""The checker on headers in other languages, in unknown words, and on blocks of columns."""

import pytest
import sympy

import students
from backprop import GRADIENTS, WEIGHTS, a_h1, a_h2, w3, w6
from grading import samples
from grading.cells import Book, Formula, Sheet
from grading.differences import differences
from grading.headers import canonical_name
from grading.quantities import FORMULAS
from grading.verdicts import check_book
from grading.views import Part, View, with_views

NETWORK = students.NETWORKS[3]
MISTAKE = {w3: GRADIENTS[w3].subs(a_h2, a_h1)}
NEURONS = ("h1", "h2", "o1", "o2")

LANGUAGES = {
    "waga 3": "w3", "vikt 1": "w1", "vægt 8": "w8", "重み w1": "w1", "peso 2": "w2",
    "cel 1": "t1", "цель 2": "t2", "mål 1": "t1", "目标2": "t2", "τ₁": "t1",
    "вход 1": "i1", "syöte 2": "i2", "giriş 1": "i1", "入力 1": "i1", "indata 2": "i2",
    "neta h1": "h1", "Summe o2": "o2", "weighted sum h2": "h2", "somma h1": "h1",
    "f(h1)": "a_h1", "uit_o1": "a_o1", "ut h2": "a_h2", "activation a_h1": "a_h1",
    "błąd 1": "E1", "error of output 2": "E2", "E общая": "E_total", "totalt fel": "E_total",
    "E1+E2": "E_total", "ΣE": "E_total", "总误差": "E_total", "L": "E_total",
    "helling w5": "∂E/∂w5", "Ableitung nach w2": "∂E/∂w2", "gradient 7": "∂E/∂w7",
    r"\partial E/\partial w_{4}": "∂E/∂w4", "E'(w6)": "∂E/∂w6", "∇w1": "∂E/∂w1",
    "gradient dE/dw3": "∂E/∂w3", "taux d'apprentissage": "eta", "скорость обучения η": "eta",
    "współczynnik uczenia": "eta", "δo1": None, "1-a_o1": None, "t1 - a1": None, "Ошибка": "E_total",
    "слово 1": None, "∂E/∂a_o1": None, "w11": None,
}  # fmt: skip


@pytest.mark.parametrize("text", LANGUAGES)
def test_headers_in_other_languages(text):
    assert canonical_name(text) == LANGUAGES[text]


def table(formulas=None, header=None, rate=True):
    """A sheet of typed numbers, with other headers: name → text."""
    columns = {"epoch": range(9), **samples.numbers(NETWORK, 9, formulas)}
    names = [(header or {}).get(name, name) for name in columns]
    rows = {1: ("η", NETWORK.learning_rate) if rate else (), 3: tuple(names)}
    rows |= {4 + k: tuple(float(column[k]) for column in columns.values()) for k in range(9)}
    return Sheet("Sheet1", rows)


def causes(sheets):
    """(verdict, wrong columns → cause, notes) of a workbook of one table."""
    verdict, (result,), notes = check_book(Book(sheets))
    return verdict, students.wrong(result["columns"]), notes


UNKNOWN = {
    "weights": {f"w{k}": f"blorp {k}" for k in range(1, 9)},
    "gradients": {f"∂E/∂w{k}": f"zonk w{k}" for k in range(1, 9)},
    "both": {f"w{k}": f"blorp {k}" for k in range(1, 9)}
    | {f"∂E/∂w{k}": f"zonk({k})" for k in range(1, 9)},
    "activations": {f"a_{n}": f"plim_{n}" for n in NEURONS},
    "sums": {n: f"grunk {n}" for n in NEURONS},
    "sums and activations": {n: f"grunk {n}" for n in NEURONS}
    | {f"a_{n}": f"plim {n}" for n in NEURONS},
    "errors": {"E1": "½(t1-y1)²", "E2": "½(t2-y2)²", "E_total": "everything"},
}


@pytest.mark.parametrize("formulas", [None, MISTAKE])
@pytest.mark.parametrize("what", UNKNOWN)
def test_headers_in_unknown_words(what, formulas):
    verdict, wrong, notes = causes([table(formulas, UNKNOWN[what])])
    expected = {"dE/dw3": "a_h1 in place of a_h2"} if formulas else {}
    assert (verdict, wrong) == ("wrong" if formulas else "right", expected), notes


def test_unknown_words_are_not_taken_for_what_their_numbers_are_not():
    """Eight columns of other numbers are no gradients, and steps are none."""
    header = {f"∂E/∂w{k}": f"Δw{k}" for k in range(1, 9)}
    sheet = table(None, header)
    assert "not found: dE/dw1" in " ".join(causes([sheet])[2])
    header = {f"∂E/∂w{k}": f"zonk {k}" for k in range(1, 9)}
    sheet = table(None, header)
    place = sheet.rows[3].index("zonk 1")
    rows = {
        n: row[:place] + tuple(float(n + k) for k in range(8)) if n > 3 else row
        for n, row in sheet.rows.items()
    }
    assert "not found: dE/dw1" in " ".join(causes([Sheet("Sheet1", rows)])[2])


def test_a_second_line_of_the_header_is_no_epoch():
    sheet = table()
    rows = {n + (n > 3): row for n, row in sheet.rows.items()}
    rows[4] = tuple("[-]" for _ in rows[3])
    verdict, wrong, notes = causes([Sheet("Sheet1", dict(sorted(rows.items())))])
    assert (verdict, wrong) == ("right", {}), notes


@pytest.mark.parametrize("formulas", [None, MISTAKE])
def test_blocks_one_below_another(formulas):
    """Weights, then the forward pass, then gradients, each with its epochs."""
    whole = table(formulas)
    names, cells = whole.rows[3], [whole.rows[n] for n in range(4, 13)]
    blocks = [
        ("epoch", *(w.name for w in WEIGHTS)),
        ("epoch", "t1", "t2", "i1", "i2", *NEURONS, *(f"a_{n}" for n in NEURONS), "E1", "E2", "E_total"),
        ("epoch", *(name for name in names if "∂" in name)),
    ]  # fmt: skip
    rows, row = {1: whole.rows[1]}, 3
    for block in blocks:
        rows[row] = block
        for k, line in enumerate(cells, start=1):
            rows[row + k] = tuple(line[names.index(name)] for name in block)
        row += len(cells) + 3
    verdict, wrong, notes = causes([Sheet("Sheet1", rows)])
    expected = {"dE/dw3": "a_h1 in place of a_h2"} if formulas else {}
    assert (verdict, wrong) == ("wrong" if formulas else "right", expected), notes


def test_references_between_blocks_follow_their_cells():
    rows = {1: ("w1",), 2: (1.0,), 4: ("h1",), 5: (2.0,)}
    sheet = Sheet("Sheet1", rows, {(5, 1): Formula("A2*2", 5, 1)})
    parts = [Part(sheet, rows=range(1, 4)), Part(sheet, -3, 1, rows=range(4, 100))]
    (view,) = with_views(Book([sheet]), [View(parts)]).sheets
    assert view.formulas[2, 2].text == "A2*2" and view.address(2, 2) == "A5"


def test_weights_on_a_sheet_of_their_own():
    whole = table()
    names = whole.rows[3]
    weights = [k for k, name in enumerate(names) if name in ("epoch", *(w.name for w in WEIGHTS))]
    others = [k for k in range(len(names)) if k not in weights[1:]]
    sheets = [
        Sheet(title, {n: tuple(row[k] for k in kept) for n, row in whole.rows.items() if n > 2})
        for title, kept in (("Weights", weights), ("Rest", others))
    ]
    verdict, wrong, notes = causes(sheets)
    assert (verdict, wrong) == ("right", {}), notes


@pytest.mark.parametrize("formula, cause", [
    ("(a_o2 - t2)*a_o2*(1 - a_o2) + a_h2", "plus a_h2 in place of times a_h2"),
    ("(a_o2 - t2)*a_o2*a_o2*a_h2", "a_o2 in place of 1 − a_o2"),
])  # fmt: skip
def test_more_mistakes_have_a_name(formula, cause):
    symbol = next(s for s in FORMULAS if s.name == "∂E/∂w8")
    assert differences(sympy.sympify(formula), symbol) == (cause,)


def test_a_rate_of_one_weight_only():
    """One weight learns with another rate than the sheet says; another by its own value."""
    for change, cause in [
        (lambda row, first, rate: row["w6"] - 0.31 * row["∂E/∂w6"], "another learning rate: 0.31 in place of 1.3"),
        (lambda row, first, rate: row["w6"] * (1 - rate * row["∂E/∂w6"]), "the step is multiplied by the old weight"),
    ]:  # fmt: skip
        columns = samples.numbers(NETWORK, 12, update={w6: change})
        wrong = students.wrong(students.check(columns, NETWORK.learning_rate))
        assert wrong == {"update w6": cause}
