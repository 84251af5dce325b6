"""gpu_loops.py: what one pair costs in the machine code of a kernel: instructions on the shortest way around the loop
over the columns, divided by the pairs that it takes in. Rare paths, such as putting a neighbour in its place, are thus
left out, and so are waits and hints, which no unit executes. Listings: LLVM's for AMD, nvdisasm's for NVIDIA, and that
of Intel's compiler.
"""
import collections
import heapq
import re

WAITS = r'^(@!PT |s_waitcnt|s_delay_alu|s_nop|s_clause|NOP\b|sync\.|\([^)]*\)\s+sync\.)'

# work: floating-point operations of one work-item. special: the function, of an instruction of the slower unit for exponentials,
# roots and inverses, else ''. ends: control does not go on. targets: labels it can go to.
Instruction = collections.namedtuple('Instruction', 'text work special local barrier targets ends')
Dialect = collections.namedtuple('Dialect', 'instruction label work special local barrier jump ends')

# Of the scheme gemm with local memory. pairs: of a work-item in its K loop; tile_k: components that it does at once;
# k_dim: all of them; rhs: block accumulators of a work-item, to which its loop over right-hand sides adds a column;
# rhs_groups: groups that do all else over again for other components. whole: the epilogue is in the loop over tiles, on registers.
# queue: and what it leaves for queues is rare.
Tile = collections.namedtuple('Tile', 'pairs tile_k k_dim rhs rhs_groups whole queue')

# Of the scheme mma. pairs: of a work-item in a tile; chunks: how many times its K loop goes around for it.
Matrix = collections.namedtuple('Matrix', 'pairs chunks')

# Of a pair: instructions; those of the slower unit; columns that the main loop takes at once; floating-point operations; reads of
# local memory; barriers; and which functions the slower unit does.
Cost = collections.namedtuple('Cost', 'instructions special columns work reads barriers functions')

NVIDIA = Dialect(r'\s*/\*[0-9a-f]{4,}\*/\s+(.*?) ?;', r'(\.L_\w+):', r'\b[FD](?:ADD|MUL|FMA)\b', r'\bMUFU\.(\w+)', r'\bLDS\b',
                 r'\bBAR\b', r'^(@\S+ )?(?:BRA|CALL\.REL)\S*(?: !?U?P\d+,)* `\((\.L_\w+)\)', r'^(EXIT|RET|(?:BRA|CALL\.REL)\S* `\(\.L)')
AMD = Dialect(r'\t([a-z]+_[^;]*)', r'(\.LBB\w+):', r'v_(?:dual_)?(?:pk_)?(?:add|sub|subrev|mul|fma|fmac|mac|fmamk|fmaak)\w*_f(?:32|64)',
              r'\bv_(exp|log|rcp|rsq|sqrt|sin|cos)_', r'\bds_(?:read|load)', r's_barrier',
              r'^s_(c?)branch\w* (\.LBB\w+)', r'^s_(branch|endpgm|setpc)')
