"""What marks an answer for somebody to look at, and what does not."""

import re
from pathlib import Path

import pytest

from grading import look
from grading.notebooks import lesson_cells

ROOT = Path(__file__).parents[1]
GIVEN = """
import math
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
import backprop as bp
from grading import handouts
from grading.exercises import check
"""

REACHES = {
    "a module of ours": "bp.autograd_gradients",
    "what is handed out": "handouts.solution()",
    "imports sys": "import sys",
    "imports in a function": "def f():\n    from os import path",
    "imports relatively": "from . import solutions",
    "imports all": "from torch import *",
    "imports a part": "from numpy import load",
    "imports a private part": "from torch import _C",
    "imports a module from a module": "from torch import sys",
    "a module of a module": "torch.sys.modules",
    "a module of a module's module": "torch.utils.data.os.system('ls')",
    "a module by another name": "t = torch\nt.sys",
    "one of two meanings": "m = nn\nm = torch\nm.sys",
    "a module by a name that is given later": "def f():\n    global a\n    a = torch\nb = a\nb.sys",
    "a module in a class": "class A:\n    m = torch\nA.m.library",
    "a module in a tuple": "(torch,)[0].library",
    "a module by a choice": "m = torch if 1 else 0",
    "names that double": "\n".join(60 * ["np = np"]) + "\nnp.sys",
    "a module by its base": "import torch.nn as n\nn.modules.module.sys",
    "a module handed on": "def f(m):\n    m.allclose = max\nf(torch)",
    "a module in a list": "for m in [torch]:\n    m.allclose = max",
    "a module returned": "(lambda: torch)().allclose = max",
    "a module by walrus": "(m := torch)",
    "a module as a default": "def f(m=torch):\n    m.allclose = max",
    "a class handed on": "class A:\n    def f(self):\n        self.allclose = 0\nA.f(torch.Tensor)",
    "a method of tensors": "torch.Tensor.allclose = max",
    "by the class of a value": "type(torch.ones(1)).allclose = max",
    "an attribute of a module": "np.pi = 3",
    "an attribute of a module, in a loop": "for np.pi in [3]:\n    pass",
    "an attribute of a module, in with": "with open('x') as np.pi:\n    pass",
    "an attribute deleted": "del torch.allclose",
    "an attribute of math": "math.exp = max",
    "setattr": "setattr(torch, 'allclose', max)",
    "setattr handed on": "f = setattr",
    "getattr of a module": "getattr(torch, 'sys')",
    "getattr of a text": "getattr(x, '__' + 'class__')",
    "getattr handed on": "map(getattr, x, y)",
    "vars": "vars(torch)['allclose'] = max",
    "globals": "globals()['x'] = 1",
    "eval": "eval('1')",
    "eval, renamed before": "eval = eval\neval('1')",
    "exec": "exec('1')",
    "compile": "compile('1', '', 'exec')",
    "pandas": "import pandas",
    "eval with a text": "df.eval('1')",
    "query of pandas": "df.query('@x')",
    "__import__": "__import__('os')",
    "__builtins__": "__builtins__",
    "the history": "_ih",
    "a file": "open('x')",
    "a file by NumPy": "np.load('x')",
    "a file by PyTorch": "torch.load('x')",
    "a file by a table": "df.to_csv('x')",
    "a file by Matplotlib": "plt.savefig('/tmp/x.png')",
    "a module by Matplotlib": "import matplotlib\nmatplotlib.use('module://evil')",
    "frames": "g.gi_frame.f_back",
    "frames by a text": "'{0.gi_frame}'.format(g)",
    "frames by a text in parts": "('{0.gi_' + 'frame}').format(g)",
    "frames by another text": "str.format(text, g)",
    "a traceback": "error.__traceback__",
    "the class": "x.__class__",
    "the class by match": "match x:\n    case object(__class__=c):\n        pass",
    "the code": "f.__code__",
    "in a text": "f('__globals__')",
    "as a keyword": "dict(__class__=1)",
    "warnings' module": "import warnings\nwarnings.catch_warnings()._module.sys",
    "warnings' sys": "import warnings\nwarnings.sys",
    "private attributes": "model._modules",
    "operator": "import operator\noperator.attrgetter('x')",
    "a table of a library": "import copy\ncopy.dispatch_table[nn.BatchNorm2d] = f",
    "a table of a library, handed on": "import warnings\nf(warnings.filters)",
    "code in a text for NumPy": "np.testing.measure('1')",
    "an import under such a name": "import math as __builtins__",
    "attributes by a formatter": "import string\nstring.Formatter().get_field('0.' + x, y, {})",
    "braces in a magic": "%matplotlib {f()}",
    "a variable in a magic": "%precision $x",
    "annotations": "import typing\ntyping.get_type_hints(f)",
    "equal to everything": "class A:\n    def __eq__(self, o):\n        return True",
    "equal, otherwise": "class A:\n    __eq__ = lambda *a: True",
    "a number": "class A:\n    def __float__(self):\n        return 1.0",
    "an array": "class A:\n    def __array__(self, *a):\n        return 0",
    "true, whatever is compared": "class A:\n    def __bool__(self):\n        return True",
    "a class of a tensor": "class A(torch.Tensor):\n    def abs(self):\n        return 0",
    "a class of an array": "class A(np.ndarray):\n    pass",
    "a class of a number": "class A(float):\n    pass",
    "a class by a function": "class A(type(x)):\n    pass",
    "a metaclass": "class A(metaclass=B):\n    pass",
    "type": "A = type('A', (), {})",
    "an own gradient": "class A(torch.autograd.Function):\n    pass",
    "fewer parameters": "class N(nn.Module):\n    def parameters(self):\n        return []",
    "fewer parameters, from beside": (
        "class A:\n    def parameters(self):\n        return []\nclass N(A, nn.Module):\n    pass"
    ),
    "fewer parameters, later": "class N(nn.Module):\n    pass\nN.parameters = lambda self: []",
    "fewer parameters, in __init__": (
        "class N(nn.Module):\n    def __init__(self):\n        self.parameters = list"
    ),
    "a network that trains itself": (
        "class N(nn.Module):\n    def __init__(self):\n"
        "        self.more = {1: torch.optim.SGD(x, 0.1)}"
    ),
    "a network that trains itself by hand": (
        "class N(nn.Module):\n    def forward(self, x):\n        self.w -= self.w.grad"
    ),
    "two numbers in one": (
        "class N(nn.Module):\n    def __init__(self):\n"
        "        self.w = nn.Parameter(torch.ones(3, dtype=torch.complex64))"
    ),
    "an optimizer that does nothing": "optimizer.step = lambda: None",
    "a hook": "model.register_forward_hook(f)",
    "the default type": "torch.set_default_dtype(torch.float16)",
    "the state of random numbers": "torch.get_rng_state()",
    "operators of PyTorch": "torch.library",
    "a compiler": "torch.compile(f)",
    "a command": "!ls",
    "a command with a result": "files = !ls",
    "a magic": "%run x.py",
    "a magic in a magic": "%time %run x.py",
    "a cell magic": "%%bash\nls",
    "an import in a cell magic": "%%time\nimport os",
    "IPython": "get_ipython().user_ns",
    "a long line": "x = '" + "ab" * 600 + "'",
    "a long text": "x = (\n" + "\n".join(f"'{k:060}'" for k in range(30)) + ")",
    "long text, joined": "x = '''" + "\n".join(f"{k:060}" for k in range(30)) + "'''",
    "many numbers": "x = [\n" + "\n".join(20 * "1.5, " for _ in range(20)) + "]",
    "a very long answer": "\n".join(f"x{k} = {k}" for k in range(2000)),
}

