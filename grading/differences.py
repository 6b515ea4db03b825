"""Says how a student's formula differs from the right one: every difference, in words.

Both formulas become trees of sums and products. Whether two parts are the same is decided by
their values in a few random networks, so that the order of factors, POWER or a quantity
written out make no difference. The parts that are left over are compared again, down to
the symbols. At each part the rules of `mistakes.py` are tried first. Of several explanations
the cheapest is told: the one with the fewest and smallest changes.
"""

import itertools
import zlib
from collections import Counter
from functools import lru_cache

import numpy as np
import sympy

import backprop
from backprop import E1, E2, GIVEN, GRADIENT_SYMBOLS, SIGMOIDS, TARGETS
from grading.mistakes import ETA, alike, catalogue, rules_at, update_formulas
from grading.parsing import Largest, evaluate
from grading.quantities import FORMULAS

# --- Random networks ---------------------------------------------------------------

PROBES = 3  # networks in which two formulas must agree to be the same
CLOSE = 1e-9  # relative: the same values, calculated in another order
HIGHEST = 4  # power that is taken for a product; somebody may cube in place of squaring


def _networks():
    """The value of every quantity of the network in `PROBES` random ones."""
    random = np.random.default_rng(16)
    given = {symbol: random.uniform(0.2, 1.8, PROBES) for symbol in GIVEN}
    return given | backprop.spreadsheet_row(given) | {ETA: random.uniform(0.2, 1.8, PROBES)}


NETWORKS = _networks()
# A weight after the update, where a formula takes it too early.
NETWORKS |= {
    sympy.Symbol(f"the new {weight}"): NETWORKS[weight] - NETWORKS[ETA] * NETWORKS[slope]
    for weight, slope in GRADIENT_SYMBOLS.items()
}


@lru_cache(10_000)
def _probe(symbol):
    """The values of a symbol; one that is not the network's has its own at random."""
    if symbol in NETWORKS:
        return NETWORKS[symbol]
    return np.random.default_rng(zlib.crc32(symbol.name.encode())).uniform(0.2, 1.8, PROBES)


def values(expression):
    """The values of an expression in the random networks."""
    with np.errstate(all="ignore"):
        found = evaluate(expression, {s: _probe(s) for s in expression.free_symbols})
    return np.broadcast_to(np.asarray(found, float), PROBES)


def close(one, other):
    """Whether two sets of values are the same."""
    return bool((np.abs(one - other) <= CLOSE * np.maximum(np.abs(one), np.abs(other))).all())


# --- Trees -------------------------------------------------------------------------


class Node:
    """A part of a formula: a number, a symbol, a sum, a product, a power or a function.

    Attributes:
        kind: "number", "symbol", "sum", "product" or the name of a function.
        parts: of a sum or product, its terms or factors; numbers among them are one part.
        expression: the part in SymPy. value: its values in the random networks.
        size: how many symbols and numbers it has.
    """

    def __init__(self, kind, parts, expression, value=None):
        self.kind, self.parts, self.expression = kind, parts, expression
        self.value = values(expression) if value is None else value
        self.size = sum(part.size for part in parts) if parts else 1
        self.power = 1  # how often it stands in a product, as a power

    def __str__(self):
        if self.kind == "number":
            return f"{float(self.expression):.6g}".replace("-", "−")
        if self.kind == "Pow" and self.parts[0].kind == "number":
            return f"{self.parts[0]}^({self.parts[1]})"
        return backprop.to_text(self.expression)


