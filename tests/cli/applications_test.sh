#!/bin/sh
# applications_test.sh: the commands of `quern` that are applications, from the outside, as cli_test.sh has the others.
#
#     sh tests/cli/applications_test.sh build/src/cli/quern

here=$(cd "$(dirname "$0")" && pwd)
. "$here/checks.sh"

# ---- systems ----------------------------------------------------------------------------------------------------

kernel='x=Vi(1); y=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'
prints 'a system, with a shift' "0.5
1
1.5" solve "$kernel" x=0,100,200 y=0,100,200 b=1,2,3 --shift 1 --quiet
npy square.npy '<f4' '(2, 2)' 4 "$one4"
prints 'two right-hand sides' "0.5 0.5
0.5 0.5" solve "$kernel" x=0,100 y=0,100 b=square.npy --shift 1 --quiet
shows 'its report' '"converged": true' solve "$kernel" x=0,100,200 y=0,100,200 b=1,2,3 --json --quiet
"$quern" solve 'x=Vi(1); y=Vj(1); Sum_j((1+Exp(x-2*y))*b)' x=0,1,2 y=0,1,2 b=1,2,3 --json >out 2>err
code=$?
report 'a system that is not symmetric is told, and what there is written' \
    "$([ "$code" -eq 17 ] && grep -q 'not symmetric' err && grep -q '"converged": false' out || cat out err)"
prints 'a matrix that is not positive, by MINRES' "-1
-2" solve "$kernel" x=0,100 y=0,100 b=1,2 --shift -2 --method minres --quiet
shows 'blocks of rows' '"blocks": 2' solve "$kernel" x=0,100,200,1,101,201,2,3 y=0,100,200,1,101,201,2,3 b=1,2,3,4,5,6,7,8 --shift 1 --preconditioner blocks --rank 4 --json --quiet
fails 'a preconditioner that there is not' 2 solve "$kernel" x=0,1 y=0,1 b=1,2 --preconditioner lu
fails 'a method that there is not' 2 solve "$kernel" x=0,1 y=0,1 b=1,2 --method lu
fails 'a point that is not known' 17 solve "$kernel" x=0,nan y=0,nan b=1,2 -o made/c.npy
"$quern" solve "$kernel" x=0,0 y=0,0 b=1,2 >out 2>err
code=$?
report 'a point twice without noise is told, with the next step' \
    "$([ "$code" -eq 17 ] && grep -q 'add a larger shift, which points that are there twice need' err || cat out err)"
fails 'no right-hand side' 8 solve "$kernel" x=0,1 y=0,1 -o made/c.npy
fails 'a right-hand side of another size' 6 solve "$kernel" x=0,1 y=0,1 b=1,2,3 -o made/c.npy
fails 'a shift that is no number' 2 solve "$kernel" x=0,1 y=0,1 b=1,2 --shift much -o made/c.npy

fails 'more eigenvalues than there are' 6 eigs "$kernel" x=0,1 y=0,1 --count 9000000000000000000 -o made/e.npy
prints 'eigenvalues' "2
1" eigs "$kernel" x=0,0,100 y=0,0,100 --count 2 --quiet
"$quern" eigs "$kernel" x=0,100 y=0,100 --quiet >out 2>err && "$quern" eigs "$kernel" x=0,1,2,3,4,5,6,7 y=0,1,2,3,4,5,6,7 --quiet >>out 2>>err
report 'without a count 6, or all' "$([ "$(wc -l <out)" -eq 8 ] || cat out err)"
shows 'the smallest' '"converged": true' eigs "$kernel" x=0,0,100 y=0,0,100 --count 1 --which smallest --json --quiet
prints 'eigenvalues of a subspace' "2
1" eigs "$kernel" x=0,0,100 y=0,0,100 --count 2 --method subspace --quiet
fails 'a method of eigenvalues that is none' 2 eigs "$kernel" x=0,1 y=0,1 --count 1 --method arnoldi
fails 'more eigenvalues than rows' 6 eigs "$kernel" x=0,1 y=0,1 --count 3
fails 'eigenvalues that there are not' 2 eigs "$kernel" x=0,1 y=0,1 --count 1 --which middle
fails 'a matrix that is not symmetric' 17 eigs 'x=Vi(1); y=Vj(1); Sum_j((1+Exp(x-2*y))*b)' x=0,1,2 y=0,1,2 --count 1
"$quern" eigs 'x=Vi(1); y=Vj(1); Sum_j((1+Exp(x-2*y))*b)' x=0,1,2 y=0,1,2 --count 1 --method subspace >out 2>err
report 'no pairs, nothing printed' "$([ $? -eq 17 ] && [ ! -s out ] || cat out err)"
fails 'a tolerance of 0, which no solution has' 2 eigs "$kernel" x=0,1 y=0,1 --count 1 --tolerance 0

