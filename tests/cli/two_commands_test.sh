#!/bin/sh
# two_commands_test.sh: tools/demo.sh and tools/test.sh in one tree, in either order, again, moved, and at once.
#
#     sh tests/cli/two_commands_test.sh
#
# Works on a copy of the tree, without installing anything. A package that has not come yet is one that pkg-config is
# kept from seeing. The map is a small one and the tests are those of the suite `base`. Needs what both scripts need.
# Prints a line per test, then `N passed, N failed`; exits 1 if one failed.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
tree=$dir/tree
passed=0
failed=0
unset LD_LIBRARY_PATH # meson test names the library of the build directory that this test is from
CFLAGS=-O0
export CFLAGS

# hide NAME...: what was hidden is seen again, and these packages are not.
unset PKG_CONFIG_LIBDIR
directories=$(pkg-config --variable pc_path pkg-config | tr : ' ')
hide() {
    rm -rf "$dir/packages"
    mkdir "$dir/packages"
    for directory in $directories; do
        for file in "$directory"/*.pc; do
            [ ! -e "$file" ] || ln -sf "$file" "$dir/packages"
        done
    done
    for name in "$@"; do
        rm -f "$dir/packages/$name.pc"
    done
    PKG_CONFIG_LIBDIR=$dir/packages
    export PKG_CONFIG_LIBDIR
}

# runs NAME PATTERN COMMAND...: success, with a line that matches; a PATTERN after ! must match none.
runs() {
    name=$1 negate=
    shift
    if [ "$1" = ! ]; then
        negate=yes
        shift
    fi
    pattern=$1
    shift
    "$@" >"$dir/out" 2>&1 </dev/null
    code=$?
    fault=
    [ "$code" -eq 0 ] || fault="$fault exit code $code;"
    if grep -q -e "$pattern" "$dir/out"; then
        [ -z "$negate" ] || fault="$fault a line matches '$pattern';"
    else
        [ -n "$negate" ] || fault="$fault no line matches '$pattern';"
    fi
    report "$name" "$fault"
}

# report NAME FAULT: one test's line; an empty FAULT is a pass.
report() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
        echo "ok - $1"
    else
        failed=$((failed + 1))
        echo "not ok - $1:$2"
        tail -n 40 "$dir/out" | sed 's/^/#   /'
    fi
}

demo() {
    rm -f "$dir/$1.png"
    sh "$tree/tools/demo.sh" --no-install "$dir/$1.png" 72 && [ -s "$dir/$1.png" ]
}

tests() {
    sh "$tree/tools/test.sh" --no-install --suite base
}

mkdir "$tree"
(cd "$root" && tar -cf - --exclude='./build*' --exclude=./.git --exclude='./world*.png' .) | (cd "$tree" && tar -xf -)

# ---- packages that come one after the other ----------------------------------------------------------------------

hide libpng jansson cmocka mpfr
runs 'a build directory made by hand, with next to nothing' 'libpng is missing' meson setup "$tree/build" "$tree"
hide cmocka mpfr
runs 'demo: libpng and jansson have come' 'what is installed has changed' demo 1
hide
runs 'test: cmocka and MPFR have come' 'what is installed has changed' tests
report 'tests were run' "$(grep -q '^[1-9][0-9]* passed, 0 failed' "$dir/out" || echo ' none was')"
runs 'test again' ! 'configuring' tests
runs 'demo again' ! 'configuring\|Compiling' demo 2
hide mpfr
runs 'MPFR has gone' 'what is installed has changed' tests
unset PKG_CONFIG_LIBDIR

# ---- moved, and the other way round ------------------------------------------------------------------------------

mv "$tree" "$dir/another tree"
tree="$dir/another tree"
runs 'the built program finds its data where it is now' '^wrote .*moved.png' \
    "$tree/build/examples/01_city_density" "$dir/moved.png" 72
runs 'test first, in a moved tree' 'was made in another place' tests
runs 'then demo' ! 'configuring' demo 3

# ---- at once -----------------------------------------------------------------------------------------------------

demo 4 >"$dir/out4" 2>&1 &
runs 'two demos at once: one' 'done: look at' demo 5
wait $!
code=$?
cp "$dir/out4" "$dir/out"
report 'and the other' "$([ "$code" -eq 0 ] || echo " exit code $code")"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