def build(expression):
    """The tree of an expression: sums in sums and products in products are one."""
    if expression.is_Number:
        return Node("number", [], expression)
    if expression.is_Symbol:
        return Node("symbol", [], expression)
    if expression.is_Add:
        return _joined("sum", [build(part) for part in expression.args])
    if expression.is_Mul:
        return _joined("product", [build(part) for part in expression.args])
    if expression.is_Pow and expression.exp.is_Integer and 2 <= expression.exp <= HIGHEST:
        base = build(expression.base)
        base.power = int(expression.exp)
        return _joined("product", [base] * int(expression.exp))
    if expression.is_Pow and expression.exp.is_Integer and -HIGHEST <= expression.exp <= -2:
        inverse = build(sympy.Pow(expression.base, -1, evaluate=False))
        return _joined("product", [inverse] * int(-expression.exp))
    parts = [build(part) for part in expression.args]
    if expression.is_Pow and expression.exp == -1 and parts[0].kind == "product":
        inverse = [build(sympy.Pow(p.expression, -1, evaluate=False)) for p in parts[0].parts]
        return _joined("product", inverse)
    if expression.is_Pow and all(part.kind == "number" for part in parts):
        return Node("number", [], sympy.Float(float(values(expression)[0])))
    return Node(expression.func.__name__, parts, expression)


def _joined(kind, parts):
    """A sum or product of some parts."""
    flat = [p for part in parts for p in (part.parts if part.kind == kind else [part])]
    numbers = [p.expression for p in flat if p.kind == "number"]
    flat = [p for p in flat if p.kind != "number"]
    operation = sympy.Add if kind == "sum" else sympy.Mul
    number = operation(*numbers)
    if kind == "product" and number == -1 and len(flat) == 1 and flat[0].kind == "sum":
        return _joined("sum", [_joined("product", [_number(-1), p]) for p in flat[0].parts])
    if kind == "product" and number < 0 and number != -1:
        flat[:0] = [_number(-1), _number(-number)]
    elif number != operation() or not flat:
        flat.insert(0, _number(number))
    if len(flat) == 1:
        return flat[0]
    if kind == "sum" and (slope := _slope(flat)):
        return slope
    ufunc = np.add if kind == "sum" else np.multiply
    with np.errstate(all="ignore"):
        value = ufunc.reduce([p.value for p in flat])
    if kind == "sum" and flat[0].kind == "number" and number < 0:
        flat = [*flat[1:], flat[0]]  # a − 1 and not −1 + a
    return Node(kind, flat, operation(*[p.expression for p in flat], evaluate=False), value)


def _slope(terms):
    """a − a² as a·(1 − a), as the lesson has it; None for other sums."""
    if len(terms) == 2 and terms[0].kind == "symbol" and terms[1].kind == "product":
        a, square = terms
        if _is_minus(square.parts[0]) and close(square.value, -(a.value**2)):
            rest = _joined("sum", [_number(1), _joined("product", [_number(-1), a])])
            return _joined("product", [a, rest])
    return None


def _number(value):
    return Node("number", [], sympy.sympify(value))


# --- Differences -------------------------------------------------------------------

# What a difference costs. Ones that people make often are cheap; those of large parts, which
# say little, are dear.
RULE, SYMBOL, UNLIKE, SIGN, FORGOTTEN, EXTRA, REPLACED = 1.0, 1.0, 1.4, 0.9, 1.0, 1.3, 2.0
PER_SYMBOL = 0.15  # of a part that is forgotten or one too many
PER_REPLACED = 0.4  # of a part in place of another
PER_OF_SYMBOL = 0.1  # of a part that has one symbol in its place
FEW = 4  # parts left over that are paired in every possible way
MANY = 20  # parts, of which no groups are tried: no formula of this network has as many
DEEPEST = 3  # parentheses missing one inside the other