# ---- processes ---------------------------------------------------------------------------------------------------

prints 'a mean and a standard deviation' "1 1
2 1" gp 0,100 2,4 at=0,100 --kernel rbf length=1 noise=2 variance=2 --as-given --quiet
printf 'x,value\n0,2\n1,3\n2,1\n4,2\n' >known.csv
printf 'x,value\n0.5,2.6\n3,1.4\n' >asked.csv
shows 'a fit, and what it is off by' '"rmse": 0\.' gp known.csv at=asked.csv --fit --json --quiet
"$quern" gp known.csv at=0.5,3 length=1 -o made/p.csv --plot made/fit.svg >out 2>err
report 'predictions and a picture' "$([ "$(wc -l <made/p.csv)" -eq 2 ] && grep -q '<polyline' made/fit.svg && grep -q '^noise  *0.1$' out ||
    cat out err)"
rm -f made/p.csv made/fit.svg
shows 'inducing points: all of them' '"log_marginal_likelihood": -8.86616' gp 0,1,2,4 2,3,1,2 --kernel rbf length=1 noise=0.1 --inducing 4 --json --quiet
"$quern" gp 0,1,2,4 2,3,1,2 --kernel rbf length=1 noise=0.1 --inducing 3 >out 2>err
report 'inducing points: a bound' "$(grep -q '^log marginal likelihood  -20.155[0-9]* or more$' out || cat out err)"
fails 'inducing points without noise' 2 gp 0,1,2 2,3,1 --inducing 2 noise=0
fails 'a picture nowhere' 15 gp 0,1 2,3 --plot no/fit.svg
fails 'a picture in place of a folder' 15 gp 0,1 2,3 --plot made
fails 'a picture that is no SVG' 2 gp 0,1 2,3 --plot made/fit.png
( ulimit -f 1000 && "$quern" gp 10000000000000000,10000000000000002 1,2 --dtype f64 --plot made/far.svg ) >out 2>err
report 'axes of numbers that are hardly apart' "$(grep -q '</svg>' made/far.svg || cat err)"
rm -f made/far.svg
fails 'points without values' 8 gp 0,1,2 at=3 -o made/p.npy
fails 'no points' 8 gp at=3 -o made/p.npy
fails 'a third array' 2 gp 0,1 2,3 4,5 at=3 -o made/p.npy
fails 'nowhere to predict' 8 gp 0,1 2,3 -o made/p.npy
fails 'noise that is negative' 2 gp 0,1 2,3 noise=-1 at=3 -o made/p.npy
fails 'a kernel that is none' 4 gp 0,1 2,3 --kernel gauss at=3 -o made/p.npy
fails 'a point twice without noise' 17 gp 0,0 2,3 noise=0 at=3 -o made/p.npy
fails 'a picture of three dimensions' 2 gp x8.npy 1,2 at=x8.npy --plot made/fit.svg -o made/p.npy
fails 'inducing points of a method without' 2 gp 0,1 2,3 --method cholesky --inducing 2 at=3 -o made/p.npy
fails 'probes of a method without' 2 gp 0,1 2,3 --inducing 2 --probes 3 at=3 -o made/p.npy
fails 'steps of no fit' 2 gp 0,1 2,3 --steps 3 at=3 -o made/p.npy
fails 'a rate of 0' 2 gp 0,1 2,3 --fit --optimiser adam --rate 0 at=3 -o made/p.npy
fails 'a method that is none' 2 gp 0,1 2,3 --method guess at=3 -o made/p.npy

