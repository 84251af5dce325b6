#!/bin/sh
# test.sh: the tests, from a fresh machine, in one command:
#
#     sh tools/test.sh                 all that continuous integration runs
#     sh tools/test.sh --no-sanitize   without the second build, which looks for memory errors
#     sh tools/test.sh --sanitize      that build alone
#     sh tools/test.sh --suite NAME    without the second build, the tests of one suite (base, formula, plan, ...)
#     sh tools/test.sh --night         the tests that the others leave out, without the second build
#     sh tools/test.sh --no-install    with any of these: stops, with a list, where something that is needed is missing
#
# Installs what is missing (with apt, dnf, pacman, zypper or brew; sudo only if you are not root), builds quern in build/
# and runs the test suites, then builds once more in build-asan/ with AddressSanitizer and UndefinedBehaviorSanitizer and
# runs the suite `sanitize`. What only some tests need (a second OpenCL driver, oclgrind, compilers for GPUs) is
# installed if it can be had; without it those tests are skipped and say so. The last line is
# `N passed, N failed, N skipped`; the exit status is 0 when nothing failed. Can be run again at any time.
#
# The tests see one OpenCL driver each and keep their caches in the build directory: see tests/meson.build. Their time
# limits are multiplied by how slow the machine is when they begin.
set -eu
# shellcheck disable=SC2034 # used by setup.sh
script=test.sh install=yes
cd "$(dirname "$0")/.."
# shellcheck source=tools/setup.sh
. tools/setup.sh

plain=yes sanitize=yes suite='' night=''
while [ $# -gt 0 ]; do
    case $1 in
        --help) show_help && exit 0 ;;
        --no-install) install=no ;;
        --night) night=yes sanitize= ;;
        --no-sanitize) sanitize= ;;
        --sanitize) plain= ;;
        --suite)
            [ $# -gt 1 ] || stop "--suite needs the name of one; see sh tools/test.sh --help"
            suite=$2 sanitize=
            shift
            ;;
        *) stop "unknown argument '$1'; see sh tools/test.sh --help" ;;
    esac
    shift
done
[ -n "$plain$sanitize" ] || stop "--sanitize is that build alone, which leaves nothing beside the other options"

# isolate DIR: makes the drivers' directories anew, as drivers may have come or gone, and hides the user's own choices.
isolate() {
    dry_run && return 0
    sh tools/icd.sh "$PWD/$1" >/dev/null || stop "the drivers' directories could not be made in $1/icd"
    unset OCL_ICD_VENDORS OCL_ICD_FILENAMES OPENCL_LAYERS QUERN_DEVICE
}

# Four times what they would be by the machine's speed now, since other work may come.
set_limits() {
    slowness=$(python3 tools/slowness.py 2>/dev/null) || slowness=
    limits=$(echo "${slowness:-4}" | awk '{ print int(4 * $1) }')
    say "time limits are multiplied by $limits: the machine is now ${slowness:-perhaps 4} times as slow as the one they are for"
}

# run_tests DIR OPTION...: Meson's exit status counts failed programs; what failed is told by count_tests.py.
run_tests() {
    dir=$1
    shift
    dry_run || rm -f "$dir"/meson-logs/testlog*
    run meson test -C "$dir" --no-rebuild --timeout-multiplier "$limits" "$@" </dev/null ||
        say "meson test ended with exit status $?"
}

setup_packages test
hold 8 tools/test.sh 'running the tests'
logs='' limits=4

if [ -n "$plain" ]; then
    setup_build build
    isolate build
    dry_run || set_limits
    say "the tests"
    if [ -n "$night" ]; then run_tests build --suite night
    else run_tests build --no-suite night ${suite:+--suite "$suite"}
    fi
    logs=build
fi

# PoCL's own compiler allocates much that it never frees, and gcc's leak checker cannot look at it. So what is checked for
# leaks must compile nothing: the programs are in the caches of the first build, whose tests are the same, or a run that is
# not checked puts them there.
if [ -n "$sanitize" ]; then
    setup_build build-asan -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dexamples=disabled -Dbench=disabled
    isolate build-asan
    dry_run || { mkdir -p build/cache && rm -rf build-asan/cache && ln -s ../build/cache build-asan/cache; }
    dry_run || set_limits
    asan=allocator_may_return_null=1
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 LSAN_OPTIONS=suppressions=$PWD/tests/support/leaks.txt
    if [ -z "$plain" ]; then
        say "the suite 'sanitize', to fill the cache"
        ASAN_OPTIONS=$asan:detect_leaks=0 run_tests build-asan --suite sanitize --logbase warmlog
    fi
    say "the suite 'sanitize', checked for leaks"
    ASAN_OPTIONS=$asan:detect_leaks=1 run_tests build-asan --suite sanitize
    logs="$logs sanitized=build-asan"
fi

dry_run && exit 0
# shellcheck disable=SC2086 # logs are words
exec python3 tools/count_tests.py $logs