ORDINARY = {
    "imports": "import math\nimport numpy as np\nfrom itertools import product\nimport torch",
    "two names": "import torch.nn.functional as G\nfrom torch.utils.data import DataLoader",
    "an alias": "functional = nn.functional\nfunctional.relu(x)\nT = torch.Tensor\nT([1])",
    "gradients off": "with torch.no_grad():\n    w -= 0.1 * w.grad\n    w.grad.zero_()",
    "gradients off, above": "@torch.no_grad()\ndef f(x):\n    return x",
    "evaluation mode": "model.eval()\nmodel.train()\nx.eval()",
    "gradients cleared": "for p in model.parameters():\n    p.grad = None\n    p.data -= p.grad",
    "a network": (
        "class N(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv1 = nn.Conv2d(1, 8, 3)\n        self.relu = nn.ReLU()\n"
        "        self.layers = nn.Sequential(self.conv1, nn.BatchNorm2d(8))\n"
        "    def forward(self, x):\n        return F.relu(self.layers(x)).mean((2, 3))\n"
        "net = N()\nprint(sum(p.numel() for p in net.parameters()))"
    ),
    "a network, trained for a try": (
        "class N(nn.Module):\n    pass\nnet = N()\n"
        "optimizer = torch.optim.SGD(net.parameters(), 0.1)\nF.mse_loss(net(x), y).backward()"
    ),
    "an old style of it": "class N(nn.Module):\n    def __init__(self):\n"
    "        super(N, self).__init__()\n        nn.Module.__init__(self)",
    "a class": "class A:\n    def __init__(self, x):\n        self._x = x\n        self.data = x\n"
    "    def __call__(self):\n        return self._x\n    def __repr__(self):\n        return 'A'",
    "arithmetic": "class A:\n    def __add__(self, o):\n        return A()\n    __radd__ = __add__",
    "types": "def f(x: torch.Tensor, y: 'list') -> np.ndarray:\n"
    "    if isinstance(x, (torch.Tensor, np.ndarray)) or type(x) == torch.Tensor:\n"
    "        return x\n    z: list[torch.Tensor] = []",
    "formats": "print('{:.3f} {}'.format(x, y), f'{x:.3f} {x.shape[0]}', '%d' % x)",
    "a docstring": 'def f():\n    """Uses __init__ and grading/, see solutions/."""',
    "names": "input, dir, open_ = 1, 2, 3\nfor _ in range(3):\n    pass\n__name__\nlambda _: _",
    "time": "%%time\nimport numpy as np\ndef f(x):\n    return x",
    "timeit": "%timeit -n 10 -r 3 sum(range(10))\n%matplotlib inline\n%time x = 3\nf?",
    "a plot": "plt.plot(x)\nplt.rcParams['font.size'] = 9\nax.set(title='x')\nplt.show()",
    "seeds": "torch.manual_seed(0)\nnp.random.seed(0)\nrng = np.random.default_rng(1)",
    "the check": "check('1.4')",
    "windows": "np.lib.stride_tricks.sliding_window_view(x, (3, 3))\nx.unfold(0, 3, 1)",
    "SciPy": "from scipy.stats import binomtest\nfrom scipy.signal import correlate2d",
    "await": "import math\nasync def f():\n    return 1\nawait f()",
    "getattr": "getattr(x, 'shape')\nhasattr(x, '__len__')",
    "attributes of functions": "f.calls = 0\nf.calls += 1\noptimizer.param_groups[0]['lr'] = 0.1",
    "exceptions": "class E(ValueError):\n    pass\ntry:\n    f()\nexcept E as error:\n    raise",
    "setting": "torch.set_printoptions(precision=3)\nnp.set_printoptions(precision=3)",
    "a data class": "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 0",
    "random numbers": "torch.randn(3, generator=torch.Generator().manual_seed(1))",
}


