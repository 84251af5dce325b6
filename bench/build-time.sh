#!/bin/sh
# build-time.sh: how long programs of long vectors take to build, beside the sum over pairs of the same length:
#
#     sh bench/build-time.sh [BUILD] [LENGTH...]      (default: build, and 96 384 768 components)
#
# Each formula is built cold, with empty caches, and run once on two rows and columns; seconds are those of the processor, user
# and system, of the whole process, the least of three, so that other work on the machine shows little. The pair sum is
# Sum_j(SqDist(x,y)). Formulas whose size is not their vectors' have their own column of lengths: SoftDTW of 32 and 32.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 96 384 768
quern=$build/src/cli/quern
[ -x "$quern" ] || { echo "build-time.sh: $quern is not there; build quern first: sh tools/test.sh --suite base" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export QUERN_HOST=off QUERN_PROFILES=none POCL_CACHE_DIR="$work/pocl" QUERN_CACHE_DIR="$work/quern"

# seconds FORMULA ARGUMENT...: of the processor, the least of three cold runs.
seconds() {
    python3 - "$quern" "$work" "$@" <<'END'
import os
import shutil
import subprocess
import sys

quern, work, *words = sys.argv[1:]
least = float('inf')
for _ in range(3):
    for cache in ('pocl', 'quern'):
        shutil.rmtree(os.path.join(work, cache), ignore_errors=True)
        os.makedirs(os.path.join(work, cache), 0o700)
    before = os.times()
    done = subprocess.run([quern, 'eval', *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    after = os.times()
    if done.returncode:
        sys.exit(done.stderr)
    least = min(least, after.children_user + after.children_system - before.children_user - before.children_system)
print(f'{least:.2f}')
END
}

# file ROWS COLUMNS: a .npy file of numbers between 0 and 1, made once.
file() {
    [ -e "$work/$1x$2.npy" ] || python3 - "$work/$1x$2.npy" "$1" "$2" <<'END'
import random
import struct
import sys

path, rows, columns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(1)
header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
header += ' ' * (63 - (10 + len(header)) % 64) + '\n'
with open(path, 'wb') as out:
    out.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode())
    out.write(struct.pack(f'<{rows * columns}f', *(random.random() for _ in range(rows * columns))))
END
    echo "$work/$1x$2.npy"
}

# row NAME FORMULA: @ in it is the length; a line of the table.
row() {
    name=$1 formula=$2
    shift 2
    printf '| %s ' "$name"
    for length in $lengths; do
        points=$(file 2 "$length")
        text=$(echo "$formula" | sed "s/@/$length/g")
        own=$(seconds "x=Vi($length); y=Vj($length); $text" x="$points" y="$points")
        eval "[ -n \"\${pair_$length:-}\" ]" || eval "pair_$length=$own"
        printf '| %s | %s ' "$own" "$(eval "echo \"$own \$pair_$length\"" | awk '{ printf "%.2f", $1 / $2 }')"
    done
    echo '|'
}

lengths=$*
printf '| CPU seconds '
for length in $lengths; do printf '| %s | ratio ' "$length"; done
printf '|\n|---'
for length in $lengths; do printf '|---|---'; done
echo '|'
row 'pair sum' 'Sum_j(SqDist(x,y))'
row Norm2 'Norm2(x)'
row SqNorm2 'SqNorm2(x)'
row Normalize 'Normalize(x)'
row Cosine 'Sum_j(Cosine(x,y))'
row 'cosine of rows' 'Cosine(x,x*x)'
row 'map' 'Exp(-Square(x)/2)*Cos(x)'
row 'sum of vectors' 'Sum_j(Exp(-SqDist(x,y))*(x-y))'
row 'largest of each' 'Max_j(x*y)'
row 'gradient' 'Grad(Sum_j(Exp(-SqDist(x,y))),x,1)'
row 'OneHot' 'Sum_j(OneHot(Elem(y,0)*@,@))'
row 'OneHot, product' 'Sum_j(OneHot(Elem(y,0)*@,@)*x)'
row 'TensorProd of OneHot' 'Sum_j(TensorProd(OneHot(Elem(y,0)*@,@),Extract(x,0,2)))'
row 'matrix times vector' 'MatVecMult(TensorProd(x,Extract(x,0,2)),Extract(x,0,2))'
row 'SoftDTW of 32 and 32' 'Sum_j(SoftDTW_SqDist(Extract(x,0,32),Extract(y,0,32),0.1))'
