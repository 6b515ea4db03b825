"""Which answers somebody should read before the points count: LOOK.

An answer is code in the same process as its check, so it could change what the check
compares with, or read it. This module reads an answer's source, before it is run, and says
what in it reaches beyond an exercise: another import than those that an exercise needs, a
file, a private attribute, a changed function of a library, an == of its own. It lists
what is allowed where it can, because nobody can list all that is not.
"""

import ast
import builtins
import importlib
import math
import re
import types

import numpy as np
import torch
from IPython.core.inputtransformer2 import TransformerManager

# What an answer may import, and come to by attributes.
MODULES = set(
    """math cmath random itertools functools operator collections collections.abc typing
    dataclasses enum abc numbers time copy statistics fractions decimal heapq bisect warnings
    __future__ numpy numpy.linalg numpy.random numpy.fft numpy.testing numpy.lib
    numpy.lib.stride_tricks numpy.typing numpy.polynomial numpy.exceptions torch torch.nn
    torch.nn.functional torch.nn.init torch.nn.utils torch.nn.parameter torch.optim
    torch.optim.lr_scheduler torch.autograd torch.autograd.functional torch.func torch.linalg
    torch.special torch.fft torch.testing torch.utils torch.utils.data torch.cuda
    torch.backends torch.version torch.distributions scipy scipy.stats scipy.special
    scipy.signal scipy.linalg
    matplotlib matplotlib.pyplot tqdm tqdm.auto tqdm.notebook IPython.display
    torchvision torchvision.transforms torchvision.transforms.v2""".split()
)

# Names that Python or IPython give to every cell.
NAMES = set(
    """eval exec compile open globals locals vars setattr delattr memoryview breakpoint
    get_ipython""".split()
)

# Attributes, of whatever object: other modules, frames, files, code in strings, and what
# changes the libraries for everybody in the process.
ATTRIBUTES = set(
    """sys os io gc builtins importlib inspect ctypes ctypeslib subprocess threading
    multiprocessing socket pathlib shutil pickle signal traceback linecache tempfile atexit
    faulthandler urllib requests grading solutions exercises gi_frame gi_code gi_yieldfrom
    cr_frame cr_code cr_await ag_frame ag_code ag_await f_back f_globals f_locals f_builtins
    f_code tb_frame tb_next open load save savez savez_compressed loadtxt savetxt genfromtxt
    fromfile tofile memmap from_file fromregex savefig imsave imread compile query
    attrgetter methodcaller get_type_hints ForwardRef make_dataclass singledispatch
    singledispatchmethod update_wrapper runstring rundocs measure seterrcall setbufsize
    set_string_function showwarning formatwarning set_rng_state get_rng_state initial_seed
    setstate getstate set_state get_state swap_tensors set_module""".split()
)
FILES = re.compile(
    r"read_\w+|to_(csv|excel|pickle|json|html|latex|parquet|hdf|sql|feather|orc|stata|xml)"
)
HOOKS = re.compile(r"register_\w*hook\w*")
SETTERS = re.compile(r"(set|use)_\w+")  # of torch
HARMLESS_SETTERS = set(
    """set_printoptions set_num_threads set_grad_enabled set_float32_matmul_precision
    set_detect_anomaly""".split()
)

# Methods with a meaning for Python that an answer may define, and may call by name: not those
# by which a thing is compared, or becomes a number or an array. Checks use only these.
METHODS = set(
    """__init__ __call__ __repr__ __str__ __len__ __iter__ __next__ __getitem__ __setitem__
    __contains__ __enter__ __exit__ __post_init__ __add__ __radd__ __sub__ __rsub__ __mul__
    __rmul__ __truediv__ __rtruediv__ __pow__ __rpow__ __matmul__ __neg__""".split()
)
READABLE = METHODS | {"__name__", "__doc__", "__version__"}
MODULE_METHODS = {"__init__", "forward", "extra_repr"}  # of nn.Module, to be overridden
# In the class of a network: how it would train weights that the check does not count, or
# keep two numbers in one.
TRAINING = {"grad", "backward", "zero_grad"}
COMPLEX = re.compile(r"complex\d*|view_as_(real|complex)|c(float|double)")

