#!/usr/bin/env python3
"""gpu_code.py: what the OpenCL driver of this machine makes of the formulas of cases.c.

    python3 bench/gpu_code.py PATH/TO/quern OUTPUT.txt

Compiles the kernels that quern generates with the driver's own compiler, as quern does, and fetches its binary, which is
PTX on NVIDIA. With CUDA's ptxas and nvdisasm that gives the columns of tests/gpu.golden, which are from other compilers;
without them, or where the binary is something else, its size is told. The PTX of each case follows the table.
"""
import ctypes
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'plan'))
from gpu_compilers import MULTIPROCESSOR, Compiled, Fault, assemble, cuda_program, group_size, number, warps_held
from gpu_golden_test import HEADINGS, figures_of, read_cases, source_of

DEVICE_NAME, DRIVER_VERSION, PROGRAM_BINARY_SIZES, PROGRAM_BINARIES, PROGRAM_BUILD_LOG = 0x102B, 0x102D, 0x1165, 0x1166, 0x1183
ANY_DEVICE = ctypes.c_ulong(0xFFFFFFFF)


class Driver:
    """The first device of the first platform."""

    def __init__(self):
        self.cl = ctypes.CDLL('libOpenCL.so.1')
        for name in ('clCreateContext', 'clCreateProgramWithSource'):
            getattr(self.cl, name).restype = ctypes.c_void_p
        platform, self.device, status = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int()
        if self.cl.clGetPlatformIDs(1, ctypes.byref(platform), None) or \
                self.cl.clGetDeviceIDs(platform, ANY_DEVICE, 1, ctypes.byref(self.device), None):
            raise Fault('there is no OpenCL device')
        self.context = ctypes.c_void_p(self.cl.clCreateContext(None, 1, ctypes.byref(self.device), None, None,
                                                               ctypes.byref(status)))
        if status.value:
            raise Fault(f'clCreateContext: {status.value}')

    def name(self):
        return ', driver '.join(self.text(self.cl.clGetDeviceInfo, self.device, key)
                                for key in (DEVICE_NAME, DRIVER_VERSION))

    @staticmethod
    def text(function, *arguments):
        buffer = ctypes.create_string_buffer(1 << 16)
        function(*arguments, ctypes.c_size_t(len(buffer)), buffer, None)
        return buffer.value.decode(errors='replace').strip()

    def compile(self, source):
        """The binary of a program."""
        text, size, status = ctypes.c_char_p(source.encode()), ctypes.c_size_t(), ctypes.c_int()
        program = ctypes.c_void_p(self.cl.clCreateProgramWithSource(self.context, 1, ctypes.byref(text), None,
                                                                    ctypes.byref(status)))
        if self.cl.clBuildProgram(program, 1, ctypes.byref(self.device), b'-cl-std=CL1.2', None, None):
            raise Fault(self.text(self.cl.clGetProgramBuildInfo, program, self.device, PROGRAM_BUILD_LOG)[:300])
        word = ctypes.c_size_t(ctypes.sizeof(ctypes.c_size_t))
        self.cl.clGetProgramInfo(program, PROGRAM_BINARY_SIZES, word, ctypes.byref(size), None)
        binary = ctypes.create_string_buffer(size.value)
        place = ctypes.c_void_p(ctypes.addressof(binary))
        self.cl.clGetProgramInfo(program, PROGRAM_BINARIES, word, ctypes.byref(place), None)
        self.cl.clReleaseProgram(program)
        return binary.raw


def row_of(ptx, source):
    """The cells of a row, from PTX; None where it cannot be assembled here."""
    chip = ''.join(re.findall(r'^\.target (sm_\d+)', ptx, flags=re.M)[:1])
    if not chip or not cuda_program('ptxas'):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'kernel.ptx')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(ptx)
        said, listing = assemble(chip, path, folder)
    registers, local = number(r'Used (\d+) registers', said), number(r'(\d+) bytes smem', said)
    waves = (warps_held(chip, registers, local, group_size(source)), MULTIPROCESSOR[chip][3]) \
        if chip in MULTIPROCESSOR else None
    made = Compiled(registers, number(r'(\d+) bytes spill', said), local, 32, waves, listing)
    return [chip, *figures_of(made, source, chip if chip in MULTIPROCESSOR else 'sm_90')]


def main():
    if len(sys.argv) != 3:
        print('usage: gpu_code.py PATH/TO/quern OUTPUT.txt', file=sys.stderr)
        return 2
    lines, texts, failed = [], '', 0
    try:
        driver = Driver()
    except (OSError, Fault) as fault:
        print(fault)
        return 77
    for name, (formula, dtype) in read_cases().items():
        try:
            source = source_of(os.path.abspath(sys.argv[1]), formula, dtype, 'nvidia')
            binary = driver.compile(source)
            ptx = binary.rstrip(b'\0').decode(errors='replace')
            row = row_of(ptx, source)
            if '.target' in ptx:
                texts += f'\n---- {name}\n{ptx}'
            lines.append('  '.join([name.ljust(10), *row]) if row else f'{name.ljust(10)}  a binary of {len(binary)} bytes')
        except Fault as fault:
            failed += 1
            lines.append(f'{name.ljust(10)}  failed: {fault}')
    head = f'{driver.name()}\n' + '  '.join(HEADINGS) + '\n'
    with open(sys.argv[2], 'w', encoding='utf-8') as file:
        file.write(head + '\n'.join(lines) + '\n' + texts)
    print(head + '\n'.join(lines))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
