"""Writes ``skytide/_functions.py`` from the engine's registry of functions: ``python tools/generate_functions.py``.

The package must be built and importable. A test holds the file to what this gives.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Any

from skytide import _skytide

#: Written by hand, since they do more than call the engine.
BY_HAND = {"cast", "col", "extend", "remove", "select"}

#: What programs written for Kaskada call a parameter that the engine calls otherwise, by method.
NAMES = {
    **dict.fromkeys(["add", "sub", "mul", "rem", "lt", "le", "gt", "ge"], {"y": "rhs"}),
    **dict.fromkeys(["and_", "or_", "greatest", "least"], {"y": "rhs"}),
    **dict.fromkeys(["eq", "ne"], {"y": "other"}),
    "div": {"y": "divisor"},
    "else_": {"default": "other"},
    "index": {"index": "key"},
    "seconds_since": {"since": "time"},
    "shift_by": {"duration": "delta"},
}

#: Of a parameter that stands for any number of arguments, what the first one is called, which there always is.
FIRST = {"coalesce": ("arg", "args")}

HEAD = '''"""The engine's functions as methods: made from its registry by ``tools/generate_functions.py``, not by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._timestream import Arg, Timestream, Window


class Functions:
    """Every function of the engine."""

    if TYPE_CHECKING:

        @staticmethod
        def _call(
            function: str, *args: object, input: object = None, **named: object
        ) -> Timestream: ...
'''


def wrapped(text: str, indent: str) -> list[str]:
    """Return a text as lines of at most 100 characters."""
    lines, line = [], indent
    for word in text.split():
        if len(line) + len(word) + 1 > 100 and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += word + " "
    return [*lines, line.rstrip()]


def name_of(function: dict[str, Any]) -> str:
    """Return the name that Python can say."""
    names: list[str] = [function["name"], *function["aliases"]]
    return next(name for name in names if not keyword.iskeyword(name))


def params_of(function: dict[str, Any]) -> list[tuple[str, str, bool, bool]]:
    """Return a function's parameters but the first: what Python calls it, what the engine calls it, whether it may be left out, and
    whether it stands for any number of arguments."""
    method = name_of(function)
    names = NAMES.get(method, {})
    params = []
    for param, optional, repeated in function["params"][1:]:
        called = names.get(param, param)
        if repeated and method in FIRST:
            first, called = FIRST[method]
            params.append((first, first, False, False))
        params.append((called, param, optional, repeated))
    return params


def in_python(text: str, function: dict[str, Any]) -> str:
    """Return a signature or a text with the parameters as the method calls them, the first of which is ``self``."""
    names = {function["params"][0][0]: "self"}
    names |= {engine: called for called, engine, _, _ in params_of(function)}

    def renamed(found: re.Match[str]) -> str:
        return found[1] + names.get(found[2], found[2]) + found[3]

    return re.sub(r"([(`]|, )(\w+)(`|: |\?: )", renamed, text)


def written(function: dict[str, Any]) -> list[str]:
    """Return a function's parameters as its method has them.

    What follows an aggregation's value are constants, of which the first may be given without its name.
    """
    params = params_of(function)
    windowed: bool = function["windowed"]
    of = "int" if windowed else "Arg"
    maybe = "int | None" if windowed else "Arg"
    lines = ["self"]
    for at, (param, _engine, optional, repeated) in enumerate(params):
        if windowed and at == 1:
            lines.append("*")
        if repeated:
            lines.append(f"*{param}: {of}")
        else:
            lines.append(f"{param}: {maybe} = None" if optional else f"{param}: {of}")
    if windowed:
        lines += ["*"] if len(params) == 1 else []
        lines.append("window: Window | None = None")
    return lines


def method(function: dict[str, Any]) -> str:
    """Return a function's method."""
    name = name_of(function)
    params = params_of(function)
    given = [f"*{param}" if more else param for param, _, optional, more in params if not optional]
    named = [f"{engine}={param}" for param, engine, optional, _ in params if optional]
    named += ["window=window"] if function["windowed"] else []
    call = ", ".join([f'"{function["name"]}"', "self", *given, "input=self", *named])
    params_of_it = ", ".join(written(function))
    lines = [f"    def {name}({params_of_it}) -> Timestream:"]
    if len(lines[0]) > 100:
        lines = [f"    def {name}(", f"        {params_of_it}", "    ) -> Timestream:"]
    lines += [f'        """{function["summary"]}', ""]
    lines += wrapped(in_python(function["details"], function), "        ")
    signature = in_python(function["signature"], function)
    lines += ["", f"        ``{signature}``", '        """']
    lines += [f"        return self._call({call})"]
    return "\n".join(lines)


def generate() -> str:
    """Return the whole file."""
    functions = [one for one in _skytide.functions() if one["name"] not in BY_HAND]
    return HEAD + "\n" + "\n\n".join(method(function) for function in functions) + "\n"


if __name__ == "__main__":
    target = Path(__file__).parent.parent / "python" / "skytide" / "_functions.py"
    target.write_text(generate())