class _Comparison:
    """Compares parts of two trees, each pair once. A result is (cost, list of texts)."""

    def __init__(self):
        self.known = {}

    def __call__(self, ours, right, depth=0):
        key = (id(ours), id(right))
        if key not in self.known:
            self.known[key] = (self._compare(ours, right, depth), ours, right)
        return self.known[key][0]

    def _compare(self, ours, right, depth):
        """Compare two parts; `depth` counts the parentheses that were opened on the way."""
        if close(ours.value, right.value):
            return 0, []
        options = [self._replaced(ours, right)]
        if ours.kind == "Rounded":
            rounding = ("rounded to {} decimals", ours.parts[1])
            options.append(_added([(RULE, [rounding]), self(ours.parts[0], right, depth)]))
        if close(ours.value, -right.value):
            options.append((SIGN, [(FLIPPED, right)]))
        if (ours.kind, right.kind) == ("Pow", "exp") and close(ours.parts[1].value,
                                                               right.parts[0].value):  # fmt: skip
            options.append((RULE, [("{} in place of e", ours.parts[0])]))
        for text, _, value in _rules(right.expression):
            if close(ours.value, value):
                options.append((RULE, [(text,)]))
        if (ours.kind, right.kind) == ("sum", "product"):
            options += self._added_for_multiplied(ours, right)
        best = min(options, key=_cost)
        if best[0] <= RULE:
            return best
        if ours.kind == "sum" and right.kind != "sum" and depth < DEEPEST:
            options += self._opened(ours, right, depth)
        if ours.kind == "product" == right.kind:
            options += self._multiplied(ours, right, depth)
        for kind in ("product", "sum"):
            if kind in (ours.kind, right.kind):
                options.append(self._parts(ours, right, kind, depth))
        function = ours.kind not in ("sum", "product", "symbol", "number")
        if function and ours.kind == right.kind and len(ours.parts) == len(right.parts):
            options.append(_added([self(a, b, depth) for a, b in zip(ours.parts, right.parts)]))
        return min(options, key=_cost)

    @staticmethod
    def _added_for_multiplied(ours, right):
        """Compare with a product of which one factor is a term: a·b + c in place of a·b·c."""
        for part in sorted(ours.parts, key=lambda part: part.size):
            others = ours.value - part.value
            if close(others * part.value, right.value):
                return [(RULE, [("plus {} in place of times {}", part, part)])]
        return []

    def _opened(self, ours, right, depth):
        """Compare with what the right part is without parentheses."""
        for text, changed in opened(right.expression):
            cost, texts = self._parts(ours, changed, "sum", depth + 1)
            yield RULE + cost, [(text,), *texts]

    def _multiplied(self, ours, right, depth):
        """Compare with a product of long terms in place of their sum."""
        for part in right.parts:
            if part.kind == "sum" and all(term.kind == "product" for term in part.parts):
                rest = [p for p in right.parts if p is not part]
                cost, texts = self._parts(
                    ours, _joined("product", [*rest, *part.parts]), "product", depth
                )
                yield RULE + cost, [("a product in place of {}", part), *texts]

    def _replaced(self, ours, right):
        if ours.kind == right.kind == "symbol":
            text = (substitution(ours.expression.name, right.expression.name),)
            return SYMBOL if ours.expression in alike(right.expression) else UNLIKE, [text]
        if ours.kind == "number" and right.kind == "symbol" and ours.expression > 0:
            return UNLIKE, [("{} in place of {}", ours, right)]
        cost = REPLACED + PER_REPLACED * (ours.size + right.size)
        if ours.kind == "symbol":
            cost = UNLIKE + PER_REPLACED + PER_OF_SYMBOL * right.size
        return cost, [("{} in place of {}", ours, right)]

    def _parts(self, ours, right, kind, depth):
        """Compare two sums or two products, part by part."""
        left = [*ours.parts] if ours.kind == kind else [ours]
        wanted = [*right.parts] if right.kind == kind else [right]
        whole = (len(left), len(wanted))
        found = self._matched(left, wanted, kind)
        return _added([found, self._leftovers(left, wanted, whole, kind, depth)])

    def _matched(self, left, wanted, kind):
        """Take out what is the same in both, also but for a sign, or by a rule."""
        _take_equal(left, wanted, kind)
        flipped = []
        for one in [*left]:
            other = next((w for w in wanted if close(one.value, -w.value)), None)
            if other and "number" not in (one.kind, other.kind):
                left.remove(one)
                wanted.remove(other)
                flipped.append((FLIPPED, other))
        if kind == "sum":
            return SIGN * len(flipped), flipped
        signs = [p for parts in (left, wanted) for p in parts if _is_minus(p)]
        if len(flipped) % 2 and signs:  # two signs make none
            (left if signs[0] in left else wanted).remove(signs[0])
            flipped.pop()
        if len(flipped) % 2 == 0:
            flipped = []
        return _added([(SIGN * len(flipped[-1:]), flipped[-1:]), _by_rule(left, wanted)])

    def _leftovers(self, left, wanted, whole, kind, depth):
        """Say what is left over: forgotten, one too many, or one in place of the other."""
        if not left or not wanted:
            return self._unpaired(left, wanted, kind)
        groups = [_joined(kind, parts) for parts in (left, wanted)]
        options = [self._replaced(*groups)]
        if max(len(left), len(wanted)) <= FEW:
            options += [self._paired(left, pairing, wanted, kind, depth)
                        for pairing in _pairings(len(left), len(wanted))]  # fmt: skip
            smaller = (len(left), len(wanted)) != whole
            if (
                smaller
                and depth < DEEPEST
                and min(len(left), len(wanted)) == 1 < max(len(left), len(wanted))
            ):
                options.append(self(*groups, depth + 1))
        return min(options, key=_cost)

    def _paired(self, left, pairing, wanted, kind, depth):
        results = [self(left[a], wanted[b], depth) for a, b in pairing]
        rest = [p for k, p in enumerate(left) if k not in {a for a, _ in pairing}]
        missing = [p for k, p in enumerate(wanted) if k not in {b for _, b in pairing}]
        return _added([*results, self._unpaired(rest, missing, kind)])

    def _unpaired(self, left, wanted, kind):
        texts = [(_FORGOTTEN[kind], part, kind) for part in wanted]
        texts += [(_EXTRA[kind], part, kind) for part in left]
        cost = sum(FORGOTTEN + PER_SYMBOL * part.size for part in wanted)
        return cost + sum(EXTRA + PER_SYMBOL * part.size for part in left), texts


