#!/usr/bin/env python3
"""Checks that code for a newer instruction set cannot run on a processor without it.

    tools/check_isa_symbols.py BUILD_FOLDER   check the library's object files of a build; exit code 1
                                              and one line per violation
    tools/check_isa_symbols.py --self-test    prove that every rule catches what it is for

The file of an instruction set is called after it (avx2.cc, resize_kernels_avx2.cc, neon_bf16.cc). The
linker keeps one copy of an inline function or template instance that several objects define. If it kept
the copy of a file that was compiled with -mavx2, the whole program would need AVX2. Therefore:

1. Only files called after an instruction set are compiled with its flags, and the only names they
   define for others are asmlp::<isa>_...() (the entries) and what has asmlp::<isa>:: in its name.
2. Other files contain functions that use AVX registers or encodings (of ARM: instructions that not
   every 64-bit processor has) only under [[gnu::target]]: they are local and have the instruction set
   in their name.

Reads compile_commands.json, and the objects with nm and objdump (binutils): those that belong to the
compiler, so that a build for another machine is checked as well.
"""

import argparse
import ast
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# A name before the names that it ends with.
ISAS = ("avx512_amx", "avx512_bf16", "avx512_vnni", "avx512", "avx2_vnni", "avx2", "neon_bf16", "neon_dot",
        "neon_matrix", "neon")
ISA_FLAG = re.compile(r"\s-(mavx\S*|mfma\S*|mf16c|march=\S+)")
# A VEX or EVEX instruction is written with a v; SSE's and the integer ones are not.
AVX_INSTRUCTION = re.compile(r"\tv\w+\s.*%[xyz]mm\d|%[yz]mm\d|%k[0-7]\b")
# What came after the first 64-bit ARM processors: products of pairs and matrices, atomic operations, SVE.
ARM_INSTRUCTION = re.compile(
    r"\t(([su]|us|su)dot|(s|u|us|bf)mmla|bfdot|bfcvt(n2?)?|bfmlal[bt]|(cas|swp|ld(add|set|clr|eor))\w*)\s"
    r"|\b[zp]\d+\.[bhsd]\b")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")


def isa_of(source):
    """The instruction set that a source file is called after, or None."""
    return next((isa for isa in ISAS if source.stem == isa or source.stem.endswith("_" + isa)), None)


def tools_prefix(command):
    """What the names of the binutils of a compile command's compiler begin with: "" or a target's."""
    match = re.search(r"(?:^|[\s/])(\w+-\w+-\w+-)(?:g|c)\+\+", command)
    return match.group(1) if match else ""


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def check_symbols(item, isa, prefix):
    """Rule 1 for an object that was compiled with flags of an instruction set."""
    allowed = re.compile(rf"\basmlp::{isa}(::|_\w+\()")
    for line in run(prefix + "nm", "--demangle", "--extern-only", "--defined-only", item).splitlines():
        _, kind, name = line.split(maxsplit=2)
        if kind in "TtWwi" and not allowed.search(name):  # data has no instructions
            yield f"defines '{name}' for the linker: outside asmlp::{isa}::"


def check_instructions(item, prefix):
    """Rule 2 for an object of any other file: one line per function."""
    function = last = None
    newer, what = AVX_INSTRUCTION, "AVX"
    local_name = re.compile("|".join(rf"\b(\w+_)?{isa}\b" for isa in ISAS))
    visible = {line.split(maxsplit=2)[2] for line in
               run(prefix + "nm", "--demangle", "--extern-only", "--defined-only", item).splitlines()}
    listing = run(prefix + "objdump", "--disassemble", "--demangle", "--no-show-raw-insn", item)
    for line in listing.splitlines():
        match = FUNCTION.match(line)
        if match:
            function = match.group(1)
        elif line.endswith("aarch64"):  # "x.o:     file format elf64-littleaarch64"
            newer, what = ARM_INSTRUCTION, "newer instructions"
        elif function != last and newer.search(line):
            last = function
            if function in visible or not local_name.search(function):
                yield f"'{function}' uses {what}: {line.split(':', 1)[1].strip()}"


def check_build(build):
    """Violations, and the number of objects checked, of the files of asmlp/ that were built."""
    errors, objects = [], 0
    # The file is a list of objects of strings: Python can read it without the module json, which
    # Debian's minimal Python has not got.
    for command in ast.literal_eval((build / "compile_commands.json").read_text()):
        source = Path(command["file"])
        output = re.search(r"\s-o (\S+\.o)\s", command["command"])
        if "asmlp" not in source.parts or source.stem.endswith("_test") or not output:
            continue
        if "-DASMLP_EMULATE_AVX512" in command["command"]:
            continue  # the test of the emulated kernels: no flags of an instruction set
        item = Path(command["directory"]) / output.group(1)
        if not item.is_file():
            continue  # a target that nobody has built
        objects += 1
        isa, flag = isa_of(source), ISA_FLAG.search(command["command"])
        prefix = tools_prefix(command["command"])
        found = []
        if flag and not isa:
            found.append(f"is compiled with -{flag.group(1)} but not called after an instruction set")
        elif isa:
            found += check_symbols(item, isa, prefix)
        else:
            found += check_instructions(item, prefix)
        errors += [f"{source}: {message}" for message in found]
    if objects == 0:
        errors.append(f"{build}: holds no object files of asmlp/")
    return errors, objects


