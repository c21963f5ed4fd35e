"""Writes ``skytide/_functions.py`` from the engine's registry of functions: ``python tools/generate_functions.py``.

The package must be built and importable. A test holds the file to what this gives.
"""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Any

from skytide import _skytide

#: Written by hand, since they do more than call the engine.
BY_HAND = {"cast", "col", "extend", "remove", "select"}

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


def written(function: dict[str, Any]) -> list[str]:
    """Return a function's parameters as its method has them.

    What follows an aggregation's value are constants, of which the first may be given without its name.
    """
    _self, *params = function["params"]
    windowed: bool = function["windowed"]
    of = "int" if windowed else "Arg"
    maybe = "int | None" if windowed else "Arg"
    lines = ["self"]
    for at, (param, optional, repeated) in enumerate(params):
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
    _self, *params = function["params"]
    given = [f"*{param}" if more else param for param, optional, more in params if not optional]
    named = [f"{param}={param}" for param, optional, _ in params if optional]
    named += ["window=window"] if function["windowed"] else []
    call = ", ".join([f'"{function["name"]}"', "self", *given, "input=self", *named])
    params_of_it = ", ".join(written(function))
    lines = [f"    def {name}({params_of_it}) -> Timestream:"]
    if len(lines[0]) > 100:
        lines = [f"    def {name}(", f"        {params_of_it}", "    ) -> Timestream:"]
    lines += [f'        """{function["summary"]}', ""]
    lines += wrapped(function["details"], "        ")
    lines += ["", f"        ``{function['signature']}``", '        """']
    lines += [f"        return self._call({call})"]
    return "\n".join(lines)


def generate() -> str:
    """Return the whole file."""
    functions = [one for one in _skytide.functions() if one["name"] not in BY_HAND]
    return HEAD + "\n" + "\n\n".join(method(function) for function in functions) + "\n"


if __name__ == "__main__":
    target = Path(__file__).parent.parent / "python" / "skytide" / "_functions.py"
    target.write_text(generate())
