#!/bin/sh
# report.sh: measures quern beside its peers and writes docs/performance.md with its plots.
#
#     sh bench/report.sh [--quick] [OUTDIR]   measures; OUTDIR (default: report-results) gets cpu.json,
#                                             performance.md and images/
#     sh bench/report.sh --publish [OUTDIR]   measures nothing: bench/results/cpu.json, docs/performance.md and its
#                                             images from OUTDIR/cpu.json; without OUTDIR from bench/results/cpu.json
#
# A whole run takes 10 minutes at most (REPORT_SECONDS), a quick one, with small sizes, about 2; what finds no time is
# recorded as such. BUILD names the build directory (default: build). BENCH_PYTHON names a Python with the peers
# (peers/setup.sh); a peer that is missing has a row that says so. Plots need gnuplot; without it there are tables only.
# Exit status: 0 measured and written, 1 not, 2 wrong usage.
set -eu
cd "$(dirname "$0")/.."

usage() {
    echo "report.sh: $1; usage: sh bench/report.sh [--quick | --publish] [OUTDIR]" >&2
    exit 2
}

quick='' publish=''
case ${1:-} in
    --quick) quick=--quick && shift ;;
    --publish) publish=yes && shift ;;
    -*) usage "unknown option '$1'" ;;
esac
[ $# -le 1 ] || usage "too many arguments"

if [ -n "$publish" ]; then
    if [ $# -eq 1 ]; then
        [ -s "$1/cpu.json" ] || usage "there is no $1/cpu.json"
        mkdir -p bench/results
        cp "$1/cpu.json" bench/results/cpu.json
    fi
    exec python3 bench/report.py bench/results/cpu.json docs
fi

out=${1:-report-results} build=${BUILD:-build}
for program in bench/quern-bench bench/peak bench/first-call src/cli/quern; do
    if [ ! -x "$build/$program" ]; then
        echo "report.sh: $build/$program is missing: build the project first (meson setup build && ninja -C build)" >&2
        exit 1
    fi
done
mkdir -p "$out"
# shellcheck disable=SC2086 # no word if not quick
python3 bench/report_measure.py $quick "$build" "$out/cpu.json"
python3 bench/report.py "$out/cpu.json" "$out"
