#!/usr/bin/env python3
"""Files that users bring to `quern eval`: .npy of every type and order, tables as text, and what is written.

    python3 tests/cli/files_test.py build/src/cli/quern

Each case is a file's bytes, a formula on it, and what is printed or told. Runs are small and stay on the host. Prints a
line for each case that fails and the sums; NumPy, where it is installed, reads and writes the same files.
"""
import os
import resource
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from npy import put_npy

QUERN = os.path.abspath(sys.argv[1])
ENVIRONMENT = dict(os.environ, QUERN_HOST='on', LC_ALL='C')
# exit codes, of quern/status.def
USAGE, SHAPE, DTYPE, LIMIT, MEMORY, IO = 2, 6, 7, 9, 14, 15
results = {True: 0, False: 0, None: 0}


def report(good, name, fault=''):
    results[good] += 1
    print({True: 'ok', False: 'not ok', None: 'skip'}[good], '-', name, fault)


def run(*words, stdin=b'', limit=None):
    def lower():
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    done = subprocess.run([QUERN, 'eval', *words], input=stdin, capture_output=True, env=ENVIRONMENT, preexec_fn=lower)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def prints(name, out, *words, told='', stdin=b''):
    code, got, err = run(*words, stdin=stdin)
    report((code, got, err) == (0, out, told), name, f'gave {code}, {got!r}, {err!r}')


def fails(name, code, told, *words, stdin=b'', limit=None):
    got, out, err = run(*words, stdin=stdin, limit=limit)
    report((got, out) == (code, '') and told in err and err.count('\n') <= 2, name, f'gave {got}, {out!r}, {err!r}')


def put(name, data):
    with open(name, 'wb') as file:
        file.write(data)


# ---- .npy: every type in both byte orders, both orders of elements ----

TYPES = {'f2': 'e', 'f4': 'f', 'f8': 'd', 'b1': '?', 'i1': 'b', 'u1': 'B', 'i2': 'h', 'u2': 'H', 'i4': 'i', 'u4': 'I',
         'i8': 'q', 'u8': 'Q'}


def read_types():
    for code, letter in TYPES.items():
        for order in '<>':
            written = ('|' if code[1] == '1' else order) + code
            data = struct.pack(order + '6' + letter, 0, 1, 1, 0, 1, 0)
            shown = 'float64' if code == 'f8' else 'float32'
            told = '' if written in ('<f4', '<f8') else f'quern: x: t.npy holds {written}; read as {shown}\n'
            put_npy('t.npy', written, (2, 3), data)
            prints(f'{written} by rows', '0 2 2\n0 2 0\n', 'x=Vi(3); x*2', 'x=t.npy', told=told)
            prints(f'{written} asked for as float64', '0 2 2\n0 2 0\n', 'x=Vi(3); x*2', 'x=t.npy', '--dtype', 'f64')
            told = f'quern: x: t.npy holds {written}, stored by columns; read as {shown}\n'
            put_npy('t.npy', written, (2, 3), data, order=True)
            prints(f'{written} by columns', '0 2 2\n2 0 0\n', 'x=Vi(3); x*2', 'x=t.npy', told=told)
            told = '' if written in ('<f4', '<f8') else f'quern: x: t.npy holds {written}; read as {shown}\n'
            put_npy('t.npy', written, (6,), data, order=True)
            prints(f'{written}, one axis', '0\n1\n1\n0\n1\n0\n', 'x=Vi(1); x', 'x=t.npy', told=told)
            prints(f'{written}, a parameter', '3\n', 'x=Pm(6); Sum(x)', 'x=t.npy', told=told)
    put_npy('t.npy', '<f4', (), struct.pack('<f', 7))
    prints('no axis', '7\n', 'x=Pm(1); x', 'x=t.npy')
    put_npy('t.npy', '>i2', (0, 3), b'')
    prints('no rows', '', 'x=Vi(3); x', 'x=t.npy', told='quern: x: t.npy holds >i2; read as float32\n')