# ---- ridge regressions -----------------------------------------------------------------------------------------

"$quern" ridge 0,1,2,4 2,3,1,2 --kernel rbf length=1 --penalty 0.025 at=0.5,3 --quiet >out 2>err
report 'the mean of a process, whose noise is the penalty of all points' "$(grep -q '^2\.6590' out && grep -q '^1\.0825' out || cat out err)"
shows 'its report' '"rmse": 0.159' ridge known.csv at=0.5,3 truth=2.6,1.3 --kernel rbf length=1 --penalty 0.025 --json --quiet
shows 'two classes' '"accuracy": 1.0' ridge 0,1,2,4 0,1,1,0 --loss logistic --kernel rbf length=1 --penalty 0.01 at=1.5,4 truth=1,0 --json --quiet
"$quern" ridge known.csv at=asked.csv length=1 --centres 2 -o made/r.csv >out 2>err
report 'predictions of two centres' "$([ "$(wc -l <made/r.csv)" -eq 2 ] && grep -q '^centres  *2$' out && grep -q '^rmse' out || cat out err)"
rm -f made/r.csv
fails 'three classes' 2 ridge 0,1,2 0,1,2 --loss logistic at=3 -o made/r.npy
fails 'a ridge of one column' 8 ridge 0,1,2 at=3 -o made/r.npy
fails 'noise of a ridge' 4 ridge 0,1 2,3 noise=1 at=3 -o made/r.npy
fails 'a penalty below 0' 2 ridge 0,1 2,3 --penalty -1 at=3 -o made/r.npy
fails 'a penalty of 0' 2 ridge 0,1 2,3 --penalty 0 at=3 -o made/r.npy
fails 'a truth that is none' 2 ridge 0,1 2,3 at=3,4 truth=nan,2 -o made/r.npy
fails 'a truth of another size' 6 ridge 0,1 2,3 at=3 truth=1,2 -o made/r.npy

# ---- clouds of points --------------------------------------------------------------------------------------------

prints 'a distance of clouds' 'value       2
directed    2 and 2' transport 0,1,2 2,3,4 --loss hausdorff-hard --quiet
shows 'optimal transport in float64, and what holds it' '^between     0.12[45]' transport 0,10,20 0.5,10.5,20.5 --dtype f64 --quiet
shows 'its report' '"converged": true' transport 0,1 2,3 --json --quiet
"$quern" transport 0,10 1,11 --blur 0.1 -o gradient-x=made/g.csv -o self-potential-x=made/f.csv >out 2>err
report 'its gradient and a potential' "$([ "$(cat made/g.csv)" = "-0.5
-0.5" ] && [ "$(wc -l <made/f.csv)" -eq 2 ] || cat made/g.csv made/f.csv err)"
rm -f made/g.csv made/f.csv
shows 'what is infinite is null in JSON' '"value": null' transport 0,1e30 2,3 --loss hausdorff-hard --json --quiet
fails 'one cloud' 8 transport x.npy -o gradient-x=made/g.npy
fails 'masses that differ' 6 transport 0,1 2,3 a=1,2 b=1,1 -o gradient-x=made/g.npy
fails 'a third cloud' 4 transport 0,1 2,3 z=1 -o gradient-x=made/g.npy
fails 'a part that is none' 2 transport 0,1 2,3 -o gradient=made/g.npy
fails 'a loss that is none' 2 transport 0,1 2,3 --loss wasserstein -o gradient-x=made/g.npy
fails 'a blur that is no number' 2 transport 0,1 2,3 --blur much -o gradient-x=made/g.npy
fails 'a cost that is no formula' 3 transport 0,1 2,3 --cost 'x-' -o gradient-x=made/g.npy
shows 'a distance of densities' '^value  *0.03125$' transport 0,1,0,0 0,0,1,0 --grid --quiet
shows 'of densities whose masses differ' '^value  *0.03125$' transport 0,1,0,0 0,0,7,0 --grid --normalize --quiet
shows 'on a grid that is wider' '^value  *50$' transport 0,1,0,0 0,0,1,0 --grid --spacing 10 --quiet
npy cube.npy '<f4' '(2, 2, 2)' 8 "$one4"
"$quern" transport cube.npy cube.npy --grid -o potential-x=made/f.npy >out 2>err
report 'a potential on a grid of three axes' "$(grep -q '(2, 2, 2)' made/f.npy || cat out err)"
rm -f made/f.npy
fails 'densities on different grids' 6 transport cube.npy 0,1 --grid
fails 'positions of a grid' 10 transport 0,1 1,0 --grid -o gradient-x=made/g.npy
fails 'one density' 2 transport 0,1 --grid
fails 'weights that differ without --normalize' 6 transport 0,1 0,2 --grid
shows 'mass that stays' '^value  *1.15' transport 0,10 0.3,30 --cost distance --blur 0.001 --reach 1 --penalty tv --entropic \
    --dtype f64 --quiet