@pytest.mark.parametrize("name", REACHES)
def test_marked(name):
    assert look.reasons(REACHES[name], [GIVEN])


@pytest.mark.parametrize("name", ORDINARY)
def test_not_marked(name):
    assert look.reasons(ORDINARY[name], [GIVEN]) == []


@pytest.mark.parametrize("lesson", "12")
def test_our_own_answers_are_not_marked(lesson):
    text = (ROOT / "solutions" / f"{lesson}_exercises.py").read_text(encoding="utf-8")
    given = [cell.source for cell in lesson_cells(lesson) if not cell.exercise]
    for part in re.split(r"^# %% \d\.\d\n", text, flags=re.MULTILINE):
        assert look.reasons(part, given) == []


def test_right_answers_in_many_styles_are_not_marked():
    text = (ROOT / "tests" / "answers" / "right.py").read_text(encoding="utf-8")
    _, *parts = re.split(r"^# %% (\d)\.\d .*\n", text, flags=re.MULTILINE)
    assert len(parts) > 100
    for lesson, answer in zip(parts[::2], parts[1::2]):
        given = [cell.source for cell in lesson_cells(lesson) if not cell.exercise]
        assert look.reasons(answer, given) == [], answer


def test_what_the_stub_does_is_allowed():
    stub = "from grading import handouts\nhandouts.solution()"
    assert look.reasons(stub, [GIVEN]) and look.reasons(stub + "\nx = 1", [GIVEN], stub) == []


@pytest.mark.parametrize("source", ["def f(:", "\0", "(" * 5000, "1" + "+1" * 100_000, "%%time\n("])
def test_what_is_no_python_is_refused(source):
    """The deepest ones may be read as well; no interpreter may crash."""
    try:
        look.reasons(source)
    except SyntaxError:
        pass