MAGICS = {"time", "timeit", "matplotlib", "pinfo", "pinfo2", "precision", "capture"}
PLAIN = re.compile(r"[\w.% -]*")
TEXT = re.compile(r"__\w+__|\b(gi|cr|ag|tb|f)_(frame|back|locals|globals|code|builtins)\b")
FORMAT = re.compile(r"\{[^{}:!]*[.\[]")  # "{0.name}".format(x), "{0[name]}".format(x)
PATHS = re.compile(r"\b(grading|solutions|submissions)[./\\]|module://")

LONGEST_ANSWER, LONGEST_LINE, LONGEST_TEXT, MOST_NUMBERS = 10_000, 1000, 1500, 300
MOST_REASONS = 6

_LIBRARIES = (torch, torch.Tensor, torch.nn.Module, torch.nn.functional, torch.optim.Optimizer,
              np, np.ndarray, np.random, math, builtins)  # fmt: skip
_NEVER_ALONE = (torch.Tensor, np.ndarray, torch.nn.Module, torch.nn.Parameter)


def parse(source):
    """The syntax tree of a cell, with the code after %%time and the like as a part of it.

    Raises:
        SyntaxError: it is no Python.
    """
    try:
        source = TransformerManager().transform_cell(source)
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return _Magics().visit(compile(source, "<answer>", "exec", flags, dont_inherit=True))
    except SyntaxError:
        raise
    except Exception as error:  # noqa: BLE001  whatever a hostile text makes a parser raise
        raise SyntaxError(f"it cannot be read ({type(error).__name__})") from None


class _Magics(ast.NodeTransformer):
    """Puts the code of harmless magics in their place; leaves the others as they are."""

    def visit_Expr(self, node):
        texts = self.arguments(node.value)
        if not texts or texts[0] not in MAGICS:
            return self.generic_visit(node)
        line = re.sub(r"^(\s*-\w+\s*\d*\s)+", "", texts[1])
        if "time" not in texts[0]:
            if not PLAIN.fullmatch(line):  # IPython runs what stands in braces
                return node
            line = ""
        try:
            code = [*parse(line).body, *parse("".join(texts[2:])).body]
        except SyntaxError:
            return node
        return code or ast.Pass()

    def arguments(self, node):
        """The texts in get_ipython().run_line_magic(…) or run_cell_magic(…), or None."""
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Call(func=ast.Name(id="get_ipython")),
                    attr="run_line_magic" | "run_cell_magic",
                ),
                args=[ast.Constant(), ast.Constant(), *_],
                keywords=[],
            ):
                texts = [getattr(argument, "value", None) for argument in node.args]
                return texts if all(isinstance(text, str) for text in texts) else None
        return None


def reasons(source, given=(), stub=""):
    """Why somebody should read an answer: "imports sys", "uses open", …; [] is the rule.

    Args:
        source: the answer cell.
        given: the sources of our own cells whose names it can use.
        stub: what the cell held at first. What a stub does is allowed.

    Raises:
        SyntaxError: the answer is no Python.
    """
    reader = _Reader(given)
    found = list(dict.fromkeys(reader.read(parse(source), source)))
    allowed = set(_Reader(given).read(parse(stub), stub)) if found else set()
    return [reason for reason in found if reason not in allowed][:MOST_REASONS]


