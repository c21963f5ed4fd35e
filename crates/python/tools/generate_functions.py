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
    from ._timestream import Arg, Timestream


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


def written(param: str, optional: bool, repeated: bool) -> str:
    """Return a parameter as a method has it."""
    if repeated:
        return f"*{param}: Arg"
    return f"{param}: Arg = None" if optional else f"{param}: Arg"


def method(function: dict[str, Any]) -> str:
    """Return a function's method."""
    name = name_of(function)
    _self, *params = function["params"]
    signature = ", ".join(["self", *(written(*param) for param in params)])
    given = [f"*{param}" if more else param for param, optional, more in params if not optional]
    named = [f"{param}={param}" for param, optional, _ in params if optional]
    call = ", ".join([f'"{function["name"]}"', "self", *given, "input=self", *named])
    lines = [f"    def {name}({signature}) -> Timestream:"]
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