INTEL = Dialect(r'((?:\([^)]*\))?\s+[a-z][a-z0-9.]* .*)', r'(\w+):$', r'\b(?:add|mul|mad)\b.*<\d.*:d?f\b', r'\bmath\.(\w+)',
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


def special_of(dialect, text):
    found = re.search(dialect.special, text)
    return found.group(1).lower() if found else ''


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
            found.append(Instruction(text, work_of(dialect, text), special_of(dialect, text),
                                     bool(re.search(dialect.local, text)), bool(re.search(dialect.barrier, text)),
                                     targets_of(dialect, text), bool(re.search(dialect.ends, text))))
    return found, labels


def shortest(code, labels, begin, end, closed=(), within=True):
    """The instructions on the shortest way from one to the other, staying between them, unless it may go anywhere, and out of what
    is closed."""
    best, queue = {begin: (1, None)}, [(1, begin)]
    while queue:
        length, at = heapq.heappop(queue)
        if at == end:
            break
        nexts = [labels[label] for label in code[at].targets if label in labels]
        nexts += [] if code[at].ends else [at + 1]
        for to in nexts:
            if (begin < to <= end or not within) and to < len(code) and to not in closed and (to not in best or best[to][0] > length + 1):
                best[to] = (length + 1, at)
                heapq.heappush(queue, (length + 1, to))
    way, at = [], end if end in best else None
    while at is not None:
        way.append(code[at])
        at = best[at][1]
    return way


def loops(code, labels, staging=False, least=1):
    """The shortest way around each loop that reads local memory and does some work, as (begin, instructions): those over staged
    columns, without a barrier inside, or, staging, those that stage components themselves, with barriers and innermost."""
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


def k_loops(code, labels, tile):
    """(begin, instructions) of the K loops: each pair takes an operation for each component at least."""
    return [(begin, way) for begin, way in loops(code, labels, True)
            if tile.k_dim and sum(i.work for i in way) >= tile.pairs * tile.tile_k]


def is_rhs(way, tile):
    """Whether a loop over columns is that over right-hand sides, in which there are no functions."""
    return bool(tile and tile.rhs and work_of_way(way) >= tile.rhs and not special_of_way(way))


def column_loops(code, labels, tile):
    """The ways around the loops over columns; for the scheme gemm those behind its K loops, but not that over
    right-hand sides."""
    begin = max((begin for begin, _ in k_loops(code, labels, tile)), default=0) if tile else 0
    # a selection only compares there
    ways = [way for at, way in loops(code, labels, least=0 if tile else 1) if at >= begin]
    return [way for way in ways if not is_rhs(way, tile)]


def rhs_loop(code, labels, tile):
    """The way around the loop over the columns of right-hand sides."""
    return min((way for _, way in loops(code, labels) if is_rhs(way, tile)), key=work_of_way, default=[])


def special_of_way(way):
    return sum(bool(i.special) for i in way)


def work_of_way(way):
    return sum(i.work for i in way)


def main_loop(listing, target, tile=None):
    """The shortest way around the loop that does most; for the scheme gemm, around its K loop, of which there
    may be another, which does more: for tiles that are done again."""
    code, labels = parse(listing, dialect_of(target))
    if tile:
        return min((way for _, way in k_loops(code, labels, tile)), key=work_of_way, default=[])
    return max(column_loops(code, labels, None), key=work_of_way, default=[])


def weighted(ways, measure):
    """The sum over (instructions, how often a pair goes around them)."""
    return sum(share * sum(map(measure, way)) for way, share in ways)


def barriers_of_pair(code, labels, ways, rows, staged):
    """Those in the loops, or, for the scheme row, in the loop around them, which stages columns."""
    within = weighted(ways, lambda i: i.barrier)
    around = [sum(i.barrier for i in way) for _, way in loops(code, labels, True, 0)] if staged else []
    return max(around) / staged / rows if around and not within else within


def functions_of(ways):
    return '+'.join(sorted({i.special for way, _ in ways for i in way if i.special})) or '-'


def edges_of(code, labels):
    """Where control can go from each instruction."""
    return [[labels[label] for label in one.targets if label in labels and labels[label] < len(code)] +
            ([] if one.ends or at + 1 == len(code) else [at + 1]) for at, one in enumerate(code)]


def dominators(edges):
    """{instruction: the nearest one through which all ways to it go} (Cooper, Harvey and Kennedy, "A simple, fast dominance algorithm")"""
    before, number, nearest, changed = collections.defaultdict(list), {}, {0: 0}, True
    done, stack = [], [(0, iter(edges[0]))]
    seen = {0}
    while stack:  # postorder
        at, nexts = stack[-1]
        to = next((one for one in nexts if one not in seen), None)
        if to is None:
            done.append(stack.pop()[0])
        else:
            seen.add(to)
            stack.append((to, iter(edges[to])))
    number = {at: place for place, at in enumerate(done)}
    for at in done:
        for to in edges[at]:
            before[to].append(at)
    while changed:
        changed = False
        for at in reversed(done[:-1]):
            new = None
            for one in (one for one in before[at] if one in nearest):
                other = one if new is None else new
                while one != other:
                    if number[one] < number[other]:
                        one = nearest[one]
                    else:
                        other = nearest[other]
                new = one
            changed |= nearest.get(at) != new
            nearest[at] = new
    return nearest


def bound_to(code, labels, head, outer):
    """Instructions of a loop from which there is no way to its end but through `head`, or to which there is none but through it."""
    edges = edges_of(code, labels)
    nearest, before, free, stack = dominators(edges), collections.defaultdict(list), {outer[1]}, [outer[1]]
    for at in range(outer[0], outer[1] + 1):
        for to in edges[at]:
            before[to].append(at)
    while stack:
        for at in before[stack.pop()]:
            if at != head and at not in free:
                free.add(at)
                stack += [at] if at != outer[0] else []
    def behind(at):
        while at not in (head, 0) and at in nearest:
            at = nearest[at]
        return at == head
    return {at for at in range(outer[0], outer[1] + 1) if at not in free or behind(at)}


def cost_in_tiles(code, labels, tile):
    """The same where the loop over tiles has K loops, the first for all tiles, and the epilogue: all that is in no loop of it and is not
    done for the sake of another K loop alone, or, where pairs only queue, the shortest way."""
    inner = [(labels[label], end) for end, one in enumerate(code) for label in one.targets if labels.get(label, end + 1) <= end]
    k_begin, k_loop = min(k_loops(code, labels, tile), default=(0, []))
    outer = min(((begin, end) for begin, end in inner if begin <= k_begin and end > k_begin + len(k_loop)
                 and sum(i.work for i in code[begin:end + 1]) > work_of_way(k_loop)), key=lambda one: one[1] - one[0], default=None)
    if not k_loop or not outer:
        return None
    if tile.queue:
        taken = collections.Counter(map(id, k_loop))
        rest = [one for one in shortest(code, labels, *outer, within=False) if not taken[id(one)]]
    else:
        again = [begin for begin, end in inner if k_begin + len(k_loop) <= begin and end < outer[1]
                 and any(one.barrier for one in code[begin:end + 1])]
        rare = set().union(*(bound_to(code, labels, begin, outer) for begin in again))
        rest = [one for at, one in enumerate(code) if outer[0] <= at <= outer[1] and at not in rare
                and not any(begin <= at <= end for begin, end in inner if outer[0] < begin and end < outer[1])]
    chunks = work_of_way(k_loop) // (tile.pairs * tile.tile_k)  # that it does at once
    ways = [(rest, 1 / tile.pairs), (k_loop, tile.k_dim // tile.tile_k / chunks / tile.pairs)] # what is left of k_dim is in the rest
    return Cost(weighted(ways, lambda i: 1), weighted(ways, lambda i: bool(i.special)), '-', weighted(ways, lambda i: i.work),
                weighted(ways, lambda i: i.local), weighted(ways, lambda i: i.barrier), functions_of(ways))


def natural_loops(code, labels):
    """[(instructions, first one, those that lead back to it)], small ones first."""
    edges = edges_of(code, labels)
    nearest, before, found = dominators(edges), collections.defaultdict(list), {}
    for at in nearest:
        for to in edges[at]:
            before[to].append(at)
    for at in nearest:
        for head in edges[at]:
            above = at
            while above not in (head, 0):
                above = nearest[above]
            if above != head:
                continue
            body, ends = found.setdefault(head, ({head}, []))
            ends.append(at)
            stack = [at]
            while stack:
                one = stack.pop()
                if one not in body:
                    body.add(one)
                    stack += before[one]
    return sorted(((body, head, ends) for head, (body, ends) in found.items()), key=lambda one: len(one[0]))


def way_around(code, labels, loop, closed):
    """The shortest from a loop's first instruction back to it, out of what is closed."""
    body, head, ends = loop
    closed = closed | (set(range(len(code))) - body)
    ways = [shortest(code, labels, head, end, closed, within=False) for end in ends]
    return min((way for way in ways if way), key=len, default=[])


def cost_in_matrix(code, labels, matrix):
    """The same for the scheme mma: the way around the loop over tiles, and that around its K loop, if they are two, keeping out of the
    loops of what is done term by term."""
    all_loops = natural_loops(code, labels)
    around = [loop for loop in all_loops if any('HMMA' in code[at].text for at in loop[0])]
    if not around or matrix.chunks > 1 and len(around) < 2:
        return None
    closed = set().union(*(loop[0] for loop in all_loops if loop not in around))
    ways = [(way_around(code, labels, around[0], closed), matrix.chunks / matrix.pairs)]
    if matrix.chunks > 1:
        ways.append((way_around(code, labels, around[1], closed | around[0][0] - {around[0][1]}), 1 / matrix.pairs))
    return Cost(weighted(ways, lambda i: 1), weighted(ways, lambda i: bool(i.special)), '-', weighted(ways, lambda i: i.work),
                weighted(ways, lambda i: i.local), weighted(ways, lambda i: i.barrier),
                f"{functions_of(ways)}+{weighted(ways, lambda i: 'HMMA' in i.text):.2f}mma")


def cost_of_pair(listing, target, rows, unroll, staged, tile=None):
    """The Cost of the main loop, or None where there is no such loop. It takes in `unroll` columns, or as many times these as
    it does more work than the loop that does least, which is taken to do one column. Where there are right-hand sides, a
    pair has one special instruction, which tells columns. With a tile the K loop and that over right-hand sides come on top.
    staged: columns in local memory."""
    code, labels = parse(listing, dialect_of(target))
    if isinstance(tile, Matrix):
        return cost_in_matrix(code, labels, tile)
    if tile and tile.whole:
        return cost_in_tiles(code, labels, tile)
    ways = column_loops(code, labels, tile)
    k_loop = main_loop(listing, target, tile) if tile and tile.k_dim else []
    rhs = rhs_loop(code, labels, tile) if tile and tile.rhs else []
    if not ways or (tile and ((tile.k_dim and not k_loop) or (tile.rhs and not rhs))):
        return None
    main = max(ways, key=lambda way: (rhs and special_of_way(way), work_of_way(way)))
    more = work_of_way(main) / max(min(map(work_of_way, ways)), 1)
    columns = (special_of_way(main) if rhs else round(more) if tile else unroll * max(1, round(more / unroll))) or 1
    groups = tile.rhs_groups if tile else 1
    shares = [(main, groups / columns / rows), (rhs, groups / rows),
              (k_loop, groups * tile.k_dim / tile.pairs / tile.tile_k if k_loop else 0)]
    return Cost(weighted(shares, lambda i: 1), weighted(shares, lambda i: bool(i.special)), columns,
                weighted(shares, lambda i: i.work), weighted(shares, lambda i: i.local),
                barriers_of_pair(code, labels, shares, rows, 0 if tile else staged),
                functions_of(shares))