class _Reader:
    """Goes through an answer's syntax tree, with what its names stand for.

    Attributes:
        meaning: {name: the modules, classes and functions of libraries that it may be}.
    """

    def __init__(self, given):
        self.meaning = {}
        for source in given:
            for node in ast.walk(parse(source)):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    self.bind(node)

    def read(self, tree, source):
        """Yield the reasons."""
        if len(source) > LONGEST_ANSWER:
            yield "is very long"
        if any(len(line) > LONGEST_LINE for line in source.splitlines()):
            yield "has a very long line"
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from self.imports(node)
        self.bind_aliases(tree)
        nodes = list(ast.walk(tree))
        self.parents = {c: n for n in nodes for c in ast.iter_child_nodes(n)}
        self.own = {n.attr for n in nodes if isinstance(n, ast.Attribute) and _stored(n)}
        self.own |= {n.id for n in nodes if isinstance(n, ast.Name) and _stored(n)}
        self.own |= {n.name for n in nodes if isinstance(n, _DEFINITIONS)}
        self.own |= {n.arg for n in nodes if isinstance(n, ast.arg)}
        self.networks = any(self.is_network(n) for n in nodes if isinstance(n, ast.ClassDef))
        for node in nodes:
            check = getattr(self, f"read_{type(node).__name__}", None)
            if check:
                yield from check(node)

    # --- What a name stands for -------------------------------------------------------

    def imports(self, node):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [node.module or ""]
            for alias in node.names:
                yield from self.attribute(alias.name)
                if alias.name == "*" and node.module != "math":
                    yield f"imports all of {node.module}"
        forbidden = [name for name in names if name not in MODULES or getattr(node, "level", 0)]
        yield from (f"imports {name or '.'}" for name in forbidden)
        if not forbidden:
            self.bind(node)
            for alias in node.names if isinstance(node, ast.ImportFrom) else ():
                yield from self.foreign(self.meaning.get(alias.asname or alias.name, ()))
        for alias in node.names:
            if (alias.asname or "").startswith("__"):
                yield f"defines {alias.asname}"

    def bind(self, node):
        """Note what the names of an import stand for, if it can be imported."""
        for alias in node.names:
            try:
                if isinstance(node, ast.Import):
                    module = importlib.import_module(alias.name)
                    name = alias.asname or alias.name.partition(".")[0]
                    value = module if alias.asname else importlib.import_module(name)
                else:
                    name = alias.asname or alias.name
                    module = importlib.import_module(node.module)
                    value = getattr(module, alias.name, None)
                    if value is None:
                        value = importlib.import_module(f"{node.module}.{alias.name}")
            except ImportError:  # the answer will stop there
                continue
            self.add(name, value)

    def add(self, name, value):
        """Note one more thing that a name may stand for; False if that is known."""
        values = self.meaning.setdefault(name, [])
        if any(value is other for other in values):
            return False
        values.append(value)
        return True

    def bind_aliases(self, tree):
        """F = nn.functional: then F is a module as well, wherever that stands."""
        pairs = [
            (target.id, node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        # A list, so that all pairs are gone through; and again, as long as one said something.
        while any([self.add(name, v) for name, node in pairs for v in [*self.resolve(node)]]):
            pass

    def resolve(self, node):
        """What a name, or a name with attributes, may stand for; [] if it is no library's."""
        if isinstance(node, ast.Name):
            return self.meaning.get(node.id, [])
        if isinstance(node, ast.Attribute):
            bases = self.resolve(node.value)
            found = [_part(base, node.attr) for base in bases if isinstance(base, _CONTAINERS)]
            return [value for value in found if value is not None]
        return []

    def foreign(self, values):
        """Modules that no exercise needs."""
        for value in values:
            if isinstance(value, types.ModuleType) and value.__name__ not in MODULES:
                yield f"uses {value.__name__}"

    def tables(self, node):
        """Tables in which a library keeps what it does, such as copy.dispatch_table."""
        if node.attr != "rcParams":
            values = self.resolve(node)
            if any(isinstance(value, dict | list | set) for value in values):
                yield f"uses {ast.unparse(node)}"

    # --- What each part of the tree may be ---------------------------------------------

    def read_Name(self, node):
        name = node.id
        hidden = name.startswith("_") and name not in self.own and name != "__name__"
        if isinstance(node.ctx, ast.Load) and (name in NAMES or hidden):
            yield f"uses {name}"
        if name == "getattr" and not self.plain_getattr(node):
            yield "uses getattr"
        if _stored(node) and name.startswith("__") and name not in METHODS:
            yield f"defines {name}"
        if isinstance(self.parents.get(self.parents.get(node)), ast.ClassDef) and _stored(node):
            yield from self.overrides(name)
        if isinstance(node.ctx, ast.Load):
            yield from self.foreign(self.resolve(node))
            yield from self.alone(node)

    def read_Attribute(self, node):
        yield from self.attribute(node.attr, node)
        yield from self.foreign(self.resolve(node))
        yield from self.tables(node)
        if self.networks and self.in_class(node):
            yield from self.in_network(node)
        if _stored(node):
            yield from self.change(node)
        else:
            yield from self.alone(node)

    def read_Call(self, node):
        function = node.func
        if isinstance(function, ast.Name) and function.id == "type" and len(node.args) > 1:
            yield "makes a class by type"
        if isinstance(function, ast.Attribute) and function.attr == "eval":
            if node.args or node.keywords:
                yield "uses eval"

    def read_ClassDef(self, node):
        for base in node.bases:
            classes = self.resolve(base)
            name = ast.unparse(base)
            own = isinstance(base, ast.Name) and not classes and base.id in self.own
            builtin = isinstance(base, ast.Name) and getattr(builtins, base.id, None)
            allowed = builtin is object or _is_class(builtin, Exception) or own
            if not allowed and not any(_inheritable(value) for value in classes):
                yield f"inherits from {name}"
        if node.keywords:
            yield "has a metaclass"

    def read_FunctionDef(self, node):
        if node.name.startswith("__") and node.name not in METHODS:
            yield f"defines {node.name}"
        if isinstance(self.parents.get(node), ast.ClassDef):
            yield from self.overrides(node.name)

    read_AsyncFunctionDef = read_FunctionDef

    def read_MatchClass(self, node):
        for name in node.kwd_attrs:
            yield from self.attribute(name)

    def read_keyword(self, node):
        if node.arg and node.arg.startswith("__"):
            yield f"uses {node.arg}"

    def read_Constant(self, node):
        value = node.value
        if isinstance(value, int) and value.bit_length() > 4 * LONGEST_TEXT:
            yield "has a very long number"
        if not isinstance(value, str | bytes):
            return
        if isinstance(self.parents.get(node), ast.Expr | ast.JoinedStr):
            return  # a docstring, or a part of f"…", which formats nothing more
        if len(value) > LONGEST_TEXT:
            yield "has a very long text"
        text = value if isinstance(value, str) else value.decode("latin-1")
        hidden = [found[0] for found in TEXT.finditer(text) if found[0] not in READABLE]
        hidden += [found[0] for found in PATHS.finditer(text)]
        if getattr(self.parents.get(node), "attr", None) in ("format", "format_map"):
            hidden += [found[0] for found in FORMAT.finditer(text)]
        if hidden:
            yield f"has the text {hidden[0]!r}"

    def numbers(self, node):
        if sum(isinstance(part, ast.Constant) for part in ast.walk(node)) > MOST_NUMBERS:
            yield "has a very long list of numbers"

    read_List = read_Tuple = read_Set = read_Dict = numbers

    # --- Rules that several of them share ----------------------------------------------

    def attribute(self, name, node=None):
        """A name after a dot, or one that is imported from a module."""
        if name.startswith("__"):
            if name not in READABLE:
                yield f"uses {name}"
        elif name.startswith("_") and name != "_":
            if node is None or self.resolve(node.value) or name not in self.own:
                yield f"uses {name}"
        elif name in ("format", "format_map") and node is not None:
            if not isinstance(node.value, ast.Constant):
                yield "formats a text that is not written out"
        elif name in ATTRIBUTES or FILES.fullmatch(name) or HOOKS.fullmatch(name):
            if not (node and any(isinstance(v, types.ModuleType) for v in self.resolve(node))):
                yield f"uses {name}"  # scipy.signal, a module, is looked at as such
        elif SETTERS.fullmatch(name) and name not in HARMLESS_SETTERS and hasattr(torch, name):
            yield f"uses {name}"

    def change(self, node):
        """A new value for an attribute: not for those of libraries, nor for their methods."""
        written = ast.unparse(node)[:60]
        root = node.value
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if self.resolve(root) and not isinstance(root, ast.Call):
            yield f"changes {written}"
        elif isinstance(node.value, ast.Name) and node.value.id == "self" and self.in_class(node):
            if callable(getattr(torch.nn.Module, node.attr, None)):
                yield f"changes {written}"
        elif any(callable(getattr(library, node.attr, None)) for library in _LIBRARIES):
            yield f"changes {written}"

    def alone(self, node):
        """A module, or a class whose methods checks use, handed on as a value."""
        values = [v for v in self.resolve(node) if isinstance(v, _CONTAINERS)]
        if not any(isinstance(v, types.ModuleType) or v in _NEVER_ALONE for v in values):
            return
        child, parent = node, self.parents.get(node)
        while isinstance(parent, ast.Tuple | ast.List | ast.BinOp | ast.Subscript):
            child, parent = parent, self.parents.get(parent)
        used = (
            (isinstance(parent, ast.Attribute) and child is node)
            or (isinstance(parent, ast.Call) and (child is parent.func or _asks_type(parent)))
            or (isinstance(parent, ast.Assign) and self.is_alias(parent, node))
            or isinstance(parent, ast.ClassDef | ast.Compare | ast.arg)
            or (isinstance(parent, ast.AnnAssign) and child is parent.annotation)
            or (isinstance(parent, _FUNCTIONS) and child is parent.returns)
        )
        if not used:
            yield f"hands on {ast.unparse(node)}"

    def overrides(self, name):
        """In a network, or a class beside one, a method by which a check counts or trains it."""
        if self.networks and hasattr(torch.nn.Module, name) and name not in MODULE_METHODS:
            yield f"overrides {name}"

    def in_network(self, node):
        optimizer = any(_is_class(value, torch.optim.Optimizer) for value in self.resolve(node))
        if node.attr in TRAINING or optimizer:
            yield "trains in the class of a network"
        if COMPLEX.fullmatch(node.attr):
            yield f"uses {node.attr}"

    def is_network(self, definition):
        values = [value for base in definition.bases for value in self.resolve(base)]
        return any(_is_class(value, torch.nn.Module) for value in values)

    def is_alias(self, assignment, value):
        """Whether it gives a value another name, but not a place in a class."""
        names = all(isinstance(target, ast.Name) for target in assignment.targets)
        in_class = isinstance(self.parents.get(assignment), ast.ClassDef)
        return assignment.value is value and names and not in_class

    def in_class(self, node):
        while node and not isinstance(node, ast.ClassDef):
            node = self.parents.get(node)
        return node is not None

    def plain_getattr(self, node):
        """getattr(x, "name") with a name that could stand after a dot."""
        call = self.parents.get(node)
        if not (isinstance(call, ast.Call) and call.func is node and len(call.args) > 1):
            return False
        name = call.args[1]
        if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
            return False
        return not [*self.attribute(name.value)] and not self.resolve(call.args[0])


_CONTAINERS = (types.ModuleType, type)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)


def _stored(node):
    return isinstance(node.ctx, ast.Store | ast.Del)


def _is_class(value, base):
    return isinstance(value, type) and issubclass(value, base)


def _inheritable(value):
    names = ("NamedTuple", "Enum", "IntEnum", "ABC", "Protocol", "Generic")
    return _is_class(value, torch.nn.Module) or getattr(value, "__name__", None) in names


def _asks_type(call):
    return isinstance(call.func, ast.Name) and call.func.id in ("isinstance", "issubclass")


def _part(base, name):
    """An attribute of a module or a class; None if it has none, or if it can't be had."""
    try:
        return getattr(base, name, None)
    except Exception:  # noqa: BLE001  some are made, or imported, when they are asked for
        return None
