#!/usr/bin/env python3
"""knn_answers.py: `quern knn` on two sets of data whose answers are known.

    python3 tools/knn_answers.py [PATH/TO/quern]

Letter recognition (Frey and Slate 1991; UCI, CC BY 4.0) from Debian's opencv-doc: 16,000 letters tell 4,000 others. Digits
(Alpaydin and Kaynak 1998; UCI, CC BY 4.0) from the wheel of scikit-learn: each of 1,797 told by the others. Both are fetched into a
temporary folder (`apt-get download`, `pip download`). The accuracies expected are those of a search in NumPy with the same ties, to
the smaller index and the smaller label; scikit-learn 1.9 takes any of the neighbours that are as far, and so has 0.94425 and
0.94900 for 5-NN (brute).
Exit status: 0 all as expected, 1 not, 77 no data.
"""
import gzip
import json
import os
import subprocess
import sys
import tempfile
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LETTERS = 'usr/share/doc/opencv-doc/examples/data/letter-recognition.data'
DIGITS = 'sklearn/datasets/data/digits.csv.gz'
ANSWERS = [('letters', 1, 'l2', 0.95650), ('letters', 1, 'l1', 0.94975), ('letters', 5, 'l2', 0.94475),
           ('letters', 5, 'l1', 0.95000), ('digits', 1, 'l2', 0.98831)]


def fetch(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def found(suffix):
    return next((name for name in os.listdir('.') if name.endswith(suffix)), None)


def letters():
    """Lines of numbers: 26 letters as 0 to 25, then 16 features."""
    if not fetch('apt-get', 'download', 'opencv-doc'):
        return None
    tar = subprocess.run(['dpkg-deb', '--fsys-tarfile', found('.deb')], stdout=subprocess.PIPE, check=True).stdout
    text = subprocess.run(['tar', 'xO', './' + LETTERS], input=tar, stdout=subprocess.PIPE, check=True).stdout.decode()
    rows = [line.split(',') for line in text.split()]
    return [[str(ord(row[0]) - ord('A'))] + row[1:] for row in rows]


def digits():
    """The same of digits: 64 features."""
    if not fetch(sys.executable, '-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', 'scikit-learn'):
        return None
    with zipfile.ZipFile(found('.whl')) as wheel:
        lines = gzip.decompress(wheel.read(DIGITS)).decode().split()
    rows = [line.split(',') for line in lines]
    return [[str(int(float(row[-1])))] + row[:-1] for row in rows]


def write(name, rows):
    """NAME.csv has the features, NAME-is.csv what they are."""
    for path, columns in ((name + '.csv', slice(1, None)), (name + '-is.csv', slice(0, 1))):
        with open(path, 'w', encoding='ascii') as file:
            file.writelines(','.join(row[columns]) + '\n' for row in rows)


def accuracy(quern, name, k, metric):
    files = [name + '.csv', '--labels', name + '-is.csv']
    if name == 'letters':
        files += ['tests.csv', '--truth', 'tests-is.csv']
    done = subprocess.run([quern, 'knn', *files, '-k', str(k), '--metric', metric, '--dtype', 'f32', '--json', '--quiet'],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)['accuracy']


def main():
    quern = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, 'build/src/cli/quern'))
    wrong = 0
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        data = {'letters': letters(), 'digits': digits()}
        for name, rows in data.items():
            if rows:
                write(name, rows[:16000])
                write('tests', rows[16000:]) if name == 'letters' else None
        for name, k, metric, expected in ANSWERS:
            if not data[name]:
                print(f'{name}: no data')
                continue
            got = accuracy(quern, name, k, metric)
            wrong += abs(got - expected) > 5e-6
            print(f'{name} {k}-NN {metric}: {got:.5f}, expected {expected:.5f}')
        os.chdir(ROOT)
    return 77 if not any(data.values()) else int(wrong > 0)


if __name__ == '__main__':
    sys.exit(main())