def take_types_of_others():
    put_npy('k.npy', '<i4', (2, 1), struct.pack('<2i', 3, 4))
    put_npy('d.npy', '<f8', (2, 1), struct.pack('<2d', 0.1, 0.2))
    put_npy('f.npy', '<f4', (2, 1), struct.pack('<2f', 0.5, 1))
    formula = 'x=Vi(1); y=Vi(1); x*y'
    prints('int32 beside float64', '0.30000000000000004\n0.8\n', formula, 'x=k.npy', 'y=d.npy',
           told='quern: x: k.npy holds <i4; read as float64\n')
    prints('int32 beside float32', '1.5\n4\n', formula, 'x=k.npy', 'y=f.npy',
           told='quern: x: k.npy holds <i4; read as float32\n')
    put('t.csv', b'0.1\n0.2\n')
    prints('a table beside float64', '0.010000000000000002\n0.04000000000000001\n', formula, 'x=d.npy', 'y=t.csv')
    fails('float32 beside float64', DTYPE, '--dtype', formula, 'x=f.npy', 'y=d.npy')


def tell_losses():
    lost = 'which holds whole numbers up to 16777216 exactly; --dtype f64\n'
    for code, letter in (('i8', 'q'), ('u8', 'Q'), ('i4', 'i'), ('u4', 'I')):
        put_npy('t.npy', '<' + code, (3, 1), struct.pack('<3' + letter, 2**24 + 1, 2**24 + 2, 2**24 + 3))
        prints(f'{code} above 2^24', '16777216\n16777218\n1.677722e+07\n', 'x=Vi(1); x', 'x=t.npy',
               told=f'quern: x: t.npy holds <{code}; read as float32\n'
                    f'quern: x: 2 numbers are changed by the conversion to float32, {lost}')
        prints(f'{code} above 2^24 as float64', '16777217\n16777218\n16777219\n', 'x=Vi(1); x', 'x=t.npy', '--dtype', 'f64')
    put_npy('t.npy', '<i8', (2, 1), struct.pack('<2q', 2**53 + 1, -2**63))
    prints('int64 above 2^53 as float64', '0\n', 'x=Vi(1); Sum_i(x*0)', 'x=t.npy', '--dtype', 'f64',
           told='quern: x: 1 number is changed by the conversion to float64\n')
    put_npy('t.npy', '<f8', (2, 1), struct.pack('<2d', 1e39, 0.1))
    prints('float64 that overflows', 'inf\n0.1\n', 'x=Vi(1); x', 'x=t.npy', '--dtype', 'f32',
           told=f'quern: x: 1 number is changed by the conversion to float32, {lost}')
    prints('a typed number above 2^24', '16777216\n', 'x=Vi(1); x', 'x=16777217',
           told=f'quern: x: 1 number is changed by the conversion to float32, {lost}')
    prints('a fraction is rounded in silence', '0.1\n', 'x=Vi(1); x', 'x=0.1')


def refuse_others():
    for descr, advice in (('<c8', ".view('<f4').reshape(-1, 2)"), ('<U3', "a.astype('<f8')"), ('|O', "a.astype('<f8')"),
                          ("[('a', '<f4'), ('b', '<f4')]", 'structured_to_unstructured')):
        put_npy('t.npy', descr, (1,), bytes(16))
        fails(descr, DTYPE, advice, 'x=Vi(1); x', 'x=t.npy')
    put_npy('t.npy', '<f4', (1,) * 7, bytes(4))
    fails('seven axes', SHAPE, 'reshape', 'x=Vi(1); x', 'x=t.npy')
    put('t.npz', b'PK\3\4')
    fails('an archive', IO, 'several arrays', 'x=Vi(1); x', 'x=t.npz')
    put('t.npy', b'1,2\n')
    fails('text called .npy', IO, 'ends too early', 'x=Vi(1); x', 'x=t.npy')


# ---- tables ----

