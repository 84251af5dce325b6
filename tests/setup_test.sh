#!/bin/sh
# setup_test.sh: tools/setup.sh, demo.sh and test.sh as dry runs on pretended machines.
#
#     sh tests/setup_test.sh
#
# A machine is a directory of programs, the only one in PATH: the few that the scripts use and what a test adds to them,
# among them package managers that note how they were called. Prints a line per test, then `N passed, N failed`.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
passed=0
failed=0
shell=$(command -v sh)

# machine PROGRAM...: a new machine with these programs, which succeed, and no driver; the user is root.
machine() {
    rm -rf "${dir:?}/bin" "$dir/icd"
    mkdir "$dir/bin" "$dir/icd"
    for tool in sh env sed tr grep cat dirname mkdir rm; do
        ln -s "$(command -v "$tool")" "$dir/bin/$tool"
    done
    program id 'echo 0'
    for tool in "$@"; do
        program "$tool" 'exit 0'
    done
}

# program NAME TEXT: adds a program, which notes its words in calls.
program() {
    printf '#!%s\n[ %s = id ] || echo "%s $*" >>"%s/calls"\n%s\n' "$shell" "$1" "$1" "$dir" "$2" >"$dir/bin/$1"
    chmod +x "$dir/bin/$1"
}

# script DRY NAME ARGUMENT...: runs a script of tools/ there.
script() {
    dry=$1 name=$2
    shift 2
    : >"$dir/calls"
    PATH="$dir/bin" QUERN_SETUP_DRY_RUN=$dry QUERN_ICD_VENDORS="$dir/icd" "$shell" "$root/tools/$name" "$@" \
        >"$dir/out" 2>&1 </dev/null
    code=$?
}

# packages DRY KIND: setup_packages alone.
packages() {
    : >"$dir/calls"
    PATH="$dir/bin" QUERN_SETUP_DRY_RUN=$1 QUERN_ICD_VENDORS="$dir/icd" "$shell" -euc \
        "script=setup; . '$root/tools/setup.sh'; setup_packages $2" >"$dir/out" 2>&1 </dev/null
    code=$?
}