_FORGOTTEN = {"sum": "the term {} is forgotten", "product": "the factor {} is forgotten"}
_EXTRA = {"sum": "the term {} is one too many", "product": "the factor {} is one too many"}


def say(text, *parts):
    """A difference in words: a template, and the parts that it speaks of."""
    if parts and parts[-1] == "sum":
        parts = [_without_sign(parts[0])]
    elif parts and parts[-1] == "product":
        if _is_minus(parts[0]):
            text = text.replace("the factor {}", "a minus")
        elif parts[0].power == 2 and "forgotten" in text:
            text = text.replace("the factor {}", "the square of {}")
        elif parts[0].power > 2:
            text = f"the power {parts[0].power} of {{}} in place of its square"
        parts = parts[:1]
    elif text == FLIPPED:
        return _flipped(*parts)
    elif len(parts) == 2 and parts[0].kind == "number" and parts[0].expression < 0:
        if parts[1].kind == "product" and _is_minus(parts[1].parts[0]):  # −0.3 in place of −t1
            parts = [_joined("product", [_number(-1), part]) for part in parts]
    return text.format(*parts)


def _is_minus(part):
    return part.kind == "number" and part.expression == -1


def _cost(option):
    return option[0]


def _by_rule(left, wanted):
    """Take out factors of ours that together are what a rule makes of a right one."""
    cost, texts = 0, []
    for right in [*wanted] if len(left) <= MANY else ():
        rules = _rules(right.expression) if right.kind == "sum" else []
        for count, (text, _, aim) in itertools.product((2, 3), rules):
            for group in itertools.combinations([*left], count):
                if right not in wanted or not all(part in left for part in group):
                    continue
                value = np.multiply.reduce([part.value for part in group])
                if close(value, aim):
                    wanted.remove(right)
                    for part in group:
                        left.remove(part)
                    cost += RULE
                    texts.append((text,))
    return cost, texts


def _take_equal(left, wanted, kind):
    """Remove parts with the same value from both lists, one by one or one for two or three."""
    for one in [*left]:
        match = next((other for other in wanted if close(one.value, other.value)), None)
        if match:
            left.remove(one)
            wanted.remove(match)
    ufunc = np.add if kind == "sum" else np.multiply
    for singles, groups in ((left, wanted), (wanted, left)):
        for one in [*singles] if len(groups) <= MANY else ():
            for count in (2, 3):
                for group in itertools.combinations(groups, count):
                    if one in singles and close(one.value, ufunc.reduce([p.value for p in group])):
                        singles.remove(one)
                        for part in group:
                            groups.remove(part)
                        break
                else:
                    continue
                break


