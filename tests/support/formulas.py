"""formulas.py: what the tests of tests/formulas.txt share: its formulas, and what `quern explain` says of them."""
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read_formulas():
    """{name: formula}, in the order of the file."""
    with open(os.path.join(HERE, 'formulas.txt'), encoding='utf-8') as file:
        lines = [line.split(':', 1) for line in file if line.strip() and not line.startswith('#')]
    return {name: formula.strip() for name, formula in lines}


def explain(quern, formula, *options):
    """(output, None) or ('', what went wrong) of `quern explain`, for which there is no OpenCL driver."""
    with tempfile.TemporaryDirectory() as no_drivers:
        done = subprocess.run([quern, 'explain', formula, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env={**os.environ, 'OCL_ICD_VENDORS': no_drivers})
    fault = f'quern explain, exit code {done.returncode}: {done.stderr.strip()}' if done.returncode else None
    return ('' if fault else done.stdout), fault