fails 'a penalty that is none' 2 transport 0,1 2,3 --reach 1 --penalty l2
shows 'a batch of clouds of any sizes' '^member 1  *12.5, between' transport 0,10,20 0,15,25 --offsets-x 0,1,3 --offsets-y 0,1,3 \
    --dtype f64 --blur 0.001 --quiet
shows 'a batch by a third axis' '"members": \[' transport cube.npy cube.npy --json --quiet
shows 'weights of a batch' '^member 1  *12.5' transport 0,10,20 0,15,25 a=3,5,5 b=1,1,1 --offsets-x 0,1,3 --offsets-y 0,1,3 \
    --normalize --dtype f64 --blur 0.001 --quiet
fails 'offsets of one side' 6 transport 0,1 2,3 --offsets-x 0,1,2
fails 'offsets that do not end at the rows' 6 transport 0,1 2,3 --offsets-x 0,1,2 --offsets-y 0,1,3
prints 'a barycentre of clouds' "5
6
7" barycentre 0,1,2 10,11,12 --quiet
shows 'with weights, of fewer points' '^4.1' barycentre 0,1,2 10,11,12 weights=3,1 --points 2 --quiet
shows 'its report' '"converged": true' barycentre 0,0,1,0,0 0,0,1,0,0 --grid --json --quiet
fails 'a barycentre of nothing' 8 barycentre --grid -o made/m.npy
fails 'weights of others' 6 barycentre 0,1 2,3 weights=1,2,3 -o made/m.npy
fails 'clouds of other dimensions' 6 barycentre 0,1 x8.npy -o made/m.npy
fails 'clouds of other types' 7 barycentre x.npy x8.npy -o made/m.npy
fails 'a cloud of no points' 6 barycentre b0.npy b.npy -o made/m.npy
fails 'a batch of clouds' 6 barycentre cube.npy cube.npy -o made/m.npy
fails 'weights that are called otherwise' 4 barycentre 0,1 2,3 wieghts=1,2 -o made/m.npy
fails 'weights of an infinite sum' 2 barycentre 0,1 2,3 weights=1e308,1e308 -o made/m.npy
fails 'points of a density' 2 barycentre 0,1 1,0 --grid --points 3 -o made/m.npy
for option in --dark --normalize '--spacing 2'; do
    # shellcheck disable=SC2086
    fails "of clouds $option" 2 barycentre 0,1 2,3 $option -o made/m.npy
done
for option in --dark '--spacing 2' '--grid --truncate 1e-3'; do
    # shellcheck disable=SC2086
    fails "of what is none $option" 2 transport 0,1 1,0 $option -o gradient-a=made/g.npy
