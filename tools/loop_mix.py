#!/usr/bin/env python3
"""Counts the instructions of the innermost loop of a kernel: how many multiply-adds for a load.

    tools/loop_mix.py OBJECT FUNCTION...    FUNCTION is a part of the demangled name: 'neon::tiles<5>'

Of the loops of each function that hold no other loop, the one with the most multiply-adds is counted:
multiply-adds, loads (a load of a pair counts once), stores, prefetches, and everything else; and how many
of them use the stack, which a loop whose sums stay in registers does not. Reads objects for 64-bit ARM
with aarch64-linux-gnu-objdump, or with objdump where that is missing.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter

MULTIPLY = re.compile(r"(fm|bfmm|[su]mm|[su]ml)la[lbt2]?$|[su]mlal2?$|[su]?[su]dot$")
KINDS = (("multiply-adds", MULTIPLY), ("loads", re.compile(r"ld")), ("stores", re.compile(r"st")),
         ("prefetches", re.compile(r"prfm")))
BRANCH = re.compile(r"b$|b\.|cbn?z|tbn?z")
FUNCTION = re.compile(r"^([0-9a-f]+) <(.*)>:$")
INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(\S+)(?:\t(.*))?$")


def functions(listing):
    """The name and the instructions (address, operation, operands) of each function."""
    name, code = None, []
    for line in listing.splitlines():
        if match := FUNCTION.match(line):
            if name:
                yield name, code
            name, code = match.group(2), []
        elif match := INSTRUCTION.match(line):
            code.append((int(match.group(1), 16), match.group(2), match.group(3) or ""))
    if name:
        yield name, code


def loops(code):
    """The bodies of the loops that have one branch, the one back to their beginning."""
    places = {address: place for place, (address, _, _) in enumerate(code)}
    for place, (_, operation, operands) in enumerate(code):
        target = re.search(r"([0-9a-f]+) <", operands)
        if not BRANCH.match(operation) or not target:
            continue
        begin = places.get(int(target.group(1), 16), place + 1)
        body = code[begin:place + 1]
        if body and not any(BRANCH.match(inner) for _, inner, _ in body[:-1]):
            yield body


def mix(body):
    """How many instructions of each kind a loop has."""
    counts = Counter()
    for _, operation, operands in body:
        kind = next((kind for kind, pattern in KINDS if pattern.match(operation)), "others")
        counts[kind] += 1
        counts["on the stack"] += "[sp" in operands
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("object")
    parser.add_argument("function", nargs="+", help="a part of its name")
    arguments = parser.parse_args()
    objdump = shutil.which("aarch64-linux-gnu-objdump") or "objdump"
    listing = subprocess.run(
        [objdump, "--disassemble", "--demangle", "--no-show-raw-insn", arguments.object],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    missing = 0
    for part in arguments.function:
        found = [(name, body) for name, code in functions(listing) if part in name for body in loops(code)]
        if not found:
            print(f"{part}: no such function with a loop", file=sys.stderr)
            missing += 1
            continue
        name, body = max(found, key=lambda one: mix(one[1])["multiply-adds"])
        counts = mix(body)
        text = ", ".join(f"{counts[kind]} {kind}" for kind in
                         (*(kind for kind, _ in KINDS), "others", "on the stack"))
        per_load = counts["multiply-adds"] / max(1, counts["loads"])
        print(f"{part}: {text}; {per_load:.1f} multiply-adds for a load")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