# expect NAME CODE PATTERN...: the last run's exit code, and lines that match; a pattern after ! must match none.
expect() {
    name=$1 fault=
    [ "$code" -eq "$2" ] || fault="exit code $code, not $2;"
    shift 2
    while [ $# -gt 0 ]; do
        if [ "$1" = ! ]; then
            shift
            ! grep -q -e "$1" "$dir/out" "$dir/calls" || fault="$fault a line matches '$1';"
        else
            grep -q -e "$1" "$dir/out" "$dir/calls" || fault="$fault no line matches '$1';"
        fi
        shift
    done
    if [ -z "$fault" ]; then
        passed=$((passed + 1))
        echo "ok - $name"
    else
        failed=$((failed + 1))
        echo "not ok - $name: $fault"
        sed 's/^/#   /' "$dir/out"
    fi
}

# equipped PROGRAM...: a machine with all programs and libraries, but no driver, that are needed, and these.
equipped() {
    machine cc meson ninja python3 pkg-config "$@"
}

# ---- each package manager ----------------------------------------------------------------------------------------

machine apt-get
packages 1 demo
expect 'apt' 0 '^+ apt-get -qq .* update$' 'DEBIAN_FRONTEND=noninteractive apt-get .*install.* --no-install-recommends' \
    ' gcc libc6-dev meson ninja-build python3 pkg-config ocl-icd-opencl-dev opencl-headers pocl-opencl-icd libxxhash-dev' \
    ' libjansson-dev libpng-dev' ! cmocka ! sudo ! '^apt-get'
packages 1 test
expect 'apt, for tests' 0 ' libpng-dev libcmocka-dev$' ' mesa-opencl-icd oclgrind clang-15 ' ! libclc-16

machine dnf
packages 1 test
expect 'dnf' 0 '^+ dnf install -y --setopt=install_weak_deps=False gcc meson .*pkgconfig(OpenCL) .* pkgconfig(cmocka)$'
machine pacman
packages 1 test
expect 'pacman' 0 '^+ pacman -S --noconfirm --needed gcc meson .* pocl xxhash jansson libpng cmocka$'
machine zypper
packages 1 test
expect 'zypper' 0 '^+ zypper --non-interactive install --no-recommends gcc .*pkgconfig(libxxhash)'
machine brew
program id 'echo 1000'
packages 1 test
expect 'brew' 0 '^+ brew install meson ninja python3 pkgconf ' ! sudo ! ' -$' ! ' - '

# ---- who may install ---------------------------------------------------------------------------------------------

machine apt-get sudo
program id 'echo 1000'
packages 1 demo
expect 'sudo for users, who cannot be asked' 0 '^+ sudo -n apt-get .*update' '^+ sudo -n env DEBIAN_FRONTEND'
machine apt-get
program id 'echo 1000'
packages '' demo
expect 'no sudo' 1 'only an administrator can install .* ask for: .*pocl-opencl-icd' ! '^apt-get'
machine
packages '' demo
expect 'no package manager' 1 'install these by hand, then run this again: cc meson ninja .*PoCL'

# ---- what is there already ---------------------------------------------------------------------------------------

equipped apt-get oclgrind clang ocloc
echo libpocl.so.2 >"$dir/icd/pocl.icd"
printf libRusticlOpenCL.so.1 >"$dir/icd/rusticl.icd"
packages '' demo
expect 'nothing is missing' 0 'all that is needed is there' ! 'missing' ! '^apt-get'
equipped
echo libpocl.so.2 >"$dir/icd/pocl.icd"
packages '' demo
expect 'nothing is missing, no package manager' 0 'all that is needed is there'
equipped apt-get
packages 1 demo
expect 'only the driver is missing' 0 'install.* --no-remove pocl-opencl-icd$'
equipped apt-get
echo libpocl.so.2 >"$dir/icd/pocl.icd"
program pkg-config 'case $* in *jansson*) exit 1 ;; esac'
packages 1 demo
expect 'only a library is missing' 0 'install.* --no-remove libjansson-dev$'
program pkg-config 'exit 0'
program cc 'exit 1'
packages 1 demo
expect 'a compiler that does not work' 0 'install.* --no-remove gcc libc6-dev ocl-icd-opencl-dev opencl-headers$'

# ---- when installing fails ---------------------------------------------------------------------------------------

equipped apt-get
program apt-get 'exit 100'
packages '' demo
expect 'required packages cannot be had' 1 'note: the package lists could not be fetched' \
    'setup: apt could not install what is missing (pocl-opencl-icd)'
equipped apt-get
packages '' demo
expect 'installed, yet not there' 1 'still missing after the installation, to be installed by hand: PoCL'
equipped apt-get
echo libpocl.so.2 >"$dir/icd/pocl.icd"
program apt-get 'case $* in *oclgrind*) exit 100 ;; esac'
packages '' test
expect 'optional packages cannot be had' 0 '^apt-get .* mesa-opencl-icd oclgrind' '^apt-get .* --no-remove mesa-opencl-icd$' \
    'note: oclgrind could not be installed' 'note: tests that need one of these are skipped: .*oclgrind' \
    ! 'note: mesa-opencl-icd could'

# ---- the scripts -------------------------------------------------------------------------------------------------

equipped apt-get
script 1 demo.sh
expect 'demo.sh' 0 'install.* pocl-opencl-icd$' '01_city_density$' ! '^meson' ! '^apt-get'
script 1 test.sh
expect 'test.sh' 0 '^+ meson test -C build ' '^+ meson test -C build-asan .*--suite sanitize'
script 1 test.sh --no-sanitize
expect 'test.sh --no-sanitize' 0 '^+ meson test -C build ' ! build-asan
script 1 test.sh --sanitize
expect 'test.sh --sanitize' 0 ! 'meson test -C build ' '^+ meson test -C build-asan'
script 1 test.sh --fast
expect 'test.sh with an unknown word' 1 "unknown argument '--fast'"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
