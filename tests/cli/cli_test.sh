#!/bin/sh
# cli_test.sh: the tool `quern` from the outside: what it prints, its exit codes, and that bad input leaves no file.
#
#     sh tests/cli/cli_test.sh build/src/cli/quern
#
# Needs an OpenCL device that quern can use. Prints a line per test, then `N passed, N failed`; exits 1 if one failed.

. "$(dirname "$0")/checks.sh"

# ---- what works --------------------------------------------------------------------------------------------------

prints 'sum, float32' "4
4" eval "$sum" x=x.npy y=y.npy b=b.npy
prints 'a one-axis file is a column' "4
4" eval "$sum" x=x.npy y=y.npy b=b1.npy
prints 'a matrix is the row of a parameter, row after row' "3
0" eval 'k=Vi(1); T=Pm(12); Gather(T,k,3)|Gather(T,0,3)' k=3,4 T=y.npy
prints 'a one-axis file is the row of a parameter' "3
3" eval 'x=Vi(3); c=Pm(3); Scalprod(x,c)' x=x.npy c=c1.npy
prints 'a number' "2
2" eval 'y=Vj(3); x=Vi(3); g=Pm(1); Sum_j(g*Exp(-SqDist(x,y)))' x=x.npy y=y.npy g=0.5
prints 'typed rows and a parameter' "13
5" eval 'x=Vi(2); c=Pm(2); SqDist(x,c)' x=0,0,1,1 c=2,3
prints 'variables by number' "4
4" eval 'Sum_Reduction(Exp(-SqDist(Vi(0,3),Vj(1,3))),0)' 0=x.npy 1=y.npy
prints 'two results' "4
4

0
0" eval "$two" x=x.npy y=y.npy
# json_of AXIS ROWS INTEGER DATA: one result of one column.
json_of() {
    printf '{"axis": "%s", "rows": %s, "columns": 1, "integer": %s, "data": %s}' "$1" "$2" "$3" "$4"
}
prints 'json' "{\"results\": [$(json_of i 2 false '[[4.0], [4.0]]'), $(json_of i 2 true '[[0], [0]]')]}" \
    eval "$two" x=x.npy y=y.npy --json
prints 'json of infinity' "{\"results\": [$(json_of p 1 false '[["-inf"]]')]}" eval 'c=Pm(1); Log(c)' c=0 --json
prints 'no rows' '' eval "$sum" x=x0.npy y=y.npy b=b.npy
prints 'no columns' "0
0" eval "$sum" x=x.npy y=x0.npy b=b0.npy
prints 'no rows as json' "{\"results\": [$(json_of i 0 false '[]')]}" \
    eval "$sum" x=x0.npy y=y.npy b=b.npy --json
prints 'float64 made float32' "4
4" eval "$sum" x=x8.npy y=y8.npy b=b.npy --dtype=f32
prints 'integers made float32' "4
4" eval "$sum" x=int.npy y=y.npy b=b.npy --dtype f32
if "$quern" doctor 2>&1 | grep -q '^ok    float64'; then
    prints 'sum, float64' "4
4" eval "$sum" x=x8.npy y=y8.npy b=b8.npy
    prints 'typed numbers are float64 beside float64 files' "0.1
0.1" eval 'x=Vi(3); c=Pm(2); Elem(c,0)*Elem(x,0)' x=x8.npy c=0.1,0
fi

