"""Formulas as students type them: parsed as Excel reads them, and every difference said."""

import numpy as np
import pytest
import sympy

import students
from backprop import GRADIENT_SYMBOLS, WEIGHTS
from grading import differences, mistakes, parsing
from grading.cells import Formula
from grading.headers import canonical_name
from grading.quantities import FORMULAS

NAMES = {"RATE": "Sheet1!$B$3"}


def value(text):
    """The value of a formula in which A1 is 2, B1 is 3, and every other cell 5."""
    parsed = parsing.parse(Formula(text, 9, 9), NAMES)
    cells = {(1, 1): 2.0, (1, 2): 3.0}
    numbers = {s: cells.get(r.cell(9, 9), 5.0) for s, r in parsed.references.items()}
    return float(parsing.evaluate(parsed.expression, numbers))


EXCEL = {  # what spreadsheet programs give
    "-2^2": 4, "-A1^2": 4, "0-A1^2": -4, "2^3^2": 64, "2^-1": 0.5, "--A1": 2, "+A1": 2,
    "A1+B1*2": 8, "(A1+B1)*2": 10, "A1-B1-1": -2, "12/A1/B1": 2, "50%": 0.5, "A1%*100": 2,
    "POWER(A1,B1)": 8, "SUM(A1:B1,1)": 6, "PRODUCT(A1:B1)": 6, "SQRT(4)": 2, "EXP(0)": 1,
    "SUMPRODUCT(A1:B1,A1:B1)": 13, "SUMSQ(A1,B1)": 13, "$A$1*RATE": 10, "rate": 5,
    "'My ''sheet'!C7+Other!$C$1": 10, "1E-1*10": 1, ".5": 0.5, "ROUND(A1/B1,2)": 0.67,
    "AVERAGE(A1:B1)": 2.5, "AVERAGE(A1,B1,7)": 4, "SUM(A1:B1*A1:B1)": 13, "SUMPRODUCT(A1:B1*2)": 10,
    "SUM(-A1:B1)": -5, "IF(A1>2,1,2)": 2, "IF(A1>=2,A1,B1)*2": 4, "IF(A1=B1,1,IF(A1<>B1,7,8))": 7,
    "IF(A1=\"\",0,B1)": 3, "1+(A1<B1)": 2, "A1+1=B1": 1, "IF(A1>9,1)": 0,
    "IFERROR(A1,0)": 2, "1/(1+EXP(-0))": 0.5, " A1 + B1 ": 5,
}  # fmt: skip


@pytest.mark.parametrize("text", EXCEL)
def test_formulas_are_read_as_excel_reads_them(text):
    assert value(text) == pytest.approx(EXCEL[text])


@pytest.mark.parametrize(
    "text", ["IF(A1=\"yes\",1,2)", "A1:B1*A1:C1", "A1:B1+1", "A1&B1", "NOW()", '"text"', "A1:B2", "1+", ")", "(", "[1]S!A1:C999",
             "SUM(A1:XFD1048576)", "1E999", "(" * 1500 + ")" * 1500, "A1+" * 900 + "1", "A1+" * 150 + "1", ""]
)  # fmt: skip
def test_what_is_not_read_is_refused(text):
    with pytest.raises(parsing.Unknown):
        parsing.parse(Formula(text, 9, 9), {})


def test_copied_formulas_have_one_relative_form():
    for text, copied in [
        ("A1*$B$3", "A2*$B$3"),
        ("-EXP(B1)", "-EXP(B2)"),
        ("LOG10(A1)", "LOG10(A2)"),
    ]:
        assert parsing.relative(text, 1, 9) == parsing.relative(copied, 2, 9)
    assert parsing.relative("A1", 1, 9) != parsing.relative("A1", 2, 9)


def test_every_right_and_every_catalogued_formula():
    """The right one has no difference; a mistaken one has its own name, though written anew."""
    for symbol, formula in FORMULAS.items():
        assert differences.differences(formula, symbol) == ()
        assert differences.differences(sympy.expand(formula), symbol) == ()
    total = 0
    for what, symbol, formula in students.formula_mistakes():
        assert differences.differences(formula, symbol) == (what,)
        total += 1
    assert total > 1000
    for weight in WEIGHTS:
        right, mistaken = mistakes.update_formulas(weight)
        assert differences.update_differences(right, weight) == ()
        for what, formula in mistaken:
            assert differences.update_differences(formula, weight) == (what,)


def exchanged(formula, pairs):
    """A formula with some symbols in place of others."""
    return formula.subs({right: ours for ours, right in pairs}, simultaneous=True)


def test_several_mixed_up_symbols_are_all_said():
    """Two or three quantities of a gradient, each replaced by one that is alike."""
    random = np.random.default_rng(16)
    total = complete = 0
    for weight in WEIGHTS:
        symbol = GRADIENT_SYMBOLS[weight]
        formula = FORMULAS[symbol]
        given = [s for s in sorted(formula.free_symbols, key=str) if s.name[0] in "wti"]
        for _ in range(4):
            chosen = random.permutation(len(given))[: random.integers(2, 4)]
            pairs = []
            for k in chosen:
                others = [s for s in mistakes.alike(given[k]) if s not in formula.free_symbols]
                if others:
                    pairs.append((others[random.integers(len(others))], given[k]))
            if len({ours for ours, _ in pairs}) < max(2, len(pairs)):
                continue
            said = differences.differences(exchanged(formula, pairs), symbol)
            total += 1
            complete += {*said} == {f"{ours} in place of {right}" for ours, right in pairs}
    assert total >= 8 and complete >= 0.9 * total


def test_two_and_three_unlike_mistakes():
    a_o1, t1, t2, a_h1, h1 = sympy.symbols("a_o1 t1 t2 a_h1 h1")
    symbol = sympy.Symbol("∂E/∂w5")
    said = differences.differences(a_o1 * t2 * a_o1 * (1 + a_o1) * h1, symbol)
    assert "h1 in place of a_h1" in said and "the sign of a_o1 is flipped" in said
    said = differences.differences(a_o1 - t1 * a_o1 * 1 - a_o1 * a_h1, symbol)
    assert {*said} == {
        "the parentheses around a_o1 − t1 are missing",
        "the parentheses around 1 − a_o1 are missing",
    }


HEADERS = {
    "E_t/w1": "∂E/∂w1", "ΔE/Δw2": "∂E/∂w2", "∂E_ges/∂w3": "∂E/∂w3", "Gewicht w1": "w1", "poids w8": "w8",
    "çıkış a_h1": "a_h1", "netto o2": "o2", "Gesamtfehler E": "E_total", "ͷ": "eta", "LR": "eta",
    "öğrenme oranı": "eta", "а_h1": "a_h1", "a_o2 = σ(o2)": "a_o2", "σ'(h1)": None, "w1⁺": None,
    "Δw1": None, "η = 0.5": None, "Name: E. Muster": None,
}  # fmt: skip


@pytest.mark.parametrize("text", HEADERS)
def test_headers_in_many_spellings(text):
    assert canonical_name(text) == HEADERS[text]