def _pairings(left, wanted):
    """All ways to pair as many parts of two lists as possible."""
    if left <= wanted:
        return [[*enumerate(p)] for p in itertools.permutations(range(wanted), left)]
    return [[(a, b) for b, a in enumerate(p)] for p in itertools.permutations(range(left), wanted)]


def _added(results):
    return sum(cost for cost, _ in results), [text for _, texts in results for text in texts]


FLIPPED = "the sign of {} is flipped"


def _flipped(right):
    """−(a − t) in place of a − t reads as t − a."""
    if right.kind == "sum" and len(right.parts) == 2:
        swapped = _joined("product", [_number(-1), right])
        first, second = swapped.parts
        if first.kind != "number" and first.expression.could_extract_minus_sign():
            swapped = _joined("sum", [second, first])
        return f"{swapped} in place of {right}"
    return FLIPPED.format(_without_sign(right))


def _without_sign(term):
    if term.kind == "product" and _is_minus(term.parts[0]):
        return _joined("product", term.parts[1:])
    return term


def substitution(ours, right):
    """One quantity in place of another, in words: also the same one of another row."""
    name, _, where = ours.partition(" of the ")
    if where and name == right:
        absolute = ", as with an absolute reference" * (where == "first row")
        return f"{right} is taken from the {where}{absolute}"
    return f"{ours} in place of {right}"


@lru_cache(5000)
def _rules(expression):
    """What the rules make of a part: a list of (what happened, expression, its values)."""
    return [(text, changed, values(changed)) for text, changed in rules_at(expression)]


@lru_cache(1000)
def opened(expression):
    """A part without some of its parentheses: a list of (what happened, tree)."""
    return [
        (text, build(changed))
        for text, changed, _ in _rules(expression)
        if text.startswith("the parentheses") and changed.is_Add
    ]


# --- A whole formula ---------------------------------------------------------------


@lru_cache(100)
def _known_mistakes(symbol):
    """(what happened, values) of every mistake in the catalogue of a quantity."""
    return [(what, values(formula)) for what, formula in catalogue(symbol)]


def _with_tanh(right):
    """A sigmoid as ½·(1 + tanh(h/2))."""
    for h in SIGMOIDS.values():
        half = sympy.Rational(1, 2)
        tanh = sympy.Mul(half, 1 + sympy.tanh(half * h), evaluate=False)
        right = right.subs(1 / (1 + sympy.exp(-h)), tanh)
    return right


def _with_exponentials(right):
    """The slope of a sigmoid as exp(−h)/(1 + exp(−h))²."""
    for a, h in SIGMOIDS.items():
        slope = sympy.exp(-h) / (1 + sympy.exp(-h)) ** 2
        right = right.replace(
            lambda n, a=a: n.is_Mul and {a, 1 - a} <= {*n.args},
            lambda n, a=a, slope=slope: n / a / (1 - a) * slope,
        )
    return right


WRITTEN = {sympy.tanh: _with_tanh, sympy.exp: _with_exponentials}  # function → another form


@lru_cache(200)
def _right_trees(right, functions=frozenset()):
    """The right formula as trees: as the lesson has it, and with its sum multiplied out.

    Args:
        functions: those in the formula that it is compared with. By these, sigmoids and
            their slopes are written as people write them with such functions.
    """
    trees = [build(right)]
    written = {name: form(right) for name, form in WRITTEN.items() if name in functions}
    trees += [build(other) for other in written.values() if other != right]
    sums = [p for p in trees[0].parts if p.kind == "sum" and all(t.parts for t in p.parts)]
    if trees[0].kind == "product" and sums:
        rest = [part for part in trees[0].parts if part is not sums[0]]
        trees.append(_joined("sum", [_joined("product", [t, *rest]) for t in sums[0].parts]))
    return trees