done
printf '1e308\n1e308\n' >huge.csv
fails 'weights of an infinite sum beside each other' 2 transport huge.csv huge.csv --grid --normalize --dtype f64 -o gradient-a=made/g.npy
shows "GeomLoss's steps, whose marginals nobody asks for" '^iterations  5$' transport 0 1 --schedule geomloss --blur 0.2 --quiet
printf '0,0,0,0\n0,1,0,0\n0,0,0,0\n' >left.csv
printf '0,0,0,0\n0,0,0,1\n0,0,0,0\n' >right.csv
"$quern" barycentre left.csv right.csv --grid -o made/m.png >out 2>err
if grep -q 'without libpng' err; then
    skip 'pictures' 'the tool was built without libpng'
else
    report 'a picture of a barycentre' "$("$quern" eval 'm=Vi(4); ArgMax_i(m)' m=made/m.png >out 2>>err
        [ "$(cat out)" = '0 0 1 0' ] || cat out err)"
    shows 'a distance of pictures' '^value  *0.03125$' transport left.csv made/m.png --grid --quiet
    shows 'of what is dark in them' '^value .*\(0$\|e-\)' transport made/m.png made/m.png --grid --dark --quiet
    head -c 60 made/m.png >cut.png
    fails 'a picture that is cut' 15 transport cut.png made/m.png --grid
    fails 'a picture of three axes' 6 barycentre cube.npy cube.npy --grid --normalize -o made/c.png
fi
rm -f made/m.png
shows 'neighbours and distances' '1 2' knn 0,1,3,7 -k 2
shows 'points within a radius' '^1$' knn 0,1,3,7 --radius 2
shows 'a class told by neighbours' '^1$' knn 0,1,3,7 6 --labels 0,0,1,1
shows 'how many are told right' '"accuracy": 0.5' knn 0,1,3,7 0,1 --labels 4,4,5,5 --truth 4,5 --json
shows 'a mean of neighbours' '^15$' knn 0,1,3,7 0.5 -k 2 --values 10,20,30,40
shows 'a metric with a parameter' '^3$' knn 0,1,3,7 5 --metric 's=Pm(1); Abs(s*x-y)' s=2
"$quern" knn 0,1,3,7 -k 2 --mutual -o offsets=made/o.csv -o indices=made/k.csv >out 2>err
report 'edges of both ends' "$([ "$(paste -s -d, made/k.csv)" = 1,2,0,2,1,0 ] && [ ! -s out ] || cat out err made/k.csv)"
rm -f made/o.csv made/k.csv
shows 'an approximate search' '"recall": 1' knn 0,1,3,7 --cells 2 --probes 2 --json
fails 'no points to be neighbours' 8 knn -k 2
fails 'no neighbours' 2 knn 0,1 -k 0
fails 'a metric that is no formula' 3 knn 0,1 --metric 'x-'
fails 'neighbours and a radius' 2 knn 0,1 -k 2 --radius 1
npy large.npy '<i8' '(3,)' 3 '\0001\0000\0000\0000\0000\0000\0040\0000'
prints 'labels beyond what float64 tells apart' '9007199254740993
9007199254740993' knn 0,1,3 5,6 --labels large.npy
prints 'labels beyond what float32 tells apart' '16777217
16777216' knn 0,10 1,9 --labels 16777217,16777216
fails 'labels that are no whole numbers' 2 knn 0,1 --labels 0,0.5 --quiet
fails 'labels that are typed and too large' 2 knn 0,1 --labels 9007199254740993,0
fails 'a label that is none' 2 knn 0,1 --labels 0,nan
fails 'a metric of one point' 2 knn 0,1 --metric 'Sum(x)'
fails 'a vote about nothing' 2 knn 0,1 --vote inverse
fails 'a radius in cells' 2 knn 0,1 --radius 1 --cells 2
fails 'more cells than points' 2 knn 0,1 --cells 3
fails 'labels of other points' 6 knn 0,1 --labels 0,1,2
fails 'a part that was not asked for' 2 knn 0,1 -o labels=made/l.npy
fails 'a truth without votes' 2 knn 0,1 --truth 0,1
fails 'probes without cells' 2 knn 0,1 --probes 2
fails 'mutual neighbours of queries' 2 knn 0,1 2 --mutual
"$quern" tsne 0,1,2,10,11,12 --dimensions 1 --perplexity 2 --iterations 100 -o made/p.csv >out 2>err
report 'a picture of points' "$([ "$(wc -l <made/p.csv)" -eq 6 ] && [ ! -s out ] || cat out err)"
rm -f made/p.csv
shows 'its report' '"edges": 6' tsne 0,1,5 --iterations 10 --json --quiet
fails 'no points' 2 tsne -o made/p.npy
"$quern" umap 0,1,5,9 labels=0,1,0,1 --iterations 10 --plot made/u.svg >out 2>err
report 'a picture of places' "$([ "$(grep -c circle made/u.svg)" -eq 4 ] && [ "$(grep circle made/u.svg | sed 's/.*fill=//' | sort -u | wc -l)" -eq 2 ] && [ ! -s out ] ||
    cat out err)"