"$quern" eval "$two" x=x.npy y=y.npy --prune --tolerance 1e-3 >"$dir/out" 2>"$dir/err"
report 'pruned' "$(grep -q '^quern: pruned: 100 % of all pairs were computed; nothing else matters$' "$dir/err" || echo ' no such note')"
"$quern" eval 'x=Vi(3); x+1' x=x.npy --tolerance 1e-3 >"$dir/out" 2>"$dir/err"
report 'not pruned' "$(grep -q '^quern: not pruned: in the formula no row meets a column$' "$dir/err" || echo ' no such note')"
masked='x=Vi(3); y=Vj(3); Sum_j(Where(J<=I,Exp(-SqDist(x,y)),0))'
"$quern" eval "$masked" x=x.npy y=y.npy --prune >"$dir/out" 2>"$dir/err"
report 'a mask, pruned without a warning' "$(grep -q '^quern: pruned: ' "$dir/err" && ! grep -v '^quern: ' "$dir/err" || cat "$dir/err")"
prints 'pruned, quietly' "$("$quern" eval "$two" x=x.npy y=y.npy)" eval "$two" x=x.npy y=y.npy --prune --quiet
fails 'a tolerance that is no number' 2 eval "$two" x=x.npy y=y.npy --tolerance much
fails 'a tolerance above 1' 2 eval "$two" x=x.npy y=y.npy --tolerance 2
prints 'a file' '' eval "$sum" x=x.npy y=y.npy b=b.npy -o made/a.npy
prints 'the file can be read' "4
4" eval 'a=Vi(1); a*1' a=made/a.npy
"$quern" eval "$sum" x=x.npy y=y.npy b=b.npy -o - >stream.npy 2>err
report 'stdout gets the same bytes' "$(cmp stream.npy made/a.npy 2>&1)"
prints 'two files' '' eval "$two" x=x.npy y=y.npy -o made/s.npy -o made/k.npy
report 'and no others' "$([ "$(ls -m -A made)" = 'a.npy, k.npy, s.npy' ] || ls -A made)"
prints 'an existing file is replaced' '' eval "$two" x=x0.npy y=y.npy -o made/s.npy -o made/k.npy
prints 'by the new one' '' eval 'a=Vi(1); a*1' a=made/s.npy
prints '/dev/null stays a device' '' eval "$sum" x=x.npy y=y.npy b=b.npy -o /dev/null
report 'it does' "$([ -c /dev/null ] || echo ' it is a file now')"

printf '# the sum\nx=Vi(1); # points\ny=Vj(1);\nSum_j(x*y) # of products' >formula
prints 'a formula with comments, from a file' '7
14' eval @formula x=1,2 y=3,4
prints 'the same' '7
14' eval -f formula x=1,2 y=3,4
prints 'from stdin' '7
14' eval -f - x=1,2 y=3,4 <formula
shows 'explain it' '^formula: .*Sum_j(' explain @formula
fails 'a formula from no file' 15 eval @missing x=1
fails 'from an empty one' 2 eval -f /dev/null x=1
fails 'from a directory' 15 eval @. x=1
fails 'two formulas' 2 explain -f formula "$sum"
shows 'explain everything' kernel explain "$sum" --stage all
shows 'explain in short' '^a run: about .* ms on profile cpu in float32, M = 1000, N = 1000; the first builds 1 program$' explain "$sum"
report 'on one screen' "$([ "$("$quern" explain "$sum" | wc -l)" -le 24 ] || echo 'it has more lines')"
shows 'explain the source' kernel explain "$sum" --stage source
shows 'explain a gradient' Exp explain "$sum" --grad x --stage=graph
shows 'explain for a profile' kernel explain "$sum" --stage source --profile nvidia --dtype f64 --M 10 --N 1000000
shows 'explain a second gradient' '^formula: .*p\*3\*2' explain 'x=Vi(1); p=Pm(1); p*x**3' --grad x --grad x --stage graph
shows 'explain the cost' '^  a pair: 11 flops; a column: 0 flops, 16 bytes read$' explain "$sum" --stage program
shows 'explain as a picture' '^  n[0-9]* -> n[0-9]*;$' explain "$sum" --dot
shows 'ops by family' '^norms, products, distances$' ops
shows 'ops of a name' '^  definition  Sum(Square(a-b))$' ops SqDist
shows 'ops of a reduction with its axis' '^ArgKMin_j(a,k)$' ops ArgKMin_i
shows 'ops in any case' '^Scalprod(a,b)$' ops scalPROD
shows 'ops of a part of names' '^ArgKMin_j(a,k)$' ops kmin_
shows 'ops of a word of meanings' '^Cosine(a,b)$' ops cosine
shows 'ops of a word of meanings, no name' '^  SqDist(a,b) ' ops distance
shows 'ops of several words' '^LogSumExp_j(a)$' ops sqdist LogSum
shows 'ops as json' '"name": "SqDist"' ops --json
shows 'ops as Markdown' '^| `Scalprod(a,b)` |  | inner product, also (a\\|b) | `Sum(a\*b)` |$' ops --markdown
shows 'devices' '^\* ' devices
POCL_DEVICES='pthread basic'
export POCL_DEVICES
seq 300 | sed 's/$/,0.5/' >rows.csv
"$quern" eval 'x=Vi(2); y=Vj(2); Sum_j(Norm2(x-y))' x=rows.csv y=rows.csv --device 0:0 >one 2>err
for name in all 0:0,0:1 basic,pthread 0:1,0:1; do
    "$quern" eval 'x=Vi(2); y=Vj(2); Sum_j(Norm2(x-y))' x=rows.csv y=rows.csv --device "$name" >out 2>err
    report "--device $name: the same numbers" "$(cmp one out 2>&1; cat err)"
