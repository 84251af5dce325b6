#!/bin/sh
# setup_test.sh: tools/setup.sh, demo.sh and test.sh as dry runs on pretended machines.
#
#     sh tests/project/setup_test.sh
#
# A machine is a directory of programs, the only one in PATH: the few that the scripts use and what a test adds to them,
# among them package managers that note how they were called. Prints a line per test, then `N passed, N failed`.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
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
    for tool in sh env sed tr grep cat dirname mkdir rm awk; do
        ln -s "$(command -v "$tool")" "$dir/bin/$tool"
    done
    program id 'echo 0'
    program ldconfig 'echo "libpocl.so.2 (libc6) => /lib/libpocl.so.2"; echo "libRusticlOpenCL.so.1 (libc6) => /lib/x"'
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

# report NAME FAULT: one test's line; an empty FAULT is a pass.
report() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
        echo "ok - $1"
    else
        failed=$((failed + 1))
        echo "not ok - $1: $2"
        sed 's/^/#   /' "$dir/out"
    fi
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
    report "$name" "$fault"
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
expect 'apt, for tests' 0 ' libpng-dev libcmocka-dev$' ' mesa-opencl-icd oclgrind clang-15 clang-format-14 ' ' libmpfr-dev liblapack-dev g++ cmake make$' ! libclc-16

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
for library in libpocl-gone.so.2 /nonexistent/libpocl.so.2; do
    echo "$library" >"$dir/icd/pocl.icd"
    packages 1 demo
    expect "a driver was removed but is still registered: $library" 0 'install.* --no-remove pocl-opencl-icd$'
done
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
expect 'demo.sh' 0 'install.* pocl-opencl-icd$' '01_city_density world.png 720$' ! '^meson' ! '^apt-get'
script 1 test.sh
expect 'test.sh' 0 '^+ meson test -C build ' '^+ meson test -C build-asan .*--suite sanitize'
script 1 test.sh --no-sanitize
expect 'test.sh --no-sanitize' 0 '^+ meson test -C build ' ! build-asan
script 1 test.sh --sanitize
expect 'test.sh --sanitize' 0 ! 'meson test -C build ' '^+ meson test -C build-asan'
script 1 test.sh --night
expect 'test.sh --night' 0 '^+ meson test -C build .*--suite night$' ! build-asan
script 1 test.sh --fast
expect 'test.sh with an unknown word' 1 "unknown argument '--fast'"
script 1 test.sh --suite base
expect 'test.sh --suite' 0 '^+ meson test -C build .*--suite base$' ! build-asan
script 1 test.sh --suite
expect 'test.sh --suite without a name' 1 '--suite needs the name of one'
script 1 test.sh --sanitize --no-sanitize
expect 'test.sh with nothing to do' 1 'leaves nothing'
script 1 demo.sh new.png 72
expect 'demo.sh with a picture' 0 '01_city_density /.*/new.png 72$' 'look at /.*/new.png$'
script 1 demo.sh new.png 72 more
expect 'demo.sh with a word too many' 1 "a word too many: 'more'"
script 1 demo.sh --fast
expect 'demo.sh with an unknown option' 1 "unknown option '--fast'"
for name in demo.sh test.sh; do
    script '' $name --help
    expect "$name --help" 0 "^    sh tools/$name  " ! '^#' ! '^set -eu' ! '^+ '
    report "$name --help calls nothing" "$(cat "$dir/calls")"
done

equipped apt-get
script '' demo.sh --no-install
expect 'demo.sh --no-install' 1 'missing, and not to be installed: PoCL; with apt that is: pocl-opencl-icd' ! '^apt-get' ! '^meson'
echo libpocl.so.2 >"$dir/icd/pocl.icd"
: >"$dir/calls"
install=no packages '' test
expect 'what is optional is not installed either' 0 'tests that need one of these are skipped: .*oclgrind' ! '^apt-get'

# ---- configuring -------------------------------------------------------------------------------------------------

# A build directory is what Meson leaves: coredata.dat, build.ninja, and its own place in meson-info.json.
tree() {
    rm -rf "$dir/tree"
    mkdir -p "$dir/tree/tools" "$dir/tree/build/meson-private" "$dir/tree/build/meson-info"
    cp "$root/tools/setup.sh" "$dir/tree/tools"
    : >"$dir/tree/build/meson-private/coredata.dat"
    : >"$dir/tree/build/build.ninja"
    echo "{\"directories\": {\"source\": \"$1\"}}" >"$dir/tree/build/meson-info/meson-info.json"
}

# builds OPTION...: setup_build in that tree, with the real python3.
builds() {
    : >"$dir/calls"
    (cd "$dir/tree" && PATH="$dir/bin" QUERN_SETUP_DRY_RUN='' QUERN_ICD_VENDORS="$dir/icd" "$shell" -euc \
        'script=setup; . tools/setup.sh; setup_build build "$@"' - "$@") >"$dir/out" 2>&1 </dev/null
    code=$?
}

equipped
ln -sf "$(python3 -c 'import sys; print(sys.executable)')" "$dir/bin/python3"
here=$(cd "$dir" && pwd -P)/tree
tree "$here"
rm -r "$dir/tree/build"/*
builds -Dbuildtype=plain
expect 'a new directory is configured' 0 '^meson setup build -Dbuildtype=plain$' '^meson compile' ! wipe ! clearcache
tree "$here"
builds
expect 'one that was configured by hand is configured anew' 0 'what is installed has changed' \
    '^meson configure --clearcache build$' '^meson setup --reconfigure build$' ! wipe
builds
expect 'once' 0 '^meson compile -C build$' ! 'meson setup' ! 'meson configure'
program pkg-config 'case $* in *cmocka*) exit 1 ;; esac'
builds
expect 'something went' 0 'what is installed has changed' '^meson setup --reconfigure build$'
program pkg-config 'exit 0'
builds
expect 'something came' 0 'what is installed has changed' '^meson setup --reconfigure build$'
builds -Dtool=disabled
expect 'other options' 0 '^meson setup --reconfigure build -Dtool=disabled$'
program meson 'case $* in *--reconfigure*) exit 1 ;; esac'
builds
expect 'what cannot be configured anew is wiped' 0 '^meson setup --wipe build$' '^meson compile'
program meson 'case $* in setup*) exit 1 ;; esac'
builds -Dtool=disabled
expect 'or told' 1 'setup: build/ could not be configured: see build/meson-logs' ! '^meson compile'
builds -Dtool=disabled
expect 'every time' 1 'setup: build/ could not be configured'
program meson 'exit 0'
tree /elsewhere
builds
expect 'a tree that was moved' 0 'was made in another place' '^meson setup --wipe build$' ! clearcache
tree "$here"
rm "$dir/tree/build/build.ninja"
builds
expect 'a directory that was not finished' 0 'or not finished' '^meson setup --wipe build$'

# ---- two at once -------------------------------------------------------------------------------------------------

tree "$here"
(
    cd "$dir/tree" && exec 9<tools/setup.sh && python3 -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    : >held
    until grep -q 'waiting' "$dir/out"; do sleep 0.1; done
    ! grep -q '^meson' "$dir/calls" || : >"$dir/tree/early"
) &
until [ -e "$dir/tree/held" ]; do sleep 0.1; done
builds
wait
expect 'the second run waits' 0 'another run of these scripts is building here; waiting' '^meson compile'
report 'and begins when the first has ended' "$([ ! -e "$dir/tree/early" ] || echo ' it did not wait')"
builds
expect 'the lock ends with its holder' 0 ! 'another run'

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