rm -f made/u.svg
fails 'labels for other points' 6 umap 0,1,5 labels=0,1 --iterations 10 --plot made/u.svg
fails 'what is neither points nor labels' 4 tsne 0,1,5 label=0,1 -o made/p.npy
shows 'the report of umap' '"edges": 6' umap 0,1,5 --iterations 10 --json --quiet
fails 'no points for umap' 2 umap -o made/p.npy
fails 'colours that are no labels' 2 umap 0,1,2 labels=0,nan,1 --plot made/u.svg
fails 'points that are not finite' 2 umap 0,inf,2 -o made/p.npy
for command in tsne umap; do
    fails "places for two files: $command" 2 $command 0,1,2 -o made/p.npy -o made/q.npy
    fails "a rate of nothing: $command" 2 $command 0,1,2 --learning-rate 0 -o made/p.npy
done
fails 'a distance of one point' 2 umap 0,1,2 --distance 'Sum(y)' -o made/p.npy
fails 'a perplexity of nothing' 2 tsne 0,1,2 --perplexity 0 -o made/p.npy
for command in 'tsne 0,1,2' 'umap 0,1,2' 'kmeans 0,1,2 -k 1' 'gmm 0,1,2 -k 1' 'dbscan 0,1,2 --radius 1' \
    'meanshift 0,1,2 --bandwidth 1' 'kde 0,1,2'; do
    fails "a picture that is no SVG: $command" 2 $command --plot made/p.png
    fails "a picture in a result's place: $command" 2 $command -o made/p.svg --plot made/../made/p.svg
done
fails 'more neighbours than points' 2 umap 0,1,2 --neighbors 5 -o made/p.npy
fails 'a distance below 0 in the picture' 2 umap 0,1,2 --min-dist -1 -o made/p.npy
fails 'a picture of four dimensions' 2 tsne 0,1,2 --dimensions 4 -o made/p.npy
fails 'a perplexity for more points' 2 tsne 0,1,2 --perplexity 5 -o made/p.npy
fails 'points that are no numbers' 2 tsne 0,nan,2 -o made/p.npy

# ---- densities ----------------------------------------------------------------------------------------------------

