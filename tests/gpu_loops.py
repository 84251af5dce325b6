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


def loops(code, labels):
    """The shortest way around each loop over staged columns: no barrier inside, local memory read."""
    found = []
    for end, one in enumerate(code):
        for begin in {labels[label] for label in one.targets if label in labels and labels[label] <= end}:
            inside = code[begin:end + 1]
            if not any(i.barrier for i in inside) and any(i.local for i in inside):
                way = shortest(code, labels, begin, end)
                if sum(i.work for i in way):
                    found.append(way)
    return found


def main_loop(listing, target):
    """The shortest way around the loop that does most."""
    code, labels = parse(listing, dialect_of(target))
    return max(loops(code, labels), key=lambda way: sum(i.work for i in way), default=[])


def cost_of_pair(listing, target, rows):
    """(instructions, special instructions, columns at once) of the main loop, or None where there is no such loop. The
    loop that does least is taken to do one column; the main one does most."""
    code, labels = parse(listing, dialect_of(target))
    work = [sum(i.work for i in way) for way in loops(code, labels)]
    if not work:
        return None
    main, columns = main_loop(listing, target), round(max(work) / min(work))
    return len(main) / columns / rows, sum(i.special for i in main) / columns / rows, columns
