"""gpu_compilers.py: OpenCL C compiled for GPUs that need not be there, and what their compilers tell of the result.

AMD: clang with libclc. NVIDIA: clang with libclc, then CUDA's ptxas, then nvdisasm, where it is found, for a listing;
libclc stands in for NVIDIA's own functions, so registers and instructions are close, not equal, to what a driver makes.
Intel: ocloc, whose compiler is the driver's.

Environment: QUERN_CLANG, QUERN_CLC (the folder of libclc's .bc files), QUERN_NVDISASM.
"""
import collections
import functools
import glob
import os
import re
import shutil
import subprocess
import sys

# registers: of a work-item, '?' where the compiler does not tell. spilled: registers or bytes, 0: none. local: bytes of
# local memory of a group. width: work-items that share an instruction, 0: unknown. waves: (how many of these a
# processor can hold, given registers and local memory, the most it holds of any kernel). listing: the machine code, ''
# without a disassembler.
Compiled = collections.namedtuple('Compiled', 'registers spilled local width waves listing', defaults=(0, 0, 0, None, ''))


class Fault(Exception):
    """A kernel, or its trial, that a compiler does not take."""


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                          **more)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        telling = [line for line in lines if re.search(r'error|fatal|unresolved', line, re.I)] or lines
        raise Fault('\n'.join(telling[:5]) or f'{command[0]} ended with {done.returncode}')
    return done.stdout


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def number(pattern, text):
    """The largest of the numbers that the pattern finds; 0 for none."""
    return max([int(n) for n in re.findall(pattern, text)], default=0)


def first_file(*patterns):
    return next((path for pattern in patterns if pattern for path in sorted(glob.glob(pattern))), None)


def group_size(text):
    return number(r'#define Q_LOCAL (\d+)', text) or 64


# ---- clang with libclc

def find_clang():
    names = [os.environ.get('QUERN_CLANG'), 'clang-15', *(f'clang-{n}' for n in range(25, 15, -1)), 'clang']
    return next((name for name in names if name and shutil.which(name)), None)


def clc_file(pattern):
    folders = (os.environ.get('QUERN_CLC'), '/usr/lib/clc', '/usr/lib64/clc', '/usr/share/clc', '/usr/local/share/clc')
    return first_file(*(folder and os.path.join(folder, pattern) for folder in folders))


def clang(source, output, triple, bitcode, *options):
    if not find_clang():
        raise Fault('there is no clang')
    if not clc_file(bitcode):
        raise Fault(f'there is no {bitcode} of libclc')
    run([find_clang(), '-x', 'cl', '-cl-std=CL1.2', '-Xclang', '-finclude-default-header', '-target', triple,
         '-nogpulib', '-O3', '-Wno-linker-warnings', '-Xclang', '-mlink-builtin-bitcode', '-Xclang',
         clc_file(bitcode), *options, '-S', source, '-o', output])


# ---- AMD

def compile_amd(chip, source, folder):
    path = os.path.join(folder, 'kernel.s')
    clang(source, path, 'amdgcn-amd-amdhsa', 'amdgcn--amdhsa.bc', f'-mcpu={chip}')
    text = read(path)
    most = 8 if chip.startswith('gfx90') else 16  # waves of a SIMD: LLVM's AMDGPU usage, of registers and LDS
    return Compiled(number(r'\.vgpr_count: *(\d+)', text), number(r'\.[sv]gpr_spill_count: *(\d+)', text),
                    number(r'\.group_segment_fixed_size: *(\d+)', text), number(r'\.wavefront_size: *(\d+)', text),
                    (number(r'; Occupancy: (\d+)', text), most), text)


# ---- NVIDIA

# libclc has no native_exp2 for NVIDIA; the instruction is that of NVIDIA's driver, which keeps denormal numbers
# (docs/drivers.md). What ptx.cl has comes as it is.
# Roots, and with DIVISION quotients, are approximations, as OpenCL allows (3 and 2.5 ulp) to who does not ask for
# -cl-fp32-correctly-rounded-divide-sqrt.
NVIDIA_HEAD = """#define native_exp2 __nvvm_ex2_approx_f
#define sqrt __nvvm_sqrt_approx_f
#define rsqrt __nvvm_rsqrt_approx_f
"""
DIVISION = ('-mllvm', '-nvptx-prec-divf32=1')

