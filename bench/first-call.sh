#!/bin/sh
# first-call.sh BUILD: wall time of a first call in a new process, on 100 x 100 points, against a bare OpenCL program.
#
#   cold   every cache directory empty: formula or kernel text to result
#   warm   the same again, caches filled
#   own    quern alone, from its own cache (QUERN_CACHE=on), the driver's being empty
#
# Whole processes are timed, quern and bare in turn, ROUNDS times (odd; 5 unless it is set); medians are printed, then
#   own S s        quern's time from its own cache in seconds
#   cold ratio X   quern's cold time / the bare program's (lower is better)
#   warm S s       quern's warm time in seconds
# Both use PoCL. Everything is kept in a temporary directory, which is removed at the end. Exit status 2: wrong usage.
set -eu

ROUNDS=${ROUNDS:-5}
FORMULA='x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'

fail() {
    echo "first-call.sh: $1" >&2
    exit 2
}

if [ $# -ne 1 ] || [ ! -d "$1" ]; then fail "usage: first-call.sh BUILD, where BUILD is the build directory"; fi
build=$(cd "$1" && pwd)
bare=$build/bench/first-call
[ -x "$bare" ] || fail "$bare is missing: build the project first"
quern=
for place in "$build/quern" "$build/src/cli/quern" "$build/src/quern" "$build/tools/quern"; do
    if [ -f "$place" ] && [ -x "$place" ]; then quern=$place; break; fi
done
[ -n "$quern" ] || fail "no quern executable in $build: build the project first"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
"$bare" --inputs "$work"
cd "$work"

# use_caches NAME: the cache directories that the next processes see, made if need be.
use_caches() {
    export POCL_CACHE_DIR="$work/$1/pocl" QUERN_CACHE_DIR="$work/$1/quern"
    mkdir -p "$POCL_CACHE_DIR" "$QUERN_CACHE_DIR"
    chmod 700 "$QUERN_CACHE_DIR"
}

time_quern() {
    "$bare" --time "$quern" eval "$FORMULA" x=x.npy y=y.npy b=b.npy -o a.npy
}

time_bare() {
    "$bare" --time "$bare"
}

# median FILE: of an odd number of lines.
median() {
    sort -n "$1" | sed -n "$(((ROUNDS + 1) / 2))p"
}

unset QUERN_CACHE
export QUERN_DEVICE="${QUERN_DEVICE:-Portable}" FIRST_CALL_PLATFORM="${FIRST_CALL_PLATFORM:-Portable}"

round=1
while [ "$round" -le "$ROUNDS" ]; do
    use_caches "quern-$round"
    time_quern >>quern-cold
    use_caches "bare-$round"
    time_bare >>bare-cold
    round=$((round + 1))
done
round=1
while [ "$round" -le "$ROUNDS" ]; do
    use_caches quern-1
    time_quern >>quern-warm
    use_caches bare-1
    time_bare >>bare-warm
    round=$((round + 1))
done

export QUERN_CACHE=on
use_caches own-0
time_quern >/dev/null
for round in $(seq "$ROUNDS"); do
    use_caches "own-$round"
    export QUERN_CACHE_DIR="$work/own-0/quern"
    time_quern >>quern-own
done

printf '%-8s %8s %8s   seconds, medians of %d\n' program cold warm "$ROUNDS"
printf '%-8s %8s %8s\n' quern "$(median quern-cold)" "$(median quern-warm)"
printf '%-8s %8s %8s\n' bare "$(median bare-cold)" "$(median bare-warm)"
echo "own $(median quern-own) s"
awk -v q="$(median quern-cold)" -v b="$(median bare-cold)" 'BEGIN { printf "cold ratio %.3f\n", q / b }'
echo "warm $(median quern-warm) s"
