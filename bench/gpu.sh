#!/bin/sh
# gpu.sh: quern built, tested and measured on a machine with an NVIDIA GPU, which may have no network:
#
#     sh bench/gpu.sh pack                    where there is a network and apt: packages as files, into .gpu-packages/
#     sh bench/gpu.sh run [OUTDIR]            on the machine with the GPU; results into OUTDIR (default: gpu-results)
#     sh bench/gpu.sh run --rehearse [OUTDIR] the same on a CPU by PoCL, with small sizes, to see that the steps work
#     sh bench/gpu.sh run --only measure ...  or `check`: one half of the steps, where there is no time for both
#
# `run` installs nothing: it unpacks .gpu-packages/, if there is one, into build-gpu/prefix and finds the driver's OpenCL
# library by itself. It expects a C compiler and Python there. Each step has its time, all of them together GPU_SECONDS
# (default 540); a step that fails or finds no time is recorded with its reason, and the next one follows. OUTDIR gets
#
#     summary.md   device, driver, clocks, a table of medians, and how each step ended
#     bench.json   figures of all cases; large.json, million.json, small.json: on arrays of the device; matrix-0.json: g128 without matrix units; the other .json: with peers
#     code.txt     what the driver's compiler makes of each case: registers, spills, instructions of a pair
#     tests.txt, log.txt   the end of what each test printed; everything
#
# The exit status is 0 if quern was built and measured. What was built stays in build-gpu/ and serves the next run.
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD packages=$PWD/.gpu-packages work=$PWD/build-gpu

say() {
    echo "gpu.sh: $*"
}

stop() {
    echo "gpu.sh: $*" >&2
    exit 1
}

# ---- pack --------------------------------------------------------------------------------------------------------

# Packages of Debian and Ubuntu, a line each; "maybe": without it only some steps are left out.
package_names() {
    cat <<'END'
must ocl-icd-libopencl1
must ocl-icd-opencl-dev
must opencl-c-headers
must meson
must ninja-build
must pkgconf
must pkgconf-bin
must libpkgconf3
must libxxhash-dev
must libxxhash0
must libjansson-dev
must libjansson4
maybe libcmocka-dev
maybe libcmocka0
maybe libclblast-dev
maybe libclblast1
END
}

# Of PyPI, for the peer keops-cuda; PyTorch is too large to bring.
python_names="pykeops keopscore pybind11"

pack() {
    command -v apt-get >/dev/null || stop "pack needs apt-get; put the .deb files of these into .gpu-packages/ by hand:" \
        "$(package_names | cut -d ' ' -f 2 | tr '\n' ' ')"
    rm -rf "$packages"
    mkdir -p "$packages"
    package_names | (
        cd "$packages" || exit 1
        while read -r need name; do
            if apt-get -qq -o Acquire::Retries=3 -o APT::Sandbox::User=root download "$name" </dev/null; then continue; fi
            if [ "$need" = must ]; then stop "$name could not be downloaded; try: apt-get update"; fi
            say "note: $name could not be downloaded; what needs it will be left out"
        done
        for file in *%* *~* *+*; do # names that can be copied anywhere
            [ ! -e "$file" ] || mv "$file" "$(echo "$file" | tr '%~+' '___')"
        done
    ) || exit 1
    # shellcheck disable=SC2086
    python3 -m pip download --quiet --no-deps --dest "$packages" $python_names ||
        say "note: $python_names could not be downloaded; KeOps will be left out where it is not installed"
    say "$(find "$packages" -name '*.deb' | wc -l) packages, $(du -sk "$packages" | cut -f 1) KiB, in $packages"
}

# ---- run: where things are ---------------------------------------------------------------------------------------

