#!/usr/bin/env python3
"""Runs a program as on a processor with AMX, AVX-512, or VNNI, on any x86-64 Linux.

    python3 -m pip install bochscpu-python
    tools/emulate_x86.py build/bin/asmlp_kernels_test --gtest_filter='*amx*'
    tools/emulate_x86.py --cpu arrow_lake build/bin/asmlp info --cpu

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
# The __isoc23 functions are of a newer C library than Debian 12's. The package is built without AMX:
# the shim announces it (ANNOUNCE is the model's function that answers CPUID) and executes it.
SHIM = r"""
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "asmlp/kernels/amx_emulation.h"
extern "C" {
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
#ifdef ANNOUNCE
using Leaf = void (*)(void*, unsigned, unsigned, unsigned*);
static Leaf original;
static void leaf(void* model, unsigned function, unsigned subfunction, unsigned* registers) {
  original(model, function, subfunction, registers);
  // Tiles, their bf16 and their int8 products.
  if (function == 7 && subfunction == 0) registers[3] |= 1u << 24 | 1u << 22 | 1u << 25;
}
#endif
#ifdef MODEL
void* _Z23create_corei3_cnl_cpuidP8BX_CPU_C(void* cpu) {
  void* model = ((void* (*)(void*))dlsym(RTLD_DEFAULT, MODEL))(cpu);
#ifdef ANNOUNCE
  constexpr int kSlots = 16;  // of the table of virtual functions: two in front, and some
  static void* table[kSlots];
  memcpy(table, *(void***)model - 2, sizeof table);
  original = (Leaf)dlsym(RTLD_DEFAULT, ANNOUNCE);
  for (void*& slot : table) {
    if (slot == (void*)original) slot = (void*)leaf;
  }
  *(void***)model = table + 2;
#endif
  return model;
}
#endif

// Executes the tile instruction at `rip` of the program's memory; returns its length, 0 for another
// one.
int tile_instruction(char* memory, uint64_t rip, const uint64_t* registers) {
  using namespace asmlp::emulated;
  const auto* code = (const unsigned char*)memory + rip;
  // VEX, map 0F38, 128 bits, W0.
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84) != 0) return 0;
  const int prefix = code[2] & 3, third = ~(code[2] >> 3) & 15, opcode = code[3];
  const int mode = code[4] >> 6, reg = code[4] >> 3 & 7, rm = code[4] & 7;
  enum { kNone, k66, kF3, kF2 };
  if (mode == 3) {
    if (opcode == 0x49 && prefix == kNone && reg == 0) return tile_release(), 5;
    if (opcode == 0x49 && prefix == kF2) return tile_zero(reg), 5;
    if (opcode == 0x5c && prefix == kF3) return tile_dpbf16ps(reg, rm, third), 5;
    if (opcode != 0x5e) return 0;
    if (prefix == kF2) tile_dpb<int8_t, int8_t>(reg, rm, third);
    if (prefix == kF3) tile_dpb<int8_t, uint8_t>(reg, rm, third);
    if (prefix == k66) tile_dpb<uint8_t, int8_t>(reg, rm, third);
    if (prefix == kNone) tile_dpb<uint8_t, uint8_t>(reg, rm, third);
    return 5;
  }
  const int high_index = ~code[1] >> 3 & 8, high_base = ~code[1] >> 2 & 8;
  int length = 5;
  int64_t address = 0, stride = 0;
  bool wide = mode == 2;
  if (rm == 4) {
    const unsigned sib = code[length++];
    if ((sib & 7) == 5 && mode == 0) wide = true;
    else address = registers[(sib & 7) | high_base];
    const int index = (sib >> 3 & 7) | high_index;
    if (index != 4) stride = registers[index] << (sib >> 6);
  } else if (rm == 5 && mode == 0) {
    wide = true;
    address = rip + 9;
  } else {
    address = registers[rm | high_base];
  }
  if (wide) {
    int32_t offset;
    memcpy(&offset, code + length, 4);
    address += offset, length += 4;
  } else if (mode == 1) {
    address += (signed char)code[length++];
  }
  char* data = memory + address;
  if (opcode == 0x49 && prefix == kNone && reg == 0) return tile_loadconfig(data + stride), length;
  if (opcode != 0x4b || rm != 4) return 0;
  if (prefix == kF2 || prefix == k66) return tile_load(reg, data, stride), length;
  if (prefix == kF3) return tile_store(reg, data, stride), length;
  return 0;
}
}
"""
MODELS = {
    "sapphire_rapids": "_Z28create_sapphire_rapids_cpuidP8BX_CPU_C",  # AMX, AVX-512, bf16, VNNI
    "ice_lake": "_Z29create_corei7_icelake_u_cpuidP8BX_CPU_C",  # AVX-512 and VNNI without bf16
    "arrow_lake": "_Z23create_arrow_lake_cpuidP8BX_CPU_C",  # AVX2 and AVX-VNNI without AVX-512
    "cannon_lake": None,  # AVX-512 without VNNI: what the package chooses by itself
}
# The parts of a processor's state that the operating system saves (XCR0): x87, SSE, and AVX; the three
# of AVX-512; the two of AMX.
AVX_STATE, AVX512_STATE, TILE_STATE = 0x7, 0xe0, 3 << 17
ANNOUNCE = {"sapphire_rapids": "_ZNK17sapphire_rapids_t14get_cpuid_leafEjjP16cpuid_function_t"}
STATE = {"sapphire_rapids": AVX_STATE | AVX512_STATE | TILE_STATE, "arrow_lake": AVX_STATE}

# The program's memory: virtual = physical = an offset into one mapping of this process.
SIZE = 2 << 30
PAGE_TABLES, SYSCALL_STUB, INVALID_STUB = 0x1000, 0x8000, 0x8010
INTERRUPTS, SEGMENTS, TASK, EXCEPTION_STACK = 0x9000, 0xa000, 0xb000, 0xd000
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

    def __init__(self, shim, path, arguments):
        self.exit_code = 125
        self.memory = mmap.mmap(-1, SIZE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.syscall.restype = ctypes.c_long
        self.shim = ctypes.CDLL(shim)
        self.next_mapping = MAPPINGS
        self.write_page_tables()
        # The system call instruction jumps to the stub, whose clflush is what the emulation reports.
        self.write(SYSCALL_STUB, bytes.fromhex("0fae39" "ffe1"))  # clflush (%rcx); jmp *%rcx
        # What is no instruction to the model jumps to another one, on a stack of its own.
        self.write(INVALID_STUB, bytes.fromhex("0fae3d00000000" "48cf"))  # clflush 0(%rip); iretq
        self.write(INTERRUPTS + 16 * 6, struct.pack("<HHBBHQ", INVALID_STUB, 8, 1, 0x8e, 0, 0))
        self.write(SEGMENTS, struct.pack("<QQQ", 0, 0xaf9b000000ffff, 0xcf93000000ffff))
        self.write(TASK + 36, struct.pack("<Q", EXCEPTION_STACK))
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

    def tile_instruction(self, session):
        """Whether the invalid instruction was one of AMX; then it is done."""
        cpu, frame = session.cpu, session.cpu.rsp
        rip, stack = (struct.unpack_from("<Q", self.memory, frame + offset)[0] for offset in (0, 24))
        registers = (ctypes.c_uint64 * 16)(
            cpu.rax, cpu.rcx, cpu.rdx, cpu.rbx, stack, cpu.rbp, cpu.rsi, cpu.rdi, cpu.r8, cpu.r9,
            cpu.r10, cpu.r11, cpu.r12, cpu.r13, cpu.r14, cpu.r15)
        length = self.shim.tile_instruction(ctypes.c_void_p(self.address), ctypes.c_uint64(rip),
                                            registers)
        struct.pack_into("<Q", self.memory, frame, rip + length)
        return length > 0

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
        elif number == 158 and arguments[0] == 0x1023:  # arch_prctl(ARCH_REQ_XCOMP_PERM): tiles
            result = 0
        elif number == 158 and arguments[0] == 0x1002:  # arch_prctl(ARCH_SET_FS)
            segment = cpu.fs
            segment.base = arguments[1]
            cpu.fs = segment
            result = 0
        elif number in (60, 231):  # exit, exit_group
            self.exit_code = arguments[0] & 0xff
            session.stop()
        elif number not in (334, 435, 56):  # rseq, clone3, clone: the C library copes with "no"
            print(f"emulate_x86: system call {number} is not known", file=sys.stderr)
        cpu.rax = result & (1 << 64) - 1


def run(program, model):
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
    state.xcr0 = STATE.get(model, AVX_STATE | AVX512_STATE)
    state.lstar, state.star = SYSCALL_STUB, 8 << 32
    state.mxcsr, state.mxcsr_mask, state.fpcw = 0x1f80, 0xffff, 0x37f
    for name, selector, attributes in [("cs", 8, 0xa09b), *((s, 16, 0xc093) for s in
                                       ("ds", "es", "ss", "fs", "gs"))]:
        segment = bochscpu.Segment()
        segment.present, segment.base, segment.limit = True, 0, 0xffffffff
        segment.selector, segment.attr = selector, attributes
        setattr(state, name, segment)
    task = bochscpu.Segment()
    task.present, task.base, task.limit, task.selector, task.attr = True, TASK, 0x67, 0x18, 0x8b
    state.tr = task
    for name, base, limit in ("idtr", INTERRUPTS, 0xfff), ("gdtr", SEGMENTS, 0x17):
        table = bochscpu.GlobalSegment()
        table.base, table.limit = base, limit
        setattr(state, name, table)
    state.rip, state.rsp, state.rflags = program.entry, program.stack_pointer, 2

    session = bochscpu.Session()
    session.missing_page_handler = lambda address: fail(f"access to address {address:#x}")

    def fail(what):
        print(f"emulate_x86: {what} at instruction {session.cpu.rip:#x}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(125)

    hook = bochscpu.Hook()
    def flush(_, __, address, ___):
        if address != INVALID_STUB + 7:
            program.system_call(session)
        elif not program.tile_instruction(session):
            fail("invalid instruction")

    def exception(_, __, vector, ___):
        if vector != 6:  # which goes to the stub
            name = bochscpu.cpu.ExceptionType(vector).name
            fail(f"processor exception {name} {session.cpu.cr2:#x}")

    hook.clflush = flush
    hook.exception = exception
    session.cpu.state = state
    session.run([hook])
    os._exit(program.exit_code)  # the package does not survive its own destructors


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cpu", choices=MODELS, default="sapphire_rapids")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if "EMULATE_X86_SHIM" not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            shim = f"{folder}/shim.so"
            model = MODELS[options.cpu]
            names = {"MODEL": model, "ANNOUNCE": ANNOUNCE.get(options.cpu)}
            defines = [f'-D{name}="{symbol}"' for name, symbol in names.items() if symbol]
            subprocess.run(["c++", "-std=c++17", "-O2", "-shared", "-fPIC", "-I",
                            Path(__file__).parents[1], "-x", "c++", "-", "-o", shim, *defines],
                           input=SHIM, text=True, check=True)
            environment = dict(os.environ, LD_PRELOAD=shim, EMULATE_X86_SHIM=shim)
            return subprocess.run([sys.executable, *sys.argv], env=environment).returncode
    shim = os.environ.pop("EMULATE_X86_SHIM")
    run(Program(shim, options.program, options.arguments), options.cpu)
    return 125


if __name__ == "__main__":
    sys.exit(main())