TABLE = '1 2\n3 4\n'
GOOD = {
    'commas': b'1,2\n3,4\n', 'semicolons': b'1;2\n3;4\n', 'tabs': b'1\t2\n3\t4\n', 'blanks': b'1 2\n 3   4 \n',
    'a header': b'a,b\n1,2\n3,4\n', 'a header of quoted names': b'"a, b","c ""d"""\n1,2\n3,4\n',
    'a header of one name': b',b\n1,2\n3,4\n', 'CRLF': b'1,2\r\n3,4\r\n', 'CR': b'1,2\r3,4\r', 'no last line end': b'1,2\n3,4',
    'a byte order mark': b'\xef\xbb\xbf1,2\n3,4\n', 'a byte order mark and a header': b'\xef\xbb\xbf"a",b\r\n1,2\r\n3,4',
    'quotes': b'"1","2"\n"3" , "4"\n', 'empty lines': b'\n1,2\n\n  \n3,4\n\n', 'comments': b'# a,b\n1,2 # first\n  # no row\n3,4\t#\n',
    'delimiters at the end': b'1,2,\n3,4,\n', 'some delimiters at the end': b'a,b\n1,2\n3,4,\n',
    'blanks around': b' 1 , 2 \n\t3,4\t\n', 'signs and exponents': b'+1,2e0\n.3E+1,4.\n',
    'semicolons and commas in a header': b'"a,b";c\n1;2\n3;4\n', 'a header with another delimiter at the end': b'a;b;\n1;2;\n3;4;\n',
}
BAD = {
    'a word': (b'1,2\n3,x\n', 't.csv, line 2, column 2: "x" is not a number'),
    'a word in the first line': (b'1,x\n3,4\n', 'line 1, column 2: "x"'),
    'a number in a header': (b'a,1\n3,4\n', 'line 1, column 1: "a"'),
    'two headers': (b'a,b\nc,d\n1,2\n', 'line 2, column 1: "c"'),
    'a missing number': (b'1,2\n,4\n', 'line 2, column 1 is empty; write nan'),
    'a missing last number': (b'1,2\n3,\n', 'line 2'),
    'a missing number below a header': (b'a,b\n1,\n', 'line 2'),
    'a quoted nothing': (b'1,2\n"",4\n', 'line 2, column 1 is empty'),
    'a short row': (b'1,2\n\n3\n', 'line 3 has 1 column, but line 1 has 2'),
    'a long row': (b'1,2\n3,4,5\n', 'line 2 has 3 columns, but line 1 has 2'),
    'a row longer than the header': (b'a,b\n1,2,3\n', 'line 2 has 3 columns, but line 1 has 2'),
    'a decimal comma': (b'1,5;2\n3;4\n', 'line 1, column 1: "1,5" is not a number; write a decimal point'),
    'an open quote': (b'1,2\n"3,4\n', 'line 2, column 1: the quote is not closed'),
    'more behind a quote': (b'1,2\n"3"x,4\n', 'line 2, column 1: ""3"x" is not a number'),
    'NA': (b'1,2\nNA,4\n', 'column 1: "NA" is not a number'),
    'a header alone': (b'a,b\n', 'a header but no numbers'),
    'nothing': (b'', 'no numbers'),
    'comments alone': (b'# a\n\n', 'no numbers'),
    'a zero byte': (b'1,2\n3,\0\n', 'line 2 has the byte 0: this is no text'),
    'UTF-16': ('1,2\n'.encode('utf-16'), 'this is no text'),
    'three columns': (b'# p\nx,y,z\n1,2,3\n', 'x: t.csv, line 2 has 3 columns; Vi(2) takes 2'),
    'one column': (b'1\n2\n', 'x: t.csv, line 1 has 1 column; Vi(2) takes 2'),
}


def read_tables():
    for name, data in GOOD.items():
        put('t.csv', data)
        prints(name, TABLE, 'x=Vi(2); x', 'x=t.csv')
        prints(name + ', from stdin', TABLE, 'x=Vi(2); x', 'x=-', stdin=data)
    for name, (data, told) in BAD.items():
        put('t.csv', data)
        fails(name, SHAPE if 'takes' in told else IO, told, 'x=Vi(2); x', 'x=t.csv')
    put('t.csv', b'nan;-inf\nNaN;Infinity\n')
    prints('nan and inf', 'nan -inf\nnan inf\n', 'x=Vi(2); x', 'x=t.csv')
    put('t.csv', b'1\n2\n')
    prints('one column', '1\n2\n', 'x=Vi(1); x', 'x=t.csv')
    prints('one column as a parameter', '3\n', 'x=Pm(2); Sum(x)', 'x=t.csv')
    put('t.csv', b'5\n')
    prints('one number', '5\n', 'x=Pm(1); x', 'x=t.csv')
    fails('a directory', IO, 'Is a directory', 'x=Vi(1); x', 'x=.')
    put('t.csv', b'1' * (1 << 24 | 1))
    fails('a line without end', LIMIT, 'longer than', 'x=Vi(1); x', 'x=t.csv')