unpack() {
    prefix=$work/prefix
    rm -rf "$prefix"
    mkdir -p "$prefix"
    for file in "$packages"/*.deb; do
        [ -e "$file" ] || { say "no .gpu-packages/: using what is installed"; return 0; }
        dpkg -x "$file" "$prefix" || stop "$file could not be unpacked"
    done
    mkdir -p "$prefix/python"
    for file in "$packages"/*.tar.gz; do [ ! -e "$file" ] || tar -xzf "$file" -C "$prefix/python" --strip-components 1; done
    for file in "$packages"/*.whl; do [ ! -e "$file" ] || python3 -m zipfile -e "$file" "$prefix/python"; done
    triplet=$(basename "$(dirname "$(find "$prefix/usr/lib" -name libOpenCL.so.1 | head -n 1)")")
    export PATH="$prefix/usr/bin:$PATH" PYTHONPATH="$prefix/usr/lib/python3/dist-packages:$prefix/python${PYTHONPATH:+:$PYTHONPATH}"
    export PKG_CONFIG_SYSROOT_DIR="$prefix"
    export PKG_CONFIG_LIBDIR="$prefix/usr/lib/$triplet/pkgconfig:$prefix/usr/share/pkgconfig"
    export C_INCLUDE_PATH="$prefix/usr/include" LIBRARY_PATH="$prefix/usr/lib/$triplet"
    export LD_LIBRARY_PATH="$prefix/usr/lib/$triplet${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}


nvidia_library() {
    { ldconfig -p 2>/dev/null | sed -n 's/.*=> \(.*libnvidia-opencl\.so\.1\)$/\1/p'
      find /usr/local/nvidia /usr/lib /usr/lib64 /opt /usr/local/lib -maxdepth 4 -name 'libnvidia-opencl.so*' 2>/dev/null
    } | head -n 1
}

# A directory with one .icd file, so that the loader sees the driver that is meant.
choose_driver() {
    rm -rf "$work/icd"
    mkdir -p "$work/icd"
    if [ -n "$rehearse" ]; then library=$(cat /etc/OpenCL/vendors/pocl*.icd 2>/dev/null | head -n 1)
    else library=$(nvidia_library); fi
    [ -n "$library" ] || stop "there is no OpenCL driver here: libnvidia-opencl.so.1 belongs to NVIDIA's driver" \
        "${rehearse:+(for a rehearsal: pocl-opencl-icd)}"
    say "OpenCL driver: $library"
    echo "$library" >"$work/icd/driver.icd"
    case $library in /*) LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$(dirname "$library")" ;; esac
    export LD_LIBRARY_PATH OCL_ICD_VENDORS="$work/icd" QUERN_CACHE_DIR="$work/cache" QUERN_TEST_DIR="$root/tests"
    unset QUERN_DEVICE OCL_ICD_FILENAMES OPENCL_LAYERS
}

# ---- run: steps --------------------------------------------------------------------------------------------------

# step NAME SECONDS COMMAND...: what it prints goes to OUT/log.txt, its end to steps.
step() {
    name=$1 limit=$2
    shift 2
    begin=$(date +%s)
    left=$((deadline - begin))
    if [ "$left" -lt 5 ]; then
        echo "| $name | left out: no time | 0 |" >>"$work/steps"
        return 1
    fi
    if [ "$left" -lt "$limit" ]; then limit=$left; fi
    say "$name, at most $limit s"
    echo "==== $name: $*" >>"$out/log.txt"
    timeout -k 5 "$limit" "$@" >"$work/printed" 2>&1 </dev/null
    status=$?
    cat "$work/printed" >>"$out/log.txt"
    case $status in
        0) ended='done' ;;
        77) ended="left out: $(tail -n 1 "$work/printed")" ;;
        124 | 137) ended="stopped after $limit s" ;;
        *) ended="failed ($status): $(grep -v '^ *$' "$work/printed" | tail -n 1)" ;;
    esac
    echo "| $name | $(echo "$ended" | cut -c 1-300 | tr '|' '/') | $(($(date +%s) - begin)) |" >>"$work/steps"
    return $status
}

# A test: its end is kept apart.
test_step() {
    step "$@"
    { echo "==== $1"; tail -n 5 "$work/printed"; } >>"$out/tests.txt"
}

build() {
    [ -e "$work/quern/build.ninja" ] ||
        step configure 60 python3 "$meson_program" setup "$work/quern" -Dbuildtype=release -Dexamples=disabled
    step compile 240 python3 "$meson_program" compile -C "$work/quern"
}

# The program itself, for `timeout`, which runs no functions of the shell.
find_meson() {
    meson_program=$work/prefix/usr/bin/meson
    [ -e "$meson_program" ] || meson_program=$(command -v meson) || stop "there is no meson; run: sh bench/gpu.sh pack"
}

describe_device() {
    nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.limit \
        --format=csv 2>/dev/null || echo "no nvidia-smi"
    grep -m 1 'model name' /proc/cpuinfo
    date -u
}

all_cases="g3 g3-grad g3-lse g3-f64 g128 multi64 knn3 knn50 attention energy laplacian small"
large_cases="g3 g3-grad g3-lse g3-f64 g128 multi64 knn3 knn50 attention energy laplacian"

measure() {
    bench=$work/quern/bench/quern-bench
    # shellcheck disable=SC2086 # cases are words
    step "bench" 150 "$bench" $all_cases --against none --repeat "$repeat" ${small:+--n "$small"} --json "$out/bench.json"
    measured=$?
    # shellcheck disable=SC2086
    [ -n "$rehearse" ] || {
        step "bench, large, device arrays" 120 "$bench" $large_cases --arrays device --against none --n large --repeat 3 \
            --json "$out/large.json"
        step "bench, large, no matrix units" 30 "$bench" g128 --arrays device --against none --n large --repeat 3 \
            --profile matrix=0 --json "$out/matrix-0.json"
        step "bench, g3 at a million" 30 "$bench" g3 --arrays device --against none --n 1000000 --repeat 3 --json "$out/million.json"
    }
    step "bench, small, device arrays" 20 "$bench" small --arrays device --against none --repeat "$repeat" --json "$out/small.json"
    return $measured
}

compare() {
    if grep -qs avx512f /proc/cpuinfo; then
        step "bench beside limit" 60 "$bench" g3 --against limit --repeat 7 ${small:+--n "$small"} --json "$out/limit.json"
    else echo "| bench beside limit | left out: this processor has no AVX-512 | 0 |" >>"$work/steps"; fi
    if [ -x "$work/quern/bench/peer-clblast" ]; then
        step "bench beside CLBlast" 60 "$bench" g3 --against clblast --repeat 7 --n "${small:-10000}" --json "$out/clblast.json"
    else echo "| bench beside CLBlast | left out: built without CLBlast | 0 |" >>"$work/steps"; fi
    for peer in torch keops flashlib; do
        case $peer in
            torch) needed=torch cases="g3 g3-lse g3-f64 g128 multi64 knn50 attention energy" ;;
            keops) needed=pykeops cases=$large_cases ;;
            flashlib) needed=flashlib cases="knn3 knn50" ;;
        esac
        # shellcheck disable=SC2086
        if "${BENCH_PYTHON:-python3}" -c "import torch, $needed" >/dev/null 2>&1; then
            step "bench beside $peer" 150 "$bench" $cases --arrays device --n large --against $peer-cuda --repeat 3 \
                --json "$out/$peer.json"
        else echo "| bench beside $peer | left out: ${BENCH_PYTHON:-python3} does not have it | 0 |" >>"$work/steps"; fi
    done
}

check() {
    tests=$work/quern/tests
    if [ ! -x "$tests/conformance" ]; then
        echo "| tests | left out: built without cmocka | 0 |" >>"$work/steps"
        return
    fi
    for dtype in f32 f64; do
        test_step "conformance $dtype" 150 "$tests/conformance" tests/conformance --dtype $dtype
    done
    for dtype in f32 f64; do
        test_step "formulas $dtype" 60 "$tests/run_formula" tests/formulas.txt --dtype $dtype --around 128 \
            --size 70x3000 --size 3000x70
    done
    # long vectors: by the matrix units of the device's row, and by tiles
    for settings in '' 'matrix=0'; do
        test_step "contractions${settings:+, $settings}" 60 "$tests/run_formula" tests/mma.txt --dtype f32 \
            --settings "min_k=16 min_rhs=16 $settings" --size 300x601 --size 1501x2000
    done
    for name in test_device test_probe test_run test_numbers test_special test_operator test_arguments test_launch test_apply test_array test_builds \
        test_exact test_mma test_gemm test_select test_values test_special_points test_zero_adjoint; do
        test_step "$name" 40 "$tests/$name"
    done
    test_step test_calls 60 env OPENCL_LAYERS="$tests/libcall_layer.so" "$tests/test_calls"
    test_step "random formulas" 60 "$tests/random_formulas" --count 100
}

# ---- run: the summary --------------------------------------------------------------------------------------------

table_of() {
    [ -s "$1" ] || return 0
    python3 - "$1" <<'END'
import json
import sys

with open(sys.argv[1], encoding='utf-8') as file:
    run = json.load(file)
print(f"\n{run['device']}, driver {run['driver']}, profile {run['profile']}; arrays of the {run['arrays']}, medians of "
      f"{run['repeat']}\n")
print('| case | M | N | ms a call | least | ns a pair | error | peer | ms a call | quern/peer |\n' + '|---' * 10 + '|')
for case in run['cases']:
    own, peer = case['quern'], case.get('peer')
    other = [peer, f"{case[peer]['median_s'] * 1e3:.4f}", f"{case['ratio']:.3f}"] if peer else ['', '', '']
    cells = [case['case'], case['M'], case['N'], f"{own['median_s'] * 1e3:.4f}", f"{own['min_s'] * 1e3:.4f}",
             f"{own['ns_per_pair']:.6f}", f"{own['error']:.1e}", *other]
    print('| ' + ' | '.join(str(cell) for cell in cells) + ' |')
END
}

summarise() {
    {
        printf '# quern on a GPU%s\n\n```\n' "${rehearse:+ (a rehearsal, on a CPU)}"
        cat "$work/device"
        printf -- '---- after the measurements\n'
        describe_device
        printf '```\n'
        for file in bench large million matrix-0 small limit clblast torch keops; do table_of "$out/$file.json"; done
        printf '\n| step | how it ended | s |\n|---|---|---|\n'
        cat "$work/steps"
    } >"$out/summary.md"
    cat "$out/summary.md"
}

run() {
    rehearse='' small='' repeat=21 only=''
    while :; do
        case ${1:-} in
            --rehearse) rehearse=yes small=2000 repeat=3 ;;
            --only) only=${2:-} && shift ;;
            *) break ;;
        esac
        shift
    done
    case $only in '' | measure | check) ;; *) stop "--only takes measure or check, not '$only'" ;; esac
    mkdir -p "${1:-gpu-results}" "$work" || stop "no directory for results"
    out=$(cd "${1:-gpu-results}" && pwd)
    deadline=$(($(date +%s) + ${GPU_SECONDS:-540}))
    for name in bench.json large.json million.json matrix-0.json small.json limit.json clblast.json torch.json keops.json code.txt tests.txt log.txt summary.md; do rm -f "$out/$name"; done
    : >"$work/steps"
    unpack
    choose_driver
    find_meson
    describe_device >"$work/device"
    built=no measured=0
    build && built=yes
    if [ $built = yes ]; then
        step "devices" 30 "$work/quern/src/cli/quern" devices
        if [ "$only" != check ]; then
            measure
            measured=$?
            step "code" 90 python3 bench/gpu_code.py "$work/quern/src/cli/quern" "$out/code.txt"
            compare
        fi
        [ "$only" = measure ] || check
    fi
    summarise
    [ $built = yes ] && [ $measured -eq 0 ]
}

case ${1:-} in
    pack) pack ;;
    run) shift; run "$@" ;;
    *) stop "usage: sh bench/gpu.sh pack, or: sh bench/gpu.sh run [--rehearse] [OUTDIR]" ;;
esac
