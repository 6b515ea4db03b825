"""One attempt at an exercise: an answer is read, run between our own cells, and checked.

`isolation.run` calls `attempt` in a process of its own.
"""

import ast
import builtins
import contextlib
import importlib
import math
import os
import random
import symtable
import tempfile

import matplotlib
import numpy as np
import torch
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from grading import exercises, look
from grading.exercises import INCORRECT, describe


def attempt(say, number, cells):
    """Say {"look": reasons}, before anything is run, then {"word", "comment", "changed"}.

    Args:
        number: of the exercise, such as "1.4".
        cells: the notebook's `notebooks.Cell`s in order. Those are run that the answer
            needs, and the answer.
    """
    running = needed(cells, number)
    given = [cell.source for cell in cells if not cell.exercise]
    reasons, unreadable = [], None
    for cell in running:
        if cell.exercise:
            try:
                reasons += look.reasons(cell.source, given, cell.stub)
            except SyntaxError as error:
                unreadable = unreadable or _stops(cell, number, error)
    say({"look": list(dict.fromkeys(reasons))})
    importlib.import_module(f"grading.lesson{number[0]}")
    before = _libraries()
    word, comment = (INCORRECT, unreadable) if unreadable else _checked(number, running)
    say({"word": word, "comment": comment, "changed": _changes(before)})


def needed(cells, number):
    """The cells that an exercise needs, its own among them, in order.

    A cell needs those in which the names that it uses got their last value before it. A
    helper that was defined in another answer cell is found like this, an import of ours too.
    """
    names = [_names(cell) for cell in cells]
    found = {place for place, cell in enumerate(cells) if cell.exercise == number}
    wanted = list(found)
    while wanted:
        place = wanted.pop()
        for name in names[place][1]:
            makers = [k for k, (defined, _) in enumerate(names) if name in defined and k != place]
            earlier = [k for k in makers if k < place]
            for maker in (earlier or makers)[-1:]:
                if maker not in found:
                    found.add(maker)
                    wanted.append(maker)
    return [cells[place] for place in sorted(found)]


def _names(cell):
    """(names that a cell defines, names that it needs from elsewhere)."""
    try:
        tree = look.parse(cell.source)
        top = symtable.symtable(ast.unparse(tree), "<cell>", "exec")
    except (SyntaxError, RecursionError):
        return set(), set()
    defined, made, used = set(), set(), set()
    for symbol in top.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            defined.add(symbol.get_name())
        if symbol.is_imported() or symbol.is_namespace():  # x = x + 1 needs another x
            made.add(symbol.get_name())
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (table is top or symbol.is_global())
        }
    return defined, used - made


# --- Running ------------------------------------------------------------------------


class _Shell(InteractiveShell):
    """IPython without a terminal, so that %timeit, display and plots work."""

    def enable_gui(self, gui=None):
        pass

    def _tee(self, channel):
        """Newer versions keep all that is printed: a flood would fill the memory."""
        return contextlib.nullcontext()

    def showtraceback(self, *arguments, **settings):
        pass  # nobody reads it

    showsyntaxerror = showtraceback


def _checked(number, cells):
    """Run the cells and check the answer: (word, comment)."""
    matplotlib.use("agg")
    config = Config()
    config.HistoryManager.enabled = False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        shell = _Shell.instance(config=config, ipython_dir=profile)
        shell.automagic = False
        for place, cell in enumerate(cells):
            result = shell.run_cell(cell.source)
            error = result.error_before_exec or result.error_in_exec
            if error and not _replaced(cell, cells[place + 1 :]):
                return INCORRECT, _stops(cell, number, error)
        seed = int.from_bytes(os.urandom(4), "little")  # whatever seed an answer has set
        for library in (torch.manual_seed, np.random.seed, random.seed):
            library(seed)
        defined = set().union(*(_names(cell)[0] for cell in cells if cell.exercise == number))
        verdict = exercises.verdict(number, shell.user_ns, defined)
    return verdict.word, verdict.comment


def _replaced(cell, later):
    """Whether a later answer cell takes this one's place, so that its error says nothing."""
    return cell.exercise and any(cell.exercise == other.exercise for other in later)


def _stops(cell, number, error):
    if not cell.exercise:
        return f"a cell of the notebook that it needs stops with {describe(error)}"
    of = "" if cell.exercise == number else f" of {cell.exercise}, which it uses,"
    return f"the answer cell{of} stops with {describe(error)}"


# --- What an answer has changed ------------------------------------------------------


def _libraries():
    """What the libraries consist of that answers and checks use: {name: (namespace, parts)}."""
    checks = [m for name, m in importlib.sys.modules.items() if name.startswith("grading.")]
    spaces = [builtins, math, random, np, torch, torch.nn.functional, torch.Tensor,
              torch.nn.Module, torch.optim.Optimizer, *checks]  # fmt: skip
    return [(space, _parts(space)) for space in spaces]


def _parts(space):
    """{name: what must stay the same} of a module or a class."""
    return {
        name: (value, getattr(value, "__code__", None), getattr(value, "__defaults__", None))
        for name, value in list(vars(space).items())
    }


def _changes(before):
    """What differs now, such as "torch.allclose"."""
    changed = [] if torch.get_default_dtype() == torch.float32 else ["torch's default dtype"]
    with contextlib.suppress(AttributeError):  # a namespace that is none any more
        for space, parts in before:
            now = _parts(space)
            new = now.keys() - parts.keys() if isinstance(space, type) else ()
            names = [name for name, part in parts.items() if not _same(part, now.get(name))]
            changed += [f"{space.__name__}.{name}" for name in (*names, *new)]
    return changed[:3]


def _same(part, now):
    return now is not None and all(a is b for a, b in zip(part, now))