# Of a multiprocessor: registers, bytes of local memory, of which each group takes 1024 more than it asks for, groups,
# warps. CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
MULTIPROCESSOR = {'sm_75': (65536, 64 * 1024, 16, 32), 'sm_80': (65536, 164 * 1024, 32, 64), 'sm_86': (65536, 100 * 1024, 16, 48),
                  'sm_89': (65536, 100 * 1024, 24, 48), 'sm_90': (65536, 228 * 1024, 32, 64),
                  'sm_100': (65536, 228 * 1024, 32, 64), 'sm_120': (65536, 100 * 1024, 24, 48)}


def cuda_program(name):
    """A program of CUDA's toolkit, or of the packages that PyPI has of it; None if there is none."""
    inside = [os.path.join(path, 'nvidia', 'cu*', 'bin', name) for path in sys.path if path]
    return os.environ.get(f'QUERN_{name.upper()}') or shutil.which(name) or first_file(
        f'/usr/local/cuda/bin/{name}', f'/usr/local/cuda-*/bin/{name}', f'/opt/cuda/bin/{name}', *inside)


def warps_held(chip, registers, local, group):
    """A warp takes registers in units of 256, 32 work-items long."""
    all_registers, all_local, groups, warps = MULTIPROCESSOR[chip]
    of_group = -(-group // 32)
    by_registers = all_registers // (-(-registers * 32 // 256) * 256) if registers else warps
    return min(groups, warps // of_group, by_registers // of_group, all_local // (local + 1024)) * of_group


def assemble(chip, ptx, folder, registers=0):
    """(what ptxas says, the listing); registers: at most so many, as run/builds.c tells the driver's compiler; 0: any number"""
    binary = os.path.join(folder, 'kernel.cubin')
    limit = [f'-maxrregcount={registers}'] if registers else []
    said = run([cuda_program('ptxas'), '-v', f'-arch={chip}', *limit, ptx, '-o', binary])
    return said, run([cuda_program('nvdisasm'), binary]) if cuda_program('nvdisasm') else ''


def compile_nvidia(chip, source, folder):
    if not cuda_program('ptxas'):
        raise Fault('there is no ptxas')
    text, ptx = read(source), os.path.join(folder, 'kernel.ptx')
    with open(source, 'w', encoding='utf-8') as file:
        file.write(('' if '#define Q_F64 1' in text else NVIDIA_HEAD) + text)
    clang(source, ptx, 'nvptx64-nvidia-nvcl', 'nvptx64--nvidiacl.bc', '-Xclang', '-target-cpu', '-Xclang', 'sm_80',
          '-Xclang', '-target-feature', '-Xclang', '+ptx70', *DIVISION)
    said, listing = assemble(chip, ptx, folder, macro(text, 'MAX_REGISTERS'))
    registers, local = number(r'Used (\d+) registers', said), number(r'(\d+) bytes smem', said)
    return Compiled(registers, number(r'(\d+) bytes spill', said), local, 32,
                    (warps_held(chip, registers, local, group_size(text)), MULTIPROCESSOR[chip][3]), listing)


# ---- Intel

# Of a subslice: threads (execution units times threads of each), bytes of local memory. Intel's "OpenCL developer
# guide" for Gen9 (8 units, 7 threads), its descriptions of Xe-HPG for DG2 (16 units, 8 threads) and of Xe-HPC (8, 8).
SUBSLICE = {'skl': (56, 65536), 'dg2-g10': (128, 131072), 'pvc': (64, 131072)}


def compile_intel(chip, source, folder):
    """ocloc does not tell registers: they are 128 of 32 bytes for a thread, of as many work-items as its width; of 64 on pvc.

    Where registers spill, the compiler tries again and leaves arrays in memory: what those take more is spilled, too."""
    if not shutil.which('ocloc'):
        raise Fault('there is no ocloc')
    dump = os.path.join(folder, 'dump')
    os.mkdir(dump)
    large = ' -cl-intel-256-GRF-per-thread' if macro(read(source), 'MATRIX') in (8, 10) else ''  # as run/builds.c does
    run(['ocloc', 'compile', '-file', source, '-device', chip, '-options', '-cl-std=CL1.2' + large, '-output', 'kernel',
         '-out_dir', folder], cwd=folder,
        env={**os.environ, 'IGC_ShaderDumpEnable': '1', 'IGC_DumpToCustomDir': dump})
    listings = sorted(glob.glob(os.path.join(dump, '*.asm')), key=os.path.getmtime)
    if not listings:
        return Compiled('?')
    width, text, source = number(r'_simd(\d+)_', listings[-1]), read(listings[-1]), read(source)
    private = [number(r'//.private memory size (\d+)', read(listing)) for listing in listings]
    spilled = number(r'//.spill size (\d+)', text) + private[-1] - min(private)
    tile, (threads, memory) = tile_bytes(source), SUBSLICE[chip]
    of_group = -(-group_size(source) // width) if width else 1
    groups = min(threads // of_group, memory // tile if tile else threads)
    return Compiled('?', spilled, tile, width, (groups * of_group, threads), text)


def column_bytes(source):
    """(bytes of a column's numbers, bytes from one column of the tile to the next)"""
    struct = re.search(r'typedef struct \{([^}]*)\}( Q_STAGED\((\d+)\))? q_column;', source)
    numbers = len(re.findall(r'\bs?(?:real|int) v\d+;', struct.group(1))) if struct else 0
    size = numbers * (8 if '#define Q_F64 1' in source else 4)
    align = int(struct.group(3)) if struct and struct.group(3) else 4
    return size, -(-size // align) * align


def macro(source, name):
    return number(rf'#define Q_{name} (\d+)', source.split('"prelude.cl"')[0])


def tile_bytes(source):
    """Bytes of local memory of a group: see row.cl and gemm_local.cl, but for what the latter pads."""
    columns, tile_k = macro(source, 'TILE_N') or macro(source, 'STAGED_COLS'), macro(source, 'TILE_K')
    bytes_of_columns = columns * column_bytes(source)[1]
    if not tile_k:
        return bytes_of_columns
    runs = max(tile_k // 4, 1)
    rows, epilogue = macro(source, 'ROWS') * macro(source, 'LOCAL'), macro(source, 'EPILOGUE_N')
    expanded = rows + (1 + 2 * runs) * columns + macro(source, 'K_DIM') if macro(source, 'EXPANSION') else 0
    contraction = 2 * tile_k * (rows + columns) + epilogue * rows if macro(source, 'K_DIM') else 0
    weights = re.search(r'typedef struct \{([^}]*)\} q_weights;', source).group(1).count(' v')
    rhs = 2 * epilogue * (weights * rows + macro(source, 'THREADS_N') * macro(source, 'RHS_PER_ITEM')) if macro(source, 'RHS_DIM') else 0
    return 3 * bytes_of_columns + (contraction + expanded + rhs) * (8 if '#define Q_F64 1' in source else 4)


# ---- targets

# name: (its maker's profile, compiler, chip, element types that the chip has)
TARGETS = {
    'gfx90a': ('amd-gfx90a', compile_amd, 'gfx90a', ('f32', 'f64')),
    'gfx1100': ('amd-gfx11', compile_amd, 'gfx1100', ('f32', 'f64')),
    'sm_80': ('nvidia-sm_80', compile_nvidia, 'sm_80', ('f32', 'f64')),
    'sm_90': ('nvidia-sm_90', compile_nvidia, 'sm_90', ('f32', 'f64')),
    'dg2': ('intel-xe-hpg', compile_intel, 'dg2-g10', ('f32',)),
    'skl': ('intel-gen9', compile_intel, 'skl', ('f32', 'f64')),
    'pvc': ('intel-xe-hpc', compile_intel, 'pvc', ('f32', 'f64')),
}


@functools.lru_cache(maxsize=None)
def version(program, pattern):
    """A program's version, or '' where it is missing or does not say."""
    try:
        return ''.join(re.findall(pattern, run([program, '--version']))[:1]) if program else ''
    except (Fault, OSError):
        return ''


def compiler_versions(target):
    """Which compilers a target's figures are from, in one line."""
    if TARGETS[target][1] is compile_intel:
        try:
            return 'ocloc ' + run(['dpkg-query', '-W', '-f', '${Version}', 'intel-opencl-icd']).strip()
        except (Fault, OSError):
            return 'ocloc, version unknown'
    words = 'clang ' + version(find_clang(), r'version (\S+)')
    if target.startswith('sm_'):
        words += ', ptxas ' + version(cuda_program('ptxas'), r'V(\d\S+)')
    return words
