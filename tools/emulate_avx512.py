#!/usr/bin/env python3
"""Runs a program as on a processor with AVX-512 and its bf16 dot product, on any x86-64 Linux.

    python3 -m pip install bochscpu-python
    tools/emulate_avx512.py build/bin/asmlp_kernels_test --gtest_filter='*avx512*'
    tools/emulate_avx512.py --cpu cannon_lake build/bin/asmlp info --cpu

The instructions are executed by the processor model of Bochs (the package bochscpu-python, a binary
built for CPython 3.11), which knows nothing of this project. Only the program runs in it: this script
loads it and answers its system calls. There is one thread (give programs --threads 1), and it is some
hundred times slower. The exit code is the program's; 125 when the emulation itself failed. Not part
of the test suite, because the package comes from PyPI and not from Debian.
"""

import argparse
import ctypes
import mmap
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

# The model that the package always chooses is replaced by interposing the function that creates it.
# The __isoc23 functions are of a newer C library than Debian 12's.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
unsigned long long __isoc23_strtoull(const char* s, char** end, int base) {
  return strtoull(s, end, base);
}
int __isoc23_sscanf(const char* s, const char* format, ...) {
  va_list list;
  va_start(list, format);
  int count = vsscanf(s, format, list);
  va_end(list);
  return count;
}
#ifdef MODEL
void* _Z23create_corei3_cnl_cpuidP8BX_CPU_C(void* cpu) {
  return ((void* (*)(void*))dlsym(RTLD_DEFAULT, MODEL))(cpu);
}
#endif
"""
MODELS = {
    "sapphire_rapids": "_Z28create_sapphire_rapids_cpuidP8BX_CPU_C",  # AVX-512 and bf16
    "cannon_lake": None,  # AVX-512 without bf16: what the package chooses by itself
}

# The program's memory: virtual = physical = an offset into one mapping of this process.
SIZE = 2 << 30
PAGE_TABLES, SYSCALL_STUB = 0x1000, 0x8000
PROGRAM_BASE, INTERPRETER_BASE, MAPPINGS, STACK = 0x10000000, 0x18000000, 0x20000000, SIZE - 0x1000
STACK_SIZE = 16 << 20

ENOSYS, ENOMEM = 38, 12

# System calls that are handed on to the kernel, by number; the letters are the arguments: i for a
# number, p for an address in the program's memory.
HANDED_ON = {
    0: "ipi", 1: "ipi", 3: "i", 4: "pp", 5: "ip", 8: "iii", 16: "iip", 17: "ipii", 21: "pi",
    63: "p", 72: "iii", 77: "ii", 79: "pi", 80: "p", 82: "pp", 83: "pi", 84: "p", 87: "p",
    89: "ppi", 96: "pp", 97: "ip", 98: "ip", 99: "p", 102: "", 104: "", 107: "", 108: "",
    39: "", 186: "", 110: "", 74: "i", 75: "i", 201: "p", 204: "iip", 217: "ipi", 228: "ip", 229: "ip",
    230: "iipp", 257: "ipii", 258: "ipi", 262: "ippi", 263: "ipi", 264: "ipip", 267: "ippi", 269: "ipi",
    302: "iipp", 316: "ipipi", 318: "pii", 332: "ipiip", 439: "ipii",
}
# Of no consequence here: protections, signals, robust futexes, advice, thread names.
IGNORED = {10, 11, 13, 14, 28, 131, 157, 202, 218, 273}


class Program:
    """The memory of the program and what the kernel would know of it."""

    def __init__(self, path, arguments):
        self.exit_code = 125
        self.memory = mmap.mmap(-1, SIZE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.syscall.restype = ctypes.c_long
        self.next_mapping = MAPPINGS
        self.write_page_tables()
        # The system call instruction jumps to the stub, whose clflush is what the emulation reports.
        self.write(SYSCALL_STUB, bytes.fromhex("0fae39" "ffe1"))  # clflush (%rcx); jmp *%rcx
        header = self.load(path, PROGRAM_BASE)
        self.break_ = header["end"] + 0xfff & ~0xfff
        self.entry, base = header["entry"], 0
        if header["interpreter"]:
            interpreter = self.load(header["interpreter"], INTERPRETER_BASE)
            self.entry, base = interpreter["entry"], INTERPRETER_BASE
        self.stack_pointer = self.write_stack([path, *arguments], header, base)

    def write(self, address, data):
        self.memory[address:address + len(data)] = data

    def write_page_tables(self):
        """One table of each level and large pages; everything is readable, writable, executable."""
        top, middle, low = PAGE_TABLES, PAGE_TABLES + 0x1000, PAGE_TABLES + 0x2000
        self.write(top, struct.pack("<Q", middle | 7))
        for gigabyte in range(SIZE >> 30):
            table = low + (gigabyte << 12)
            self.write(middle + 8 * gigabyte, struct.pack("<Q", table | 7))
            self.write(table, struct.pack("<512Q", *((gigabyte << 30 | page << 21) | 0x87
                                                     for page in range(512))))

    def load(self, path, base):
        """Loads an ELF file, at `base` when it may be anywhere."""
        data = Path(path).read_bytes()
        if data[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", data, 18)[0] != 62:
            sys.exit(f"{path}: is no program for x86-64")
        kind, = struct.unpack_from("<H", data, 16)
        entry, table = struct.unpack_from("<QQ", data, 24)
        entry_size, count = struct.unpack_from("<HH", data, 54)
        offset = base if kind == 3 else 0
        header = {"entry": entry + offset, "entry_size": entry_size, "count": count, "end": 0,
                  "interpreter": None, "table": 0}
        for index in range(count):
            kind, _, start, virtual, _, in_file, in_memory, _ = struct.unpack_from(
                "<IIQQQQQQ", data, table + index * entry_size)
            if kind == 3:
                header["interpreter"] = data[start:start + in_file - 1].decode()
            if kind != 1:
                continue
            self.write(offset + virtual, data[start:start + in_file])
            header["end"] = max(header["end"], offset + virtual + in_memory)
            if start <= table < start + in_file:
                header["table"] = offset + virtual + table - start
        return header

    def write_stack(self, arguments, header, interpreter_base):
        """Arguments, environment and auxiliary vector, as the System V ABI wants them."""
        position = STACK

        def push(data):
            nonlocal position
            position -= len(data)
            self.write(position, data)
            return position

        environment = [push(f"{k}={v}".encode() + b"\0") for k, v in os.environ.items()
                       if k != "LD_PRELOAD"]
        pointers = [push(argument.encode() + b"\0") for argument in arguments]
        vector = [(3, header["table"]), (4, header["entry_size"]), (5, header["count"]), (6, 4096),
                  (7, interpreter_base), (9, header["entry"]), (11, 0), (12, 0), (13, 0), (14, 0),
                  (15, push(b"x86_64\0")), (17, 100), (23, 0), (25, push(os.urandom(16))),
                  (31, pointers[0]), (0, 0)]
        words = [len(pointers), *pointers, 0, *environment, 0, *(n for pair in vector for n in pair)]
        position = (position - 8 * len(words)) // 16 * 16 + 8 * len(words)
        return push(struct.pack(f"<{len(words)}Q", *words))

    def map(self, wanted, length, flags, file, offset):
        """mmap: the pages are there already, so it hands out addresses and reads files."""
        length = length + 0xfff & ~0xfff
        if flags & 0x10:  # MAP_FIXED
            start = wanted
        else:
            start, self.next_mapping = self.next_mapping, self.next_mapping + length
        if start + length > STACK - STACK_SIZE:
            return -ENOMEM
        if flags & 0x20:  # MAP_ANONYMOUS; what was never handed out is zero
            if flags & 0x10:
                self.write(start, bytes(length))
        else:
            data = os.pread(file, length, offset)
            self.write(start, data + bytes(length - len(data)))
        return start

    def system_call(self, session):
        cpu = session.cpu
        number = cpu.rax
        arguments = (cpu.rdi, cpu.rsi, cpu.rdx, cpu.r10, cpu.r8, cpu.r9)
        result = -ENOSYS
        if number in HANDED_ON:
            values = [ctypes.c_long(value + self.address if letter == "p" and value else value)
                      for letter, value in zip(HANDED_ON[number], arguments)]
            result = self.libc.syscall(ctypes.c_long(number), *values)
            if result == -1:
                result = -ctypes.get_errno()
        elif number in IGNORED:
            result = 0
        elif number == 9:
            result = self.map(*arguments[:2], arguments[3], arguments[4], arguments[5])
        elif number == 12:  # brk
            if self.break_ <= arguments[0] < INTERPRETER_BASE:
                self.break_ = arguments[0]
            result = self.break_
        elif number == 20:  # writev
            result = 0
            for index in range(arguments[2]):
                start, length = struct.unpack_from("<QQ", self.memory, arguments[1] + 16 * index)
                result += os.write(arguments[0], self.memory[start:start + length])
        elif number == 158 and arguments[0] == 0x1002:  # arch_prctl(ARCH_SET_FS)
            segment = cpu.fs
            segment.base = arguments[1]
            cpu.fs = segment
            result = 0
        elif number in (60, 231):  # exit, exit_group
            self.exit_code = arguments[0] & 0xff
            session.stop()
        elif number not in (334, 435, 56):  # rseq, clone3, clone: the C library copes with "no"
            print(f"emulate_avx512: system call {number} is not known", file=sys.stderr)
        cpu.rax = result & (1 << 64) - 1


def run(program):
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_GLOBAL)  # the shim looks the model up by its name
    import bochscpu.cpu
    import bochscpu.memory

    for page in range(0, SIZE, 4096):
        bochscpu.memory.page_insert(page, program.address + page)
    state = bochscpu.State()
    bochscpu.cpu.set_long_mode(state)
    state.cr0 = state.cr0 & ~(1 << 2) | 1 << 1
    state.cr3 = PAGE_TABLES
    state.cr4 |= 1 << 9 | 1 << 10 | 1 << 18  # SSE and its exceptions, XSAVE
    state.xcr0 = 0xe7                        # x87, SSE, AVX, and the three parts of AVX-512
    state.lstar, state.star = SYSCALL_STUB, 8 << 32
    state.mxcsr, state.mxcsr_mask, state.fpcw = 0x1f80, 0xffff, 0x37f
    for name, selector, attributes in [("cs", 8, 0xa09b), *((s, 16, 0xc093) for s in
                                       ("ds", "es", "ss", "fs", "gs"))]:
        segment = bochscpu.Segment()
        segment.present, segment.base, segment.limit = True, 0, 0xffffffff
        segment.selector, segment.attr = selector, attributes
        setattr(state, name, segment)
    state.rip, state.rsp, state.rflags = program.entry, program.stack_pointer, 2

    session = bochscpu.Session()
    session.missing_page_handler = lambda address: fail(f"access to address {address:#x}")

    def fail(what):
        print(f"emulate_avx512: {what} at instruction {session.cpu.rip:#x}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(125)

    hook = bochscpu.Hook()
    hook.clflush = lambda *_: program.system_call(session)
    hook.exception = lambda _, __, vector, ___: fail(
        f"processor exception {bochscpu.cpu.ExceptionType(vector).name} {session.cpu.cr2:#x}")
    session.cpu.state = state
    session.run([hook])
    os._exit(program.exit_code)  # the package does not survive its own destructors


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cpu", choices=MODELS, default="sapphire_rapids")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if "EMULATE_AVX512_SHIM" not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            shim = f"{folder}/shim.so"
            model = MODELS[options.cpu]
            define = [f'-DMODEL="{model}"'] if model else []
            subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-x", "c", "-", "-o", shim, *define],
                           input=SHIM, text=True, check=True)
            environment = dict(os.environ, LD_PRELOAD=shim, EMULATE_AVX512_SHIM=shim)
            return subprocess.run([sys.executable, *sys.argv], env=environment).returncode
    del os.environ["EMULATE_AVX512_SHIM"]
    run(Program(options.program, options.arguments))
    return 125


if __name__ == "__main__":
    sys.exit(main())