prints 'a density' "0.3989423
0.24197072" kde 2 at=2,3 --bandwidth 1 --quiet
prints 'a kernel that is a formula' "0.5
0" kde 2 at=2,3.5 --bandwidth 1 --kernel tophat --quiet
shows 'a density that float32 has no number for' '^6.349[0-9]*e+40$' kde x.npy at=x.npy --bandwidth 1e-14 --quiet
fails 'a bandwidth that float32 has no inverse square for' 17 kde 0 at=0 --bandwidth 1e-30 -o made/g.npy
fails 'a bandwidth that is no word' 2 kde 0,1 at=0 --bandwidth scot -o made/g.npy
prints 'a bandwidth' 'points      3
factor      0.802741562
bandwidth   1.22620799' kde 0,1,3 --dtype f64 --quiet
prints 'a grid' "-1 -inf
0 -0.2876821
1 -inf" kde 0 --bandwidth 1 --kernel epanechnikov --grid 3 --box=-1:1 --log --quiet
shows 'its report' '"effective": 1.8' kde 0,1 w=1,2 --bandwidth likelihood --json --quiet
"$quern" kde 0,1,5 --grid 4 -o made/g.csv --quiet >out 2>err
report 'a grid around the points' "$([ "$(wc -l <made/g.csv)" -eq 4 ] && [ ! -s out ] || cat out err)"
rm -f made/g.csv
"$quern" kde 0,1,5 --plot made/k.svg --quiet >out 2>err && "$quern" kde square.npy --bandwidth 1 --plot made/m.svg --quiet >out 2>err
report 'pictures of densities' "$(grep -q polygon made/k.svg && grep -q '</svg>' made/k.svg && [ "$(grep -c '<circle' made/m.svg)" -eq 2 ] || cat err)"
rm -f made/k.svg made/m.svg
fails 'a picture nowhere' 15 kde 0,1,5 --plot no/k.svg
npy x3.npy '<f4' '(2, 3)' 6 "$one4"
fails 'a picture of three dimensions for a density' 2 kde x3.npy --plot made/k.svg
fails 'no points' 8 kde at=1 -o made/g.npy
fails 'a bandwidth that is none' 2 kde 0,1 at=0 --bandwidth much -o made/g.npy
fails 'a bandwidth of 0' 2 kde 0,1 at=0 --bandwidth 0 -o made/g.npy
fails 'a shape that is none' 2 kde 0,1 at=0 --shape round -o made/g.npy
fails 'a kernel that is no formula' 3 kde 0,1 at=0 --kernel 'Exp(' -o made/g.npy
fails 'a grid and places' 2 kde 0,1 at=0 --grid 4 -o made/g.npy
fails 'a grid of another dimension' 2 kde 0,1 --grid 4,4 -o made/g.npy
fails 'a box that is none' 2 kde 0,1 --grid 4 --box 0-1 -o made/g.npy
fails 'a box of no grid' 2 kde 0,1 at=0 --box 0:1 -o made/g.npy
fails 'another array' 4 kde 0,1 at=0 z=1 -o made/g.npy
fails 'one point without a bandwidth' 17 kde 1 at=0 -o made/g.npy
# ---- clusters ----------------------------------------------------------------------------------------------------

