#!/bin/sh
# fuzz.sh [SECONDS [OPTION...]]: feeds formula texts to parser, derivatives, printer and planner under AddressSanitizer and
# UndefinedBehaviorSanitizer (tests/formula/fuzz_text.c). Needs clang with libFuzzer. Builds in build-fuzz/, where the corpus stays;
# seeds are the formulas of tests/conformance and tests/bad. What is found lies in build-fuzz/ as crash-*, timeout-*, oom-*.
#
#     sh tools/fuzz.sh 600            ten minutes
#     sh tools/fuzz.sh 3600 -jobs=8   an hour on eight cores; options are libFuzzer's
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
cc=${CC:-clang}
out=build-fuzz
mkdir -p "$out/corpus" "$out/seeds"

python3 tools/embed.py "$out/cl_files.c" cl/*.cl cl/profiles.txt
for file in tests/conformance/*.case tests/bad/*.txt; do
    name=$out/seeds/$(basename "$file")
    case $file in
        *.case) sed -n 's/^formula /A/p' "$file" >"$name" ;;
        *) sed -n '1s/^/A/p' "$file" >"$name" ;;
    esac
done
grep -v '^#' tests/formulas.txt | sed 's/^[^:]*:/A/' | split -l 1 - "$out/seeds/formula-"

# Without the tracing of compares, which took half of the time: the dictionary has the names that they compare with.
# shellcheck disable=SC2046,SC2086 # flags and files are words
$cc -std=c11 -g -O2 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-coverage=trace-cmp \
    -fno-sanitize-recover=undefined \
    -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -D_XOPEN_SOURCE=700 -Isrc -Iinclude \
    tests/formula/fuzz_text.c src/base/*.c src/formula/*.c src/plan/*.c "$out/cl_files.c" -lxxhash -lm -lpthread -o "$out/fuzz_text"
cd "$out"
exec ./fuzz_text -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=4096 -dict=../tests/formula/fuzz.dict "$@" corpus seeds