done
unset POCL_DEVICES
fails 'a device without a name' 2 eval "$sum" x=x.npy y=y.npy b=b.npy --device cpu,,gpu
fails 'one that is not there' 11 eval "$sum" x=x.npy y=y.npy b=b.npy --device cpu,nosuchdevice
shows 'devices as json' '"selector"' devices --json
for name in pocl PoCL 'portable computing' "$("$quern" devices | sed -n 's/^\* \([0-9:]*\) .*/\1/p')"; do
    QUERN_DEVICE=$name "$quern" eval 'x=Vi(1); x+1' x=1 >out 2>err
    report "QUERN_DEVICE=$name" "$([ "$(cat out)" = 2 ] && [ ! -s err ] || echo ' not the device')"
done
shows 'doctor' '^0 failed' doctor
shows 'help leads with examples' '^Examples' help
shows 'help has the exit codes' '^  15  a file cannot be read or written' --help
shows 'help of a command' '--dtype f32|f64' help eval
shows 'the same as an option' '--dtype f32|f64' eval --help
shows 'version' '^quern [0-9]*\.[0-9]*\.[0-9]*$' --version
shows 'and the loader' '^OpenCL loader .*OpenCL' --version

sq='x=Vi(1); y=Vj(1); Sum_j(Square(x-y))'
prints 'a gradient' "-6
-2" eval "$sq" x=1,2 y=1,4 --grad x
prints 'with weights' "-12
-10" eval "$sq" x=1,2 y=1,4 e=2,5 --grad x,e
prints 'a second gradient' "4
4" eval "$sq" x=1,2 y=1,3 --grad x --grad x
prints 'a gradient of no rows' '' eval "$sum" x=x0.npy y=y.npy b=b.npy --grad x
shows 'explain a gradient with weights' 'e=Vi(1)' explain "$sq" --grad x,e --stage graph
fails 'a gradient without its variable' 4 eval "$sq" x=1,2 y=1,3 --grad q
fails 'a gradient without its weights' 8 eval "$sq" x=1,2 y=1,3 --grad x,e
fails 'a comma and no weights' 2 eval "$sq" x=1,2 y=1,3 --grad x,
fails 'weights and no variable' 4 eval "$sq" x=1,2 y=1,3 --grad ,e

# ---- small runs --------------------------------------------------------------------------------------------------

for host in auto off; do
    QUERN_HOST=$host "$quern" eval "$sum" x=x.npy y=y.npy b=b.npy --verbose >out 2>err
    grep -q 'on the host' err && where=auto || where=off
    report "QUERN_HOST=$host" "$([ "$where" = $host ] && [ "$(cat out)" = "4
4" ] || echo ' the run is in the wrong place, or its result is wrong')"
done
unset QUERN_HOST
shows 'explain tells of the host' '^computed on the host: M = 2, N = 4 are too few' explain "$sum" --stage plan --M 2 --N 4
QUERN_HOST=off
export QUERN_HOST

# ---- the cache ---------------------------------------------------------------------------------------------------

