"""Whether a wheel is fit to be shipped: ``python tools/check_wheel.py WHEEL FOLDER…``.

Types, readme and licences are in it, the library is for the stable ABI, and none of the folders, which are those of the machine that
built it, is named anywhere.
"""

from __future__ import annotations

import sys
import zipfile
from email import message_from_bytes

LICENCES = {"LICENSE-APACHE", "LICENSE-MIT"}


def complaints(wheel: str, folders: list[str]) -> list[str]:
    """Return what is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    wrong = [
        f"{name} names the folder {folder}"
        for name, content in files.items()
        for folder in folders
        if folder.encode() in content
    ]
    for name in ("skytide/py.typed", "skytide/_skytide.pyi"):
        if name not in files:
            wrong.append(f"{name} is missing")
    libraries = [name for name in files if name.startswith("skytide/_skytide.") and name[-1] != "i"]
    if len(libraries) != 1 or "abi3" not in wheel:
        wrong.append(f"one library for the stable ABI is expected, not {libraries}")
    (metadata,) = (content for name, content in files.items() if name.endswith("/METADATA"))
    about = message_from_bytes(metadata)
    if (
        "```python" not in str(about.get_payload())
        or "markdown" not in about["Description-Content-Type"]
    ):
        wrong.append("the readme is missing")
    named = set(about.get_all("License-File") or ())
    there = {name.rsplit("/", 1)[-1] for name in files if ".dist-info/" in name}
    if named != LICENCES or not LICENCES <= there:
        wrong.append(f"licences: {named} are named, of {LICENCES}")
    return wrong


if __name__ == "__main__":
    found = complaints(sys.argv[1], sys.argv[2:])
    for complaint in found[:20]:
        print(complaint, file=sys.stderr)
    sys.exit(bool(found))