ENTROPY = {  # the loss that goes with probabilities
    error: -t * sympy.log(a) - (1 - t) * sympy.log(1 - a)
    for error, t, a in zip((E1, E2), TARGETS, [*SIGMOIDS][2:])
}


def _relu(found, symbol):
    """Say that max(0, h) stands in place of a sigmoid; None where it does not."""
    h = SIGMOIDS.get(symbol)
    is_relu = h is not None and close(found, np.maximum(0, values(h)))
    return f"max(0, {h}), which is ReLU, in place of the sigmoid" if is_relu else None


@lru_cache(2000)
def differences(ours, symbol):
    """Every difference between a formula and the right one.

    Args:
        ours: a SymPy expression over the network's quantities and other symbols.
        symbol: the quantity that it should calculate: one of `FORMULAS`.

    Returns:
        A tuple of texts; empty where the formula is right.
    """
    found = values(ours)
    if close(found, values(symbol)):
        return ()
    if ours.has(Largest) and (relu := _relu(found, symbol)):
        return (relu,)
    if ours.has(sympy.log) and symbol in ENTROPY and close(found, values(ENTROPY[symbol])):
        return ("the cross-entropy in place of half the squared error",)
    for what, mistaken in _known_mistakes(symbol):
        if close(found, mistaken):
            if any(p.is_Pow and p.exp == 1 for p in sympy.preorder_traversal(ours)):
                return ("the exponent 1 in place of −1",)  # POWER(1 + EXP(-h), 1)
            return (what,)
    for name, numbers in NETWORKS.items():
        for factor, text in ((numbers, "forgotten"), (1 / numbers, "one too many")):
            if close(found * factor, values(symbol)):
                return (f"the factor {name} is {text}",)
    return _cheapest(ours, FORMULAS[symbol])


@lru_cache(2000)
def update_differences(ours, weight, typed=None):
    """The same for the formula of the next weight, over the row above and η.

    Args:
        typed: the learning rate, where it may stand as a number in the formula.
    """
    right, mistaken = update_formulas(weight)
    typed = None if typed is None else sympy.Rational(str(float(typed)))
    found = values(ours)
    if close(found, values(right)):
        return ()
    if typed is not None:
        if close(found, values(right.subs(ETA, typed))):
            return ()
        mistaken = [(what, formula.subs(ETA, typed)) for what, formula in mistaken] + mistaken
    for what, formula in mistaken:
        if close(found, values(formula)):
            return (what,)
    others = () if typed is None else (right.subs(ETA, typed),)
    return _cheapest(ours, right, *others)


def part_differences(ours, right):
    """The same for a part of a formula, over the network's quantities."""
    return () if close(values(ours), values(right)) else _cheapest(ours, right)


def constant_differences(ours, symbol):
    """The same for a cell that takes an input or target from elsewhere."""
    names = ours.free_symbols
    if names and all(s == symbol or s.name.startswith(f"{symbol} of the ") for s in names):
        return ()
    return _cheapest(ours, symbol)


def _cheapest(ours, *rights):
    """The differences from the one of some right formulas that is nearest."""
    tree, compare = build(ours), _Comparison()
    functions = frozenset(node.func for node in ours.atoms(sympy.Function)) & {*WRITTEN}
    results = [
        (compare(tree, form), right) for right in rights for form in _right_trees(right, functions)
    ]
    (_, found), right = min(results, key=lambda result: result[0][0])
    texts = [say(*difference) for difference in found]
    counts = Counter(texts)
    places = _places(right)
    said = []
    for text in dict.fromkeys(texts):
        symbol = text.rpartition(" in place of ")[2]
        some = symbol in places and counts[text] < places[symbol]
        times = {1: ", once", 2: ", twice"}.get(counts[text], "")
        said.append(text + times * some)
    return tuple(said)


def _places(formula):
    """How often each symbol stands in a formula, a `Counter` of names; in a square twice."""
    if formula.is_Symbol:
        return Counter([formula.name])
    count = 2 if formula.is_Pow and formula.exp == 2 else 1
    return sum((_places(part) for part in formula.args * count), Counter())