def need_memory():
    put('t.csv', b'1\n' * 1000000)
    prints('many rows', '1000000\n', 'x=Vi(1); Sum_i(x)', 'x=t.csv', '--dtype', 'f64')
    put('t.csv', b'1\n' * 4500000)
    fails('too many rows for the memory', MEMORY, 'line ', 'x=Vi(1); Sum_i(x)', 'x=t.csv', limit=50 << 20)
    os.remove('t.csv')


# ---- what is written ----

def written(name):
    with open(name, 'rb') as file:
        return file.read()


def write_tables():
    numbers = [0.1, 1e300, -0.0, 5e-324, 1 / 3, float('inf')]
    put_npy('t.npy', '<f8', (3, 2), struct.pack('<6d', *numbers))
    prints('results as tables', '', 'x=Vi(2); x, ArgMin_i(x)', 'x=t.npy', '-o', 'a.csv', '-o', 'k.tsv')
    rows = [row.split(',') for row in written('a.csv').decode().split('\n')]
    back = [float(number) for row in rows[:-1] for number in row]
    report(struct.pack('<6d', *back) == struct.pack('<6d', *numbers), 'numbers come back from a table', str(rows))
    report(written('k.tsv') == b'1\t1\n', 'indices are whole numbers', str(written('k.tsv')))
    prints('a table read again', '', 'x=Vi(2); x', 'x=a.csv', '--dtype', 'f64', '-o', 'b.CSV')
    report(written('a.csv') == written('b.CSV'), 'the same table')
    prints('float32 as a table', '', 'x=Vi(1); x', 'x=0.1,16777216', '-o', 'a.csv')
    report(written('a.csv') == b'0.1\n16777216\n', 'float32 has few digits', str(written('a.csv')))
    put_npy('t.npy', '<f8', (0, 2), b'')
    prints('no rows as a table', '', 'x=Vi(2); x', 'x=t.npy', '-o', 'a.csv')
    report(written('a.csv') == b'', 'an empty table')
    before = sorted(os.listdir('.'))
    fails('a table where none can be', IO, 'cannot be written', 'x=Vi(1); x', 'x=1', '-o', 'no/a.csv')
    fails('a table on a full disk', IO, 'cannot be written', 'x=Vi(1); x', 'x=1', '-o', 'full.csv')
    report(before == sorted(os.listdir('.')), 'nothing is left behind')


# ---- numbers of the command line ----

def tell_of_typed_numbers():
    fails('numbers that fill no rows', SHAPE, '3 numbers do not fill rows of 2, which Vi(2) has', 'x=Vi(2); x', 'x=1,2,3')
    fails('one number for a row', SHAPE, '1 number does not fill rows of 2', 'x=Vj(2); Sum_j(x)', 'x=1')
    fails('a short parameter', SHAPE, '2 numbers are given; Pm(3) takes 3', 'x=Pm(3); x', 'x=1,2')
    fails('one number for a parameter', SHAPE, '1 number is given; Pm(3) takes 3', 'x=Pm(3); x', 'x=1')
    for text in '1;2;3', '[1,2,3]', '1 2 3', '1, 2,3;':
        fails(text, IO, 'numbers are written 1,2,3', 'x=Vi(1); x', 'x=' + text)


def keep_rows():
    prints('a variable that is removed has its rows', '0\n0\n', 'x=Vi(1); x*0', 'x=1,2')
    fails('and its width', SHAPE, '3 numbers do not fill rows of 2', 'x=Vi(2); x*0', 'x=1,2,3')
    prints('one that is not used tells N', '3\n', 'x=Vi(1); y=Vj(1); Sum_j(1)', 'y=1,2,3')
    prints('and M, by rows of its width', '2\n', 'x=Vi(2); Sum_i(1)', 'x=1,2,3,4')
    prints('a derivative of what is constant', '0 0\n0 0\n', 'x=Vi(2); p=Pm(1); Grad(p*p,x,1)', 'x=1,2,3,4', 'p=1')


