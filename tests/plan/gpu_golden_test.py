#!/usr/bin/env python3
"""gpu_golden_test.py: what compilers for GPUs make of the formulas that bench/cases.c measures, compared with gpu.golden.

    python3 tests/plan/gpu_golden_test.py PATH/TO/quern
    QUERN_UPDATE=1 python3 tests/plan/gpu_golden_test.py PATH/TO/quern     rewrites the table; review it like code
    python3 tests/plan/gpu_golden_test.py PATH/TO/quern --only sm_90 --case g3 --listing     shows the main loop

Columns of the table: rows of a work-item; columns taken at once by the main loop; registers of a work-item ('-': the
compiler does not tell); what is spilled; bytes of local memory of a group; waves of a processor held at once, of those
that it could hold; instructions of a pair, on the shortest way around the main loop, and those of them for the slower
unit of exponentials, roots and inverses; of a pair too, floating-point operations (a multiply-add is one), reads of local
memory and barriers; and what functions the slower unit does, with instructions of matrix units (`mma`) where there are any. On AMD and NVIDIA an instruction is one of a whole wave; on Intel, where threads
are 8, 16 or 32 work-items wide, one of 16. For the scheme `gemm` in local memory a pair is its share of the K
loop, with staging, one turn of the loop over columns and one of that over right-hand sides; on Intel those are not told apart.

Where the compilers are those of the table, figures must be equal; with others, nothing may be spilled that was not, and
a pair may take a quarter more. What is to hold in any case stands in LIMITS. Skipped are targets whose compiler is
missing, and instructions where there is no disassembler (nvdisasm). Prints an `ok` or `not ok` line per case and target,
then `N passed, N failed, N skipped`.
"""
import argparse
import concurrent.futures
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from formulas import HERE, explain
from gpu_compilers import MULTIPROCESSOR, TARGETS, Fault, compiler_versions, cuda_program, macro, warps_held
from gpu_loops import Matrix, Tile, cost_of_pair, main_loop

GOLDEN = os.path.join(HERE, 'gpu.golden')
CASES = os.path.join(HERE, '..', 'bench', 'cases.c')
LEFT_OUT = ('small',)  # the formula of g3
COMPARED = [target for target in TARGETS if target != 'pvc']  # which has dg2's compiler, and gpu_compile_test.py
HEADINGS = ('case', 'target', 'rows', 'columns', 'registers', 'spilled', 'local', 'waves', 'instructions', 'special', 'work', 'reads',
            'barriers', 'functions')

# (case, target): (most instructions of a pair, special ones)
LIMITS = {('g3', 'sm_90'): (9.5, 1), ('g3', 'sm_80'): (9.5, 1), ('energy', 'sm_90'): (8.5, 1), ('g128', 'sm_90'): (16.5, 1), ('multi64', 'sm_90'): (24, 1), ('attention', 'sm_90'): (25.5, 1), ('g3', 'gfx90a'): (8, 1), ('g3', 'gfx1100'): (10, 1),
          ('g3', 'dg2'): (10.5, 1), ('g3', 'skl'): (11, 1)}

# Beside kernels that were written by hand and measured on an H200, compiled in the same way, (case, target): instructions of a pair
# of theirs. Ours may have so many times these, by a profile: tiles on ordinary cores by `nvidia`, which has no matrix units; and
# few components by one product of these, where 3 of 16 exponentials of the one by hand are polynomials, and there is no way for
# tiles whose squares are large. And the warps that a multiprocessor of each kind holds.
BY_HAND = {('g128', 'sm_80'): 147.0, ('g128', 'sm_90'): 146.6, ('knn50', 'sm_80'): 59.2, ('knn50', 'sm_90'): 59.7,
           ('g3', 'sm_80'): 4.75, ('g3', 'sm_90'): 4.58}
MOST_OF_HAND = {'g128': (1.1, '{maker}'), 'knn50': (1.1, '{maker}'), 'g3': (1.15, '{profile} min_k=3')}
WARPS = {'g128': {'sm_75': 12}, 'knn50': {'sm_75': 8}, 'g3': {chip: 12 for chip in MULTIPROCESSOR}}
USUAL_WARPS = 16


