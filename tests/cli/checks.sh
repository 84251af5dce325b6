# checks.sh: what the tests of the tool share: how its output, exit codes and files are checked, and .npy files as input. Sourced
# with the path of the tool as the first argument.
#
# Inputs are .npy files made with printf; outputs go to $made, which must be as empty after a failure as it was before.

quern=${1:?usage: sh TEST.sh PATH/TO/quern}
case $quern in */*) quern=$(cd "$(dirname "$quern")" && pwd)/$(basename "$quern") ;; esac
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
made=$dir/made
mkdir "$made" "$dir/no-drivers" && cd "$dir" || exit 1
QUERN_HOST=off # small inputs, but the device's results
export QUERN_HOST
passed=0
failed=0

# ---- how to check ------------------------------------------------------------------------------------------------

# report NAME FAULT: one test's line; an empty FAULT is a pass.
report() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
        echo "ok - $1"
    else
        failed=$((failed + 1))
        echo "not ok - $1:$2"
        sed 's/^/#   /' "$dir/err"
    fi
}

# prints NAME TEXT ARGUMENT...: success, exactly TEXT on stdout, nothing on stderr.
prints() {
    name=$1 text=$2
    shift 2
    "$quern" "$@" >"$dir/out" 2>"$dir/err"
    code=$?
    fault=
    [ "$code" -eq 0 ] || fault="$fault exit code $code, not 0;"
    [ "$(cat "$dir/out")" = "$text" ] || fault="$fault printed '$(head -c 300 "$dir/out")', not '$text';"
    [ ! -s "$dir/err" ] || fault="$fault something on stderr;"
    report "$name" "$fault"
}

# shows NAME PATTERN ARGUMENT...: success, and a line of stdout matches the regular expression PATTERN.
shows() {
    name=$1 pattern=$2
    shift 2
    "$quern" "$@" >"$dir/out" 2>"$dir/err"
    code=$?
    fault=
    [ "$code" -eq 0 ] || fault="$fault exit code $code, not 0;"
    grep -q -e "$pattern" "$dir/out" || fault="$fault no line of stdout matches '$pattern';"
    report "$name" "$fault"
}

# fails NAME CODE ARGUMENT...: exit code CODE, a message on stderr, nothing on stdout, no new file.
fails() {
    name=$1 want=$2
    shift 2
    before=$(ls -A "$made")
    "$quern" "$@" >"$dir/out" 2>"$dir/err"
    code=$?
    fault=
    [ "$code" -eq "$want" ] || fault="$fault exit code $code, not $want;"
    [ -s "$dir/err" ] || fault="$fault no message on stderr;"
    [ ! -s "$dir/out" ] || fault="$fault something on stdout;"
    [ "$(ls -A "$made")" = "$before" ] || fault="$fault left: $(ls -A "$made");"
    report "$name" "$fault"
}

# ---- inputs ------------------------------------------------------------------------------------------------------

# npy FILE DESCR SHAPE COUNT BYTES: a .npy file, format 1.0, with COUNT elements BYTES (octal escapes of printf).
npy() {
    {
        printf '\223NUMPY\001\000v\000'
        printf '%-117s\n' "{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
        k=0
        while [ "$k" -lt "$4" ]; do
            printf '%b' "$5"
            k=$((k + 1))
        done
    } >"$1"
}
one4='\0000\0000\0200\0077'
one8='\0000\0000\0000\0000\0000\0000\0360\0077'

npy x.npy '<f4' '(2, 3)' 6 "$one4"
npy y.npy '<f4' '(4, 3)' 12 "$one4"
npy b.npy '<f4' '(4, 1)' 4 "$one4"
npy b1.npy '<f4' '(4,)' 4 "$one4"
npy c1.npy '<f4' '(3,)' 3 "$one4"
npy b3.npy '<f4' '(3, 1)' 3 "$one4"
npy x2.npy '<f4' '(2, 2)' 4 "$one4"
npy x0.npy '<f4' '(0, 3)' 0 "$one4"
npy b0.npy '<f4' '(0, 1)' 0 "$one4"
npy x8.npy '<f8' '(2, 3)' 6 "$one8"
npy y8.npy '<f8' '(4, 3)' 12 "$one8"
npy b8.npy '<f8' '(4, 1)' 4 "$one8"
npy int.npy '<i8' '(2, 3)' 6 '\0001\0000\0000\0000\0000\0000\0000\0000'
npy cube.npy '<f4' '(2, 3, 1)' 6 "$one4"
npy short.npy '<f4' '(2, 3)' 5 "$one4"
npy huge.npy '<f4' '(4000000000000000000, 3)' 6 "$one4"
head -c 60 x.npy >header.npy
echo 'these are words' >words.npy
: >empty.npy

sum='x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'
two='x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))), ArgMin_j(SqDist(x,y))'

# The last line of a test.
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