saved=${QUERN_CACHE_DIR-}
QUERN_CACHE=on QUERN_CACHE_DIR=$dir/cache
export QUERN_CACHE QUERN_CACHE_DIR
cat >list <<LIST
# what is needed tomorrow

--M 2 --N 4 $sum
  --dtype f32 --M=2 --N 4 --grad x $sum
LIST
shows 'an empty cache' '^programs     0, 0.0 MiB of at most 256$' cache
shows 'it is where the environment says' "^directory    $dir/cache\$" cache
shows 'devices of the cache' '^device 0:0 .*: programs are kept ' cache
shows 'warm' '^ *[0-9.]* s  x=Vi(3); .*b)$' cache warm list
report 'a line for each formula' "$([ "$(wc -l <out)" -eq 2 ] || cat out)"
shows 'programs are kept' '^programs     2, ' cache
"$quern" eval "$sum" x=x.npy y=y.npy b=b.npy --verbose >out 2>err
report 'and loaded by the next process' "$(grep -q 'loaded stage 0' err || echo ' they are not')"
for entry in "$dir"/cache/*.program; do echo damage >"$entry"; done
"$quern" eval "$sum" x=x.npy y=y.npy b=b.npy --verbose >out 2>err
report 'unless they are damaged' "$(grep -q 'cache: .* wrong length' err && grep -q 'built stage 0' err &&
    [ "$(cat out)" = "4
4" ] || echo ' no word of it, or a wrong result')"
shows 'clear' '^removed 2 programs, ' cache clear
shows 'it is empty again' '^programs     0, ' cache
shows 'warm from stdin' '^ *[0-9.]* s  y=' cache warm - <<LIST
y=Vj(2); Sum_j(y)
LIST
fails 'no list' 2 cache warm
fails 'no such verb' 2 cache heat
fails 'no such list' 15 cache warm nosuch.txt
fails 'a list is no directory' 15 cache warm "$dir"
echo '--M 5' >list
fails 'options without a formula' 2 cache warm list
echo '--M none x=Vi(1); x' >list
fails 'options that are wrong' 2 cache warm list
printf 'x=Vi(1\n%s\n' "$sum" >list
"$quern" cache warm list >out 2>err
report 'a wrong line, and the others' "$([ $? -eq 3 ] && grep -q 'in line 1 of list' err && grep -q ' s  x=Vi(3)' out ||
    echo ' not exit code 3 with the number of the line and the other formula')"
chmod 777 "$dir/cache"
shows 'a directory that others may write to' "^directory    $dir/cache: others may write to it\$" cache
fails 'is not cleared' 15 cache clear
shows 'and is warned of' "^warn  cache  *$dir/cache: others may write to it\$" doctor
QUERN_CACHE=perhaps
fails 'QUERN_CACHE is neither on nor off' 2 eval "$sum" x=x.npy y=y.npy b=b.npy
unset QUERN_CACHE QUERN_CACHE_DIR
[ -z "$saved" ] || export QUERN_CACHE_DIR="$saved"

# ---- bad input ---------------------------------------------------------------------------------------------------

fails 'no command' 2
fails 'unknown command' 2 evaluate "$sum"
fails 'unknown option' 2 eval "$sum" --fast
fails 'option without its value' 2 eval "$sum" x=x.npy y=y.npy b=b.npy -o
fails 'unknown --dtype' 2 eval "$sum" x=x.npy y=y.npy b=b.npy --dtype f16 -o made/new.npy
fails 'no formula' 2 eval
fails 'word without =' 2 eval "$sum" x.npy y=y.npy b=b.npy -o made/new.npy
fails 'no name' 2 eval "$sum" =x.npy y=y.npy b=b.npy -o made/new.npy
fails 'no value' 2 eval "$sum" x= y=y.npy b=b.npy -o made/new.npy
fails 'name given twice' 2 eval "$sum" x=x.npy x=x.npy y=y.npy b=b.npy -o made/new.npy
fails 'too few -o' 2 eval "$two" x=x.npy y=y.npy -o made/new.npy
fails 'too many -o' 2 eval "$sum" x=x.npy y=y.npy b=b.npy -o made/new.npy -o made/new2.npy
fails 'the same -o twice' 2 eval "$two" x=x.npy y=y.npy -o made/new.npy -o made/new.npy
fails '--json and -o -' 2 eval "$sum" x=x.npy y=y.npy b=b.npy --json -o -
fails 'explain without a formula' 2 explain
fails 'explain an unknown stage' 2 explain "$sum" --stage assembly
fails 'explain --M 0' 2 explain "$sum" --M 0
fails '--profile and --device' 2 explain "$sum" --profile cpu --device cpu
fails 'a profile that is not there' 2 explain "$sum" --profile abacus
report 'and those that are' "$(grep -q 'next step: the profiles are .*cpu-avx2.*nvidia' err || echo ' they are not told')"
fails '--dot and --stage' 2 explain "$sum" --dot --stage graph
fails 'ops --json --markdown' 2 ops --json --markdown

fails 'unbalanced text' 3 eval 'x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y))' x=x.npy y=y.npy -o made/new.npy
fails 'empty formula' 3 eval '' x=x.npy -o made/new.npy
fails 'unknown name' 4 eval 'x=Vi(3); y=Vj(3); Sum_j(SqDist(x,z))' x=x.npy y=y.npy -o made/new.npy
fails 'unknown operation' 4 eval 'x=Vi(3); y=Vj(3); Sum_j(SqDost(x,y))' x=x.npy y=y.npy -o made/new.npy
fails 'an array too many' 4 eval "$sum" x=x.npy y=y.npy b=b.npy q=x.npy -o made/new.npy
fails 'gradient in an unknown variable' 4 explain "$sum" --grad q
fails 'ops of an unknown name' 4 ops SqDist SqDost
report 'and suggests' "$(grep -q 'did you mean SqDist' err || cat err)"
fails 'ops of what is like nothing' 4 ops qqqqqqqqqqqqqqq
fails 'ops of an empty name' 4 ops ''
fails 'ops --json of an unknown name' 4 ops SqDost --json
fails 'wrong dimension' 5 eval 'x=Vi(3); y=Vj(2); Sum_j(SqDist(x,y))' x=x.npy y=x2.npy -o made/new.npy
fails 'missing variable' 8 eval "$sum" x=x.npy y=y.npy -o made/new.npy
fails 'missing i-variable' 8 eval "$sum" y=y.npy b=b.npy -o made/new.npy
fails 'wrong columns' 6 eval "$sum" x=x2.npy y=y.npy b=b.npy -o made/new.npy
fails 'wrong rows' 6 eval "$sum" x=x.npy y=y.npy b=b3.npy -o made/new.npy
fails 'parameter of the wrong length' 6 eval 'x=Vi(3); c=Pm(3); Scalprod(x,c)' x=x.npy c=1,2 -o made/new.npy
fails 'mixed element types' 7 eval "$sum" x=x8.npy y=y.npy b=b.npy -o made/new.npy
fails 'three axes' 6 eval "$sum" x=cube.npy y=y.npy b=b.npy -o made/new.npy
fails 'missing file' 15 eval "$sum" x=nosuch.npy y=y.npy b=b.npy -o made/new.npy
fails 'not .npy' 15 eval "$sum" x=words.npy y=y.npy b=b.npy -o made/new.npy
fails 'empty file' 15 eval "$sum" x=empty.npy y=y.npy b=b.npy -o made/new.npy
fails 'truncated data' 15 eval "$sum" x=short.npy y=y.npy b=b.npy -o made/new.npy
fails 'truncated header' 15 eval "$sum" x=header.npy y=y.npy b=b.npy -o made/new.npy
fails 'a header that claims too much' 15 eval "$sum" x=huge.npy y=y.npy b=b.npy -o made/new.npy
fails 'a directory as input' 15 eval "$sum" x=made y=y.npy b=b.npy -o made/new.npy
fails 'output in a missing directory' 15 eval "$sum" x=x.npy y=y.npy b=b.npy -o nosuch/new.npy
fails 'output is a directory' 15 eval "$sum" x=x.npy y=y.npy b=b.npy -o made
fails 'second output unwritable: no first' 15 eval "$two" x=x.npy y=y.npy -o made/new.npy -o nosuch/new.npy
if [ -c /dev/full ]; then
    fails 'no space, second output' 15 eval "$two" x=x.npy y=y.npy -o made/new.npy -o /dev/full
    "$quern" eval "$sum" x=x.npy y=y.npy b=b.npy 2>err >/dev/full
    report 'no space on stdout' "$([ $? -eq 15 ] && [ -s err ] || echo ' not exit code 15 with a message')"
    "$quern" eval "$sum" x=x.npy y=y.npy b=b.npy -o - 2>err >/dev/full
    report 'no space on stdout for .npy' "$([ $? -eq 15 ] && [ -s err ] || echo ' not exit code 15 with a message')"
fi
"$quern" help 2>err >&-
report 'stdout closed' "$([ $? -eq 15 ] && [ -s err ] || echo ' not exit code 15 with a message')"
cp x.npy made/old.npy
fails 'a failure' 6 eval "$sum" x=x2.npy y=y.npy b=b.npy -o made/old.npy
report 'leaves the old file as it was' "$(cmp x.npy made/old.npy 2>&1)"

# ---- tuning ------------------------------------------------------------------------------------------------------

QUERN_PROFILES=$made/profiles
export QUERN_PROFILES
fails 'tune takes no words' 2 tune now
fails 'tune in no time' 2 tune --seconds 0
fails 'tune for half a point' 2 tune --points 0.5
echo '# as it was' >"$made/profiles"
"$quern" tune --points 64 --seconds 600 >out 2>err &
pid=$!
# SIGINT, number 2, before the tool catches it would be ignored: that is so for whatever a shell starts with &
[ -r "/proc/$pid/status" ] || sleep 1
while [ -r "/proc/$pid/status" ] && ! grep -q '^SigCgt:.*[2367abef]$' "/proc/$pid/status"; do sleep 0.1; done
kill -INT "$pid"
wait "$pid"
report 'an interrupted tuning leaves the old file' "$([ $? -eq 16 ] && [ "$(cat "$made/profiles")" = '# as it was' ] ||
    echo ' not exit code 16, or another file')"
shows 'tune, without writing' 'a dry run' tune --points 64 --seconds 0.1 --dry-run
shows 'tune' "^written to $made/profiles\$" tune --points 64 --seconds 0.1
report 'the tuned row has a key' "$(grep -q 'device=".*driver=".*format=' "$made/profiles" || cat "$made/profiles")"
shows 'the tuned row is used' 'profile .*-tuned' doctor
shows 'and told' 'profile .*-tuned' devices
QUERN_PROFILES=
shows 'and can be ignored' 'profile [a-z0-9-]*)' doctor
echo 'damaged' >"$made/profiles"
QUERN_PROFILES=$made/profiles
"$quern" eval "$sum" x=x.npy y=y.npy b=b.npy --verbose >out 2>err
report 'a damaged file is told, and does no harm' "$([ $? -eq 0 ] && grep -q 'profiles, line 1: .* tune' err || cat err)"
QUERN_PROFILES=none
rm "$made/profiles"

fails 'unknown device' 11 eval "$sum" x=x.npy y=y.npy b=b.npy --device nosuchdevice -o made/new.npy
QUERN_DEVICE=nosuchdevice
export QUERN_DEVICE
fails 'unknown QUERN_DEVICE' 11 eval "$sum" x=x.npy y=y.npy b=b.npy -o made/new.npy
unset QUERN_DEVICE OCL_ICD_FILENAMES
drivers=${OCL_ICD_VENDORS-/etc/OpenCL/vendors}
OCL_ICD_VENDORS=$dir/no-drivers
export OCL_ICD_VENDORS
fails 'no device' 11 eval "$sum" x=x.npy y=y.npy b=b.npy -o made/new.npy
fails 'no device to list' 11 devices
"$quern" doctor >out 2>err
report 'the doctor sees no device' "$([ $? -eq 11 ] && grep -q '^FAIL' out && grep -q 'fix: ' out && [ -s err ] ||
    echo ' not exit code 11 with a fix')"
shows 'a profile needs no device' kernel explain "$sum" --stage source --profile amd

# ---- drivers that are no good ------------------------------------------------------------------------------------

mkdir dead && echo /nonexistent/libdead.so >dead/dead.icd
OCL_ICD_VENDORS=$dir/dead
fails 'a registered driver whose library is gone' 11 eval "$sum" x=x.npy y=y.npy b=b.npy -o made/new.npy
report 'the variable is named' "$(grep -q "OCL_ICD_VENDORS says, '$dir/dead'" err || cat err)"
"$quern" doctor >out 2>err
report 'the doctor names the library' "$(grep -q '^warn  driver .*dead.icd: /nonexistent/libdead.so: ' out || cat out)"
OCL_ICD_VENDORS=$drivers
# ---- entries ----------------------------------------------------------------------------------------------------

pair='x=Vi(1); y=Vj(1); x*y+J'
prints 'rows and columns' "8 11
12 16" block "$pair" x=1,2,3 y=4,5,6 --rows 1:3 --columns :2
prints 'all entries' "4 6 8
8 11 14" block "$pair" x=1,2 y=4,5,6
prints 'the diagonal' "4
11" block "$pair" x=1,2 y=4,5,6 --diagonal
prints 'entries that are vectors' "2 0 2 1" block 'x=Vi(1); Concat(x,J)' x=1,2 --N 2 --rows 1:
prints 'no rows' '' block "$pair" x=1,2 y=4,5,6 --rows 1:1
shows 'entries in json' '"columns": 3' block "$pair" x=1,2 y=4,5,6 --json
fails 'rows that there are not' 6 block "$pair" x=1,2 y=4,5,6 --rows 1:3 -o made/c.npy
fails 'rows from behind' 6 block "$pair" x=1,2 y=4,5,6 --rows 2:1 -o made/c.npy
fails 'a span that is none' 2 block "$pair" x=1,2 y=4,5,6 --rows 1-2 -o made/c.npy
fails 'a diagonal of columns' 2 block "$pair" x=1,2 y=4,5,6 --diagonal --columns 1:2 -o made/c.npy
fails 'a reduction in an entry' 10 block 'x=Vi(1); y=Vj(1); x*Sum_j(y)' x=1,2 y=4,5,6 -o made/c.npy

if [ "$("$quern" devices --json | grep -c '"name": "Portable Computing Language"')" -eq 1 ]; then
    saved_cache=${POCL_CACHE_DIR-}
    POCL_CACHE_DIR=/proc/no
    export POCL_CACHE_DIR
    step="POCL_CACHE_DIR is '/proc/no'"
    fails 'PoCL without a cache' 11 eval "$sum" x=x.npy y=y.npy b=b.npy -o made/new.npy
    report 'is told with the step' "$(grep -q 'gives no device: Portable Computing' err && grep -q "$step" err || cat err)"
    fails 'devices too' 11 devices
    report 'tells the step' "$(grep -q "$step" err || cat err)"
    "$quern" devices --json >out 2>err
    report 'devices --json has the platform' "$(grep -q '"devices": 0' out && grep -q "$step" out || cat out)"
    "$quern" doctor >out 2>err
    report 'doctor too' "$(grep -q '^FAIL  platform .*gives no device' out && grep -q "fix: PoCL .*$step" out || cat out)"
    POCL_CACHE_DIR=$saved_cache
    [ -n "$saved_cache" ] || unset POCL_CACHE_DIR
    QUERN_CACHE=on QUERN_CACHE_DIR=/proc/no
    export QUERN_CACHE QUERN_CACHE_DIR
    prints "quern's own cache cannot be written: no harm" "4
4" eval "$sum" x=x.npy y=y.npy b=b.npy
    shows 'the doctor warns' '^warn  cache .*/proc/no' doctor
    (
        unset HOME XDG_CACHE_HOME QUERN_CACHE_DIR
        "$quern" eval "$sum" x=x.npy y=y.npy b=b.npy >out 2>err
    )
    report 'no HOME, either' "$([ "$(cat out)" = "4
4" ] || cat err)"
fi

finish
