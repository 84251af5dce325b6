"""gpu_loops.py: what one pair costs in the machine code of a kernel: instructions on the shortest way around the loop
over the columns, divided by the pairs that it takes in. Rare paths, such as putting a neighbour in its place, are thus
left out, and so are waits and hints, which no unit executes. Listings: LLVM's for AMD, nvdisasm's for NVIDIA, and that
of Intel's compiler.
"""
import collections
import heapq
import re

WAITS = r'^(s_waitcnt|s_delay_alu|s_nop|s_clause|NOP\b|sync\.|\([^)]*\)\s+sync\.)'

# work: floating-point operations of one work-item. special: instructions of the slower unit for exponentials, roots
# and inverses. ends: control does not go on. targets: labels it can go to.
Instruction = collections.namedtuple('Instruction', 'text work special local barrier targets ends')
Dialect = collections.namedtuple('Dialect', 'instruction label work special local barrier jump ends')

# Of the scheme gemm with local memory. pairs: of a work-item in its loop over slices; chunk: components that it does at
# once; depth: all of them; wide: partial wide sums of a work-item, to which its loop over wide sums adds a column; spans:
# groups that do all else over again for other components.
Tile = collections.namedtuple('Tile', 'pairs chunk depth wide spans')

NVIDIA = Dialect(r'\s*/\*[0-9a-f]{4,}\*/\s+(.*?) ?;', r'(\.L_\w+):', r'\b[FD](?:ADD|MUL|FMA)\b', r'\bMUFU', r'\bLDS\b',
                 r'\bBAR\b', r'^(@\S+ )?BRA\S*(?: !?U?P\d+,)* `\((\.L_\w+)\)', r'^(EXIT|RET|BRA\S* `)')
AMD = Dialect(r'\t([a-z]+_[^;]*)', r'(\.LBB\w+):', r'v_(?:dual_)?(?:pk_)?(?:add|sub|subrev|mul|fma|fmac|mac|fmamk|fmaak)\w*_f(?:32|64)',
              r'\bv_(?:exp|log|rcp|rsq|sqrt|sin|cos)_', r'\bds_(?:read|load)', r's_barrier',
              r'^s_(c?)branch\w* (\.LBB\w+)', r'^s_(branch|endpgm|setpc)')
INTEL = Dialect(r'((?:\([^)]*\))?\s+[a-z][a-z0-9.]* .*)', r'(\w+):$', r'\b(?:add|mul|mad)\b.*<\d.*:d?f\b', r'\bmath\b',
                r'load\.slm|send.*0x[0-9A-Fa-f]{6}FE ', r'signal barrier|\bgateway', r'^()', r'^\s*(goto|jmpi|ret)\b')


def dialect_of(target):
    return NVIDIA if target.startswith('sm_') else AMD if target.startswith('gfx') else INTEL


def targets_of(dialect, text):
    if dialect is INTEL:  # JIP and UIP: both are ways that control can go
        return re.findall(r'\b_\w+', text.split('//')[0]) if re.search(r'\b(goto\S*|jmpi|while|if|else)\b', text) else []
    found = re.search(dialect.jump, text)
    return [found.group(2)] if found else []


def work_of(dialect, text):
    found = re.findall(dialect.work, text)
    return sum(2 if 'pk_' in one else 1 for one in found) if dialect is AMD else len(found)


def parse(listing, dialect):
    """(instructions, {label: position})"""
    found, labels = [], {}
    for line in listing.splitlines():
        label = re.match(dialect.label, line)
        body = re.match(dialect.instruction, line)
        if label:
            labels[label.group(1)] = len(found)
        elif body and not line.lstrip().startswith('//') and not re.match(WAITS, body.group(1).strip()):
            text = body.group(1).strip()
            found.append(Instruction(text, work_of(dialect, text), bool(re.search(dialect.special, text)),
                                     bool(re.search(dialect.local, text)), bool(re.search(dialect.barrier, text)),
                                     targets_of(dialect, text), bool(re.search(dialect.ends, text))))
    return found, labels