def read_batches():
    put_npy('x.npy', '<f4', (2, 3, 1), struct.pack('<6f', 0, 1, 2, 3, 4, 5))
    put_npy('y.npy', '<f4', (2, 1), struct.pack('<2f', 1, 10))
    put_npy('s.npy', '<i2', (2, 1, 1), struct.pack('<2h', 1, 2))
    words = ('x=Vi(1); y=Vj(1); Sum_j(x*y)', 'x=x.npy', 'y=y.npy')
    rows = '0\n11\n22\n33\n44\n55\n'
    prints('three axes are a batch, which others share', rows, *words)
    prints('to .npy', '', *words, '-o', 'a.npy')
    prints('and from it', rows, 'x=Vi(1); x', 'x=a.npy')
    prints('to text', '', *words, '-o', 'a.csv')
    report(written('a.csv') == rows.encode(), 'rows of all members', written('a.csv'))
    prints('a number for each member', '0\n11\n22\n66\n88\n110\n', 'x=Vi(1); y=Vj(1); s=Pm(1); Sum_j(s*x*y)', *words[1:],
           's=s.npy', told='quern: s: s.npy holds <i2; read as float32\n')
    prints('JSON tells sizes', '{"results": [{"batch": [2], "axis": "p", "rows": 1, "columns": 1, "integer": false, '
           '"data": [[3.0], [12.0]]}]}\n', 'x=Vi(1); Sum_i(x)', 'x=x.npy', '--json')
    put_npy('y.npy', '<f4', (3, 1, 1), struct.pack('<3f', 1, 2, 3))
    fails('sizes that do not agree', SHAPE, 'y has a batch of 3, those before it one of 2', *words)


def read_offsets():
    formula = 'x=Vi(1); y=Vj(1); s=Pm(1); Sum_j(s*x*y)'
    words = (formula, 'x=1,2,3', 'y=1,10,100', '--offsets-i')
    prints('a ragged batch', '11\n200\n300\n', *words, '0,1,3', '--offsets-j', '0,2,3', 's=1')
    put_npy('o.npy', '<i4', (3,), struct.pack('<3i', 0, 2, 3))
    put_npy('s.npy', '<f4', (2, 1), struct.pack('<2f', 1, 2))
    prints('offsets in a file, a number for each member', '11\n400\n600\n', *words, '0,1,3', '--offsets-j', 'o.npy', 's=s.npy')
    prints('a result for each member', '1\n5\n', 'x=Vi(1); Sum_i(x)', 'x=1,2,3', '--offsets-i', '0,1,3')
    fails('no two numbers', USAGE, '0 and where each member ends', *words, '0', 's=1')
    fails('half a row', USAGE, '0.5 is not a row', *words, '0,0.5,3', 's=1')
    fails('another number of members', USAGE, '--offsets-i has 2 members, --offsets-j 1', *words, '0,1,3', '--offsets-j', '0,3',
          's=1')
    fails('rows that are left', SHAPE, 'the last member ends at row 2', *words, '0,1,2', '--offsets-j', '0,2,3', 's=1')


def compare_numpy():
    try:
        import numpy
    except ImportError:
        report(None, 'NumPy is not installed')
        return
    a = numpy.asfortranarray(numpy.arange(6, dtype='>i2').reshape(2, 3))
    numpy.save('t.npy', a)
    prints('from NumPy', '0 1 2\n3 4 5\n', 'x=Vi(3); x', 'x=t.npy',
           told='quern: x: t.npy holds >i2, stored by columns; read as float32\n')
    numpy.savetxt('t.txt', a)
    prints('from numpy.savetxt', '0 1 2\n3 4 5\n', 'x=Vi(3); x', 'x=t.txt')
    prints('for numpy.loadtxt', '', 'x=Vi(3); x', 'x=t.txt', '-o', 'a.csv')
    report((numpy.loadtxt('a.csv', delimiter=',') == a).all(), 'to numpy.loadtxt')


def main():
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        os.symlink('/dev/full', 'full.csv')
        for part in (read_types, take_types_of_others, tell_losses, refuse_others, read_tables, need_memory, write_tables,
                     tell_of_typed_numbers, keep_rows, read_batches, read_offsets,
                     compare_numpy):
            part()
        os.chdir('/')
    print(f'{results[True]} passed, {results[False]} failed, {results[None]} skipped')
    return 1 if results[False] else 0


if __name__ == '__main__':
    sys.exit(main())