def read_cases():
    """{name: (formula, element type)} of bench/cases.c; of those in which the formula is what runs, over all pairs"""
    with open(CASES, encoding='utf-8') as file:
        text = file.read()
    text = text.replace(' GAUSSIAN', ' ' + re.search(r'#define GAUSSIAN (".*")', text).group(1))
    rows = re.findall(r'\{"(\S+)", "[^"]*",\s*((?:"[^"]*"\s*)+),\s*QUERN_F(32|64)([^}]*)', text)
    return {name: (''.join(re.findall(r'"([^"]*)"', formula)), 'f' + bits) for name, formula, bits, rest in rows
            if name not in LEFT_OUT and 'bench_call_' not in rest and '&' not in rest}


def source_of(quern, formula, dtype, profile):
    """The text of the kernel with the pairs, for rows and columns without end."""
    text, fault = explain(quern, formula, '--stage', 'source', '--profile', profile, '--dtype', dtype, '--M', '2000000',
                          '--N', '2000000')
    if fault:
        raise Fault(fault)
    return [kernel.split('\n', 1)[1] for kernel in text.split('// ---- source of ')[1:] if 'q_pair' in kernel][0]


def tile_of(source):
    """The loops of the scheme mma, or of the scheme gemm with local memory; else None."""
    if macro(source, 'MATRIX'):
        return Matrix(macro(source, 'TILE_N'), 1 if macro(source, 'KEEP') else -(-macro(source, 'K_DIM') // 16))
    macros = dict(re.findall(r'#define Q_(ROWS|THREADS_N|REG_N|TILE_K|K_DIM|RHS_DIM|RHS_PER_ITEM|EPILOGUE_N|QUEUE) (\d+)',
                             source.split('"prelude.cl"')[0]))
    if 'TILE_K' not in macros:
        return None
    n = {name: int(value) for name, value in macros.items()}
    reg_m, kept = n['ROWS'] * n['THREADS_N'], n.get('RHS_PER_ITEM', 0)
    groups = -(-n['RHS_DIM'] // (n['THREADS_N'] * kept)) if kept else 1
    return Tile(reg_m * n['REG_N'], n['TILE_K'], n['K_DIM'], reg_m * kept, groups, 'EPILOGUE_N' not in n or 'QUEUE' in n, 'QUEUE' in n)


def figures_of(made, source, target):
    """The cells of a row after case and target."""
    rows = int(re.search(r'#define Q_ROWS (\d+)', source).group(1))
    tile = tile_of(source)
    unclear = tile and TARGETS[target][0].startswith('intel')  # where every branch is one of many ways around a loop
    unroll, staged = macro(source, 'UNROLL') or 1, macro(source, 'STAGED_COLS')
    cost = cost_of_pair(made.listing, target, rows, unroll, staged, tile) if made.listing and not unclear else None
    share = 16 / made.width if TARGETS[target][0].startswith('intel') and made.width else 1
    columns, measured = '-', ['-'] * 6
    if cost:
        columns, counts = str(cost.columns), (cost.instructions, cost.special, cost.work, cost.reads)
        measured = [f'{count * share:.2f}' for count in counts] + [f'{cost.barriers * share:.3f}', cost.functions]
    registers = '-' if made.registers == '?' else str(made.registers)
    waves = f'{made.waves[0]}/{made.waves[1]}' if made.waves else '-'
    return [str(rows), columns, registers, str(made.spilled), str(made.local), waves, *measured]


def compile_row(quern, case, target, listing, other_profile=None):
    formula, dtype = case
    profile, compiler, chip, dtypes = TARGETS[target]
    if dtype not in dtypes:
        return None
    source = source_of(quern, formula, dtype, other_profile or profile)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'kernel.cl')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(source)
        made = compiler(chip, path, folder)
    if listing:
        print('\n'.join(one.text for one in main_loop(made.listing, target, tile_of(source))))
    return figures_of(made, source, target)


# ---- the table

def read_table():
    """({target: compilers}, {(case, target): cells})"""
    if not os.path.exists(GOLDEN):
        return {}, {}
    with open(GOLDEN, encoding='utf-8') as file:
        lines = file.read().splitlines()
    versions = dict(re.match(r'# (\S+): (.*)', line).groups() for line in lines if re.match(r'# \S+: ', line))
    rows = [line.split() for line in lines if line and not line.startswith('#')]
    return versions, {tuple(row[:2]): row[2:] for row in rows[1:]}


def write_table(versions, rows):
    lines = [HEADINGS] + [(*key, *cells) for key, cells in rows.items()]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADINGS))]
    with open(GOLDEN, 'w', encoding='utf-8') as file:
        file.write('# What compilers make of the formulas of bench/cases.c; see gpu_golden_test.py, which rewrites this'
                   ' file.\n')
        for target, words in versions.items():
            file.write(f'# {target}: {words}\n')
        for line in lines:
            file.write('  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() + '\n')


# ---- judgement

def more_than(cell, golden, factor):
    return '-' not in (cell, golden) and float(cell) > float(golden) * factor + 0.005


def faults_of(key, cells, golden, same_compilers):
    """What is wrong with a row, as sentences."""
    faults = []
    now = dict(zip(HEADINGS[2:], cells))
    most = LIMITS.get(key)
    if most and (more_than(now['instructions'], most[0], 1) or more_than(now['special'], most[1], 1)):
        faults.append(f'{now["instructions"]} instructions a pair, {now["special"]} special; at most {most} may be')
    if golden is None:
        return faults + ['no such row in gpu.golden: QUERN_UPDATE=1 writes it']
    then = dict(zip(HEADINGS[2:], golden))
    if same_compilers:
        faults += [f'{name} {now[name]}, in gpu.golden {then.get(name)}' for name in HEADINGS[2:]
                   if now[name] != then.get(name) and '-' not in (now[name], then.get(name))]
    elif now['spilled'] != '0' and then['spilled'] == '0':
        faults.append(f'{now["spilled"]} spilled, in gpu.golden nothing')
    elif more_than(now['instructions'], then['instructions'], 1.25):
        faults.append(f'{now["instructions"]} instructions a pair, in gpu.golden {then["instructions"]}')
    return faults


def faults_by_hand(key, cells):
    """What is wrong with a tile beside one that was written by hand, and how many groups of it fit."""
    now = dict(zip(HEADINGS[2:], cells))
    faults = []
    if more_than(now['instructions'], str(BY_HAND[key]), MOST_OF_HAND[key[0]][0]):
        faults.append(f'{now["instructions"]} instructions a pair, {BY_HAND[key]} by hand')
    for chip in MULTIPROCESSOR:
        held, expected = warps_held(chip, int(now['registers']), int(now['local']), 128), WARPS[key[0]].get(chip, USUAL_WARPS)
        if held < expected:
            faults.append(f'a multiprocessor of {chip} holds {held} warps, not {expected}')
    return faults


def main():
    parser = argparse.ArgumentParser(description='compiles the formulas of bench/cases.c for GPUs')
    parser.add_argument('quern')
    parser.add_argument('--only', choices=COMPARED)
    parser.add_argument('--case')
    parser.add_argument('--listing', action='store_true')
    arguments = parser.parse_args()
    quern, update = os.path.abspath(arguments.quern), bool(os.environ.get('QUERN_UPDATE'))
    cases = {name: case for name, case in read_cases().items() if arguments.case in (None, name)}
    versions, golden = read_table()
    now = {target: compiler_versions(target) for target in ([arguments.only] if arguments.only else COMPARED)}
    counts, rows = [0, 0, 0], dict(golden)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {(name, target): pool.submit(compile_row, quern, case, target, arguments.listing)
                for name, case in cases.items() for target in now}
        jobs |= {(*key, 'beside one by hand'): pool.submit(compile_row, quern, cases[key[0]], key[1], False,
                                                           MOST_OF_HAND[key[0]][1].format(maker='nvidia', profile=TARGETS[key[1]][0]))
                 for key in BY_HAND if key[0] in cases and key[1] in now and not update}
    for key, job in jobs.items():
        label = ' '.join(key)
        try:
            cells = job.result()
        except Fault as fault:
            missing = str(fault).startswith('there is no ')
            counts[2 if missing else 1] += 1
            print(f'ok - {label} # SKIP {fault}' if missing else f'not ok - {label}\n# {fault}')
            continue
        if not cells:
            continue
        blind = key[1].startswith('sm_') and not cuda_program('nvdisasm')
        if update and blind and '-' not in golden.get(key, '-')[-1]:
            counts[2] += 1
            print(f'ok - {label} # SKIP without a disassembler the row stays as it is')
            continue
        if key[:2] == key:
            rows[key] = cells
        same = versions.get(key[1]) == now[key[1]]
        faults = ([] if update else faults_by_hand(key[:2], cells) if key[2:] else faults_of(key, cells, golden.get(key), same))
        counts[bool(faults)] += 1
        print(f'{"not ok" if faults else "ok"} - {label}: {" ".join(cells)}')
        for fault in faults:
            print('#   ' + fault)
    if update:
        write_table({**versions, **now}, rows)
    print('{} passed, {} failed, {} skipped'.format(*counts))
    return 1 if counts[1] else 0 if counts[0] else 77


if __name__ == '__main__':
    sys.exit(main())