def shortest(code, labels, begin, end):
    """The instructions on the shortest way from one to the other, staying between them."""
    best, queue = {begin: (1, None)}, [(1, begin)]
    while queue:
        length, at = heapq.heappop(queue)
        if at == end:
            break
        nexts = [labels[label] for label in code[at].targets if label in labels]
        nexts += [] if code[at].ends else [at + 1]
        for to in nexts:
            if begin < to <= end and (to not in best or best[to][0] > length + 1):
                best[to] = (length + 1, at)
                heapq.heappush(queue, (length + 1, to))
    way, at = [], end if end in best else None
    while at is not None:
        way.append(code[at])
        at = best[at][1]
    return way


def loops(code, labels, staging=False, least=1):
    """The shortest way around each loop that reads local memory and does some work, as (begin, instructions): those over staged
    columns, without a barrier inside, or, staging, those that stage slices themselves, with barriers and innermost."""
    found = []
    for end, one in enumerate(code):
        for begin in {labels[label] for label in one.targets if label in labels and labels[label] <= end}:
            inside = code[begin:end + 1]
            if any(i.barrier for i in inside) == staging and any(i.local for i in inside):
                way = shortest(code, labels, begin, end)
                if sum(i.work for i in way) >= least:
                    found.append((begin, end, way))
    inner = [one for one in found if not (staging and any(one is not o and one[0] <= o[0] and o[1] <= one[1]
                                                          for o in found))]
    return [(begin, way) for begin, _, way in inner]


def slice_loops(code, labels, tile):
    """(begin, instructions) of the loops over slices: each pair takes an operation for each component at least."""
    return [(begin, way) for begin, way in loops(code, labels, True)
            if tile.depth and sum(i.work for i in way) >= tile.pairs * tile.chunk]


def is_wide(way, tile):
    """Whether a loop over columns is that over wide sums, in which there are no functions."""
    return bool(tile and tile.wide and work_of_way(way) >= tile.wide and not special_of_way(way))


def column_loops(code, labels, tile):
    """The ways around the loops over columns; for the scheme gemm those behind its loops over slices, but not that over
    wide sums."""
    begin = max((begin for begin, _ in slice_loops(code, labels, tile)), default=0) if tile else 0
    # a selection only compares there
    ways = [way for at, way in loops(code, labels, least=0 if tile else 1) if at >= begin]
    return [way for way in ways if not is_wide(way, tile)]


def wide_loop(code, labels, tile):
    """The way around the loop over the columns of wide sums."""
    return min((way for _, way in loops(code, labels) if is_wide(way, tile)), key=work_of_way, default=[])


def special_of_way(way):
    return sum(i.special for i in way)


def work_of_way(way):
    return sum(i.work for i in way)


def main_loop(listing, target, tile=None):
    """The shortest way around the loop that does most; for the scheme gemm, around its loop over slices, of which there
    may be another, which does more: for tiles that are done again."""
    code, labels = parse(listing, dialect_of(target))
    if tile:
        return min((way for _, way in slice_loops(code, labels, tile)), key=work_of_way, default=[])
    return max(column_loops(code, labels, None), key=work_of_way, default=[])


def cost_of_pair(listing, target, rows, tile=None):
    """(instructions, special instructions, columns at once) of the main loop, or None where there is no such loop. The
    loop that does least is taken to do one column; the main one does most. Where there are wide sums, a pair has one
    special instruction, which tells columns. With a tile the loops over slices and over wide sums come on top."""
    code, labels = parse(listing, dialect_of(target))
    ways = column_loops(code, labels, tile)
    slices = main_loop(listing, target, tile) if tile and tile.depth else []
    wide = wide_loop(code, labels, tile) if tile and tile.wide else []
    if not ways or (tile and ((tile.depth and not slices) or (tile.wide and not wide))):
        return None
    main = max(ways, key=lambda way: (wide and special_of_way(way), work_of_way(way)))
    special = special_of_way(main)
    columns = special if wide else round(work_of_way(main) / max(min(map(work_of_way, ways)), 1))
    columns, spans = columns or 1, tile.spans if tile else 1
    contraction = len(slices) / tile.pairs / tile.chunk * tile.depth if slices else 0
    return (spans * ((len(main) / columns + len(wide)) / rows + contraction), spans * special / columns / rows, columns)