iris=$here/../../examples/data/iris.csv
prints 'labels of clusters' '0
0
1
1' kmeans 0,1,5,6 start=0,5 --quiet
shows 'the inertia of iris' '"inertia": 78.85144142' kmeans "$iris" -k 3 --restarts 5 --dtype f64 --json --quiet
"$quern" kmeans 0,1,5,6 weights=1,3,1,1 start=0,5 -o made/l.csv --centroids made/c.csv >out 2>err
report 'labels and centroids' "$([ "$(tr '\n' ' ' <made/c.csv)" = '0.75 5.5 ' ] && [ "$(wc -l <made/l.csv)" -eq 4 ] && [ ! -s out ] || cat out err made/c.csv)"
rm -f made/l.csv made/c.csv
fails 'labels and centroids in one place' 2 kmeans 0,1,5 -k 2 -o made/l.npy --centroids made/../made/l.npy
fails 'two ways to begin' 2 kmeans 0,1,5 start=0,5 --start random -o made/l.npy
fails 'another start from the same place' 2 kmeans 0,1,5 start=0,5 --restarts 3 -o made/l.npy
fails 'labels where JSON goes' 2 kmeans 0,1,5 -k 2 -o - --json
fails 'a part where JSON goes' 2 knn 0,1,5 -o indices=- --json
fails 'an array too many' 2 kmeans 0,1,5 2,3 -k 2 -o made/l.npy
shows 'a seed of 0' '^1$' kmeans 0,1,5 -k 2 --seed 0 --quiet
fails 'a seed below 0' 2 kmeans 0,1,5 -k 2 --seed -1
fails 'no number of clusters' 8 kmeans 0,1,5
fails 'no points' 8 kmeans -k 2
fails 'more clusters than points' 6 kmeans 0,1,5 -k 4 -o made/l.npy
fails 'very many more' 6 kmeans 0,1,5 -k 9000000000000000000 -o made/l.npy
fails 'an array that is none' 4 kmeans 0,1,5 sizes=1 -k 2 -o made/l.npy
fails 'a start that is none' 2 kmeans 0,1,5 -k 2 --start first -o made/l.npy
fails 'points that are no numbers' 2 kmeans 0,nan,5 -k 2 -o made/l.npy
fails 'a start of other columns' 6 kmeans 0,1,5 start="$iris" -o made/l.npy
shows 'the likelihood of iris' '"log_likelihood": -1.2012365' gmm "$iris" -k 3 --tolerance 1e-9 --dtype f64 --json --quiet
"$quern" gmm 0,1,5,6 -k 2 -o made/l.csv --means made/m.csv --weights made/w.csv --covariance spherical --responsibilities made/r.csv >out 2>err
report 'parts of a mixture' "$([ "$(sort made/m.csv | tr '\n' ' ')" = '0.5 5.5 ' ] && [ "$(tr '\n' ' ' <made/w.csv)" = '0.5 0.5 ' ] &&
    [ "$(wc -l <made/r.csv)" -eq 4 ] || cat out err made/m.csv made/w.csv)"
rm -f made/l.csv made/m.csv made/w.csv made/r.csv
prints 'clusters and noise' '0
0
-1
1
1
1' dbscan 0,1,5,9,10,11 --radius 1.5 --neighbors 2 --quiet
shows 'what dbscan tells' '"noise": 1' dbscan 0,1,5,9,10,11 --radius 1.5 --neighbors 2 --json --quiet
prints 'clusters by peaks' '0
0
1
1' meanshift 0,1,9,10 --bandwidth 1 --quiet
"$quern" meanshift 0,1,9,10 --bandwidth 1 -o made/l.csv --peaks made/p.csv --plot made/p.svg --quiet >out 2>err
report 'labels, peaks and a picture' "$([ "$(tr '\n' ' ' <made/l.csv)" = '0 0 1 1 ' ] && [ "$(wc -l <made/p.csv)" -eq 4 ] && [ ! -s out ] &&
    [ "$(grep -c circle made/p.svg)" -eq 4 ] || cat out err made/l.csv made/p.csv)"
"$quern" kmeans "$iris" -k 3 --plot made/p.svg --quiet >out 2>err
report 'a picture of clusters' "$([ "$(grep -c circle made/p.svg)" -eq 150 ] && [ ! -s out ] || cat out err)"
rm -f made/l.csv made/p.csv made/p.svg
fails 'no radius' 8 dbscan 0,1
fails 'a radius that is none' 2 dbscan 0,1 --radius -1
fails 'no points for dbscan' 8 dbscan --radius 1
fails 'two files for dbscan' 8 dbscan 0,1 2,3 --radius 1
fails 'points of dbscan that are no numbers' 2 dbscan 0,nan --radius 1
fails 'no bandwidth' 8 meanshift 0,1
fails 'a bandwidth of nothing' 2 meanshift 0,1 --bandwidth 0
fails 'a picture of clusters nowhere' 15 dbscan 0,1 --radius 1 --plot no/p.svg
fails 'no number of components' 8 gmm 0,1,5
fails 'a covariance that is none' 2 gmm 0,1,5 -k 2 --covariance tied -o made/l.npy
fails 'a covariance that is singular' 17 gmm 0,0,5,5 -k 2 --regularization -1 -o made/l.npy
fails 'a regularization of nothing' 17 gmm 0,0,5,5 -k 2 --regularization 0 -o made/l.npy

finish