LEAK = """#include <vector>
namespace asmlp {
int NAME_entry(std::vector<int>& v) { v.push_back(1); return v[0]; }
}
"""
CLEAN = """namespace asmlp {
template <typename Vec> void work(float* x) { for (int i = 0; i < Vec::lanes; ++i) x[i] *= 2; }
namespace NAME { struct Vec { static constexpr int lanes = 8; }; }
void NAME_entry(float* x) { work<NAME::Vec>(x); }
}
"""
TARGET = """
[[gnu::target("avx2")]] void wide(float* x) { for (int i = 0; i < 64; ++i) x[i] *= x[i]; }
"""
ARM_TARGET = """
void wide() { asm(".arch armv8.2-a+dotprod\\n\\tsdot v0.4s, v1.16b, v2.16b" : : : "v0"); }
"""
# Every line: a file, its content, its flags, and what the message must contain (None: no message).
X86_SELF_TEST = [
    ("leak_avx2.cc", LEAK, "-mavx2 -mfma -fno-inline", "std::vector<int"),
    ("avx512.cc", LEAK, "-mavx512f -fno-inline", "outside asmlp::avx512::"),
    ("avx2.cc", CLEAN, "-mavx2", None),
    ("sub_avx512_bf16.cc", CLEAN, "-mavx512f", None),
    ("other_avx512.cc", CLEAN.replace("NAME", "avx2"), "-mavx512f", "asmlp::avx2_entry"),
    ("plain.cc", CLEAN.replace("NAME", "avx2"), "-mavx2", "compiled with -mavx2 but"),
    ("native.cc", CLEAN, "-march=native", "compiled with -march=native but"),
    ("baseline.cc", LEAK, "", None),
    ("target.cc", TARGET, "", "'wide(float*)' uses AVX"),
    ("name.cc", "namespace { " + TARGET.replace("wide", "wide_avx2") + "} void* f = (void*)wide_avx2;",
     "", None),
    ("anonymous.cc", "namespace { " + TARGET + "} void* f = (void*)wide;", "", "uses AVX"),
    ("visible.cc", TARGET.replace("wide", "wide_avx2"), "", "'wide_avx2(float*)' uses AVX"),
    ("target_avx2.cc", "namespace asmlp { namespace avx2 { " + TARGET + " } }", "", None),
    ("outside_avx2.cc", TARGET, "", "outside asmlp::avx2::"),
]
ARM_SELF_TEST = [
    ("leak_neon_bf16.cc", LEAK, "-march=armv8.2-a+bf16 -fno-inline", "std::vector<int"),
    ("neon.cc", CLEAN, "", None),
    ("neon_bf16.cc", CLEAN, "-march=armv8.2-a+bf16", None),
    ("other_neon.cc", CLEAN.replace("NAME", "avx2"), "", "asmlp::avx2_entry"),
    ("plain.cc", CLEAN.replace("NAME", "neon"), "-march=armv8.2-a", "compiled with -march=armv8.2-a but"),
    ("baseline.cc", LEAK, "", None),
    ("target.cc", ARM_TARGET, "", "'wide()' uses newer instructions"),
    ("name.cc", "namespace { " + ARM_TARGET.replace("wide", "wide_neon") + "} void* f = (void*)wide_neon;",
     "", None),
    ("outside_neon.cc", ARM_TARGET, "", "outside asmlp::neon::"),
]


def self_test():
    compiler = os.environ.get("CXX", "c++")
    cases = ARM_SELF_TEST if "aarch64" in run(compiler, "-dumpmachine") else X86_SELF_TEST
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "asmlp"
        build.mkdir()
        commands = []
        for name, content, flags, _ in cases:
            source = build / name
            source.write_text(content.replace("NAME", isa_of(source) or "some"))
            command = f"{compiler} -O1 -std=c++20 {flags} -o {name}.o -c {source}"
            subprocess.run(command.split(), cwd=build, check=True)
            commands.append({"directory": str(build), "command": command, "file": str(source)})
        (build / "compile_commands.json").write_text(repr(commands))
        errors, _ = check_build(build)
    failures = []
    for name, _, _, expected in cases:
        messages = [error for error in errors if f"/{name}:" in error]
        if expected is None and messages:
            failures.append(f"self-test: reported without cause: {messages[0]}")
        if expected is not None and not any(expected in message for message in messages):
            failures.append(f"self-test: {name}: expected '{expected}', got {messages}")
    return failures, len(cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=Path, nargs="?", help="the build folder")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        errors, checked = self_test()
    elif arguments.build:
        errors, checked = check_build(arguments.build)
    else:
        parser.error("name the build folder")
    for line in errors:
        print(line)
    print(f"{checked} objects checked: {len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
