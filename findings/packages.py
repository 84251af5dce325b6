"""packages.py: runs a finding with pinned packages in a temporary folder, and with one OpenCL driver.

    from packages import run_with
    run_with('faiss-cpu==1.15.1')     # returns in the script that has them; the caller ends in it

Exits with 77 where a package or a driver cannot be had.
"""
import os
import subprocess
import sys
import tempfile


def run_with(*pins):
    """Goes on in a process that has the packages; this one ends with its exit status."""
    if os.environ.get('FINDING'):
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
        python = os.path.join(folder, 'bin', 'python')
        if subprocess.run([python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', *pins]).returncode:
            print('cannot be had: ' + ' '.join(pins))
            sys.exit(77)
        os.mkdir(os.path.join(folder, 'home'))
        environment = dict(os.environ, FINDING=folder, HOME=os.path.join(folder, 'home'), OMP_NUM_THREADS='1')
        sys.exit(subprocess.run([python, *sys.argv], env=environment).returncode)


def use_driver(library, **variables):
    """Shows OpenCL this driver alone, before it is loaded."""
    folder = os.path.join(os.environ['FINDING'], 'icd')
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, 'driver.icd'), 'w', encoding='utf-8') as file:
        file.write(library + '\n')
    os.environ.update({'OCL_ICD_VENDORS': folder, 'POCL_CACHE_DIR': os.path.join(os.environ['FINDING'], 'pocl'),
                       'MESA_SHADER_CACHE_DIR': os.path.join(os.environ['FINDING'], 'mesa'), **variables})


def open_device(part):
    """A pyopencl context and queue on the first device, whose platform's version has this part."""
    import pyopencl as cl
    try:
        device = cl.get_platforms()[0].get_devices()[0]
    except (cl.Error, IndexError):
        print('the driver is not installed')
        sys.exit(77)
    print(device.platform.version, '|', device.name, '|', device.driver_version)
    if part not in device.platform.version + device.driver_version:
        print(f'not the version of this finding, {part}')
        sys.exit(77)
    context = cl.Context([device])
    return context, cl.CommandQueue(context)


def conclude(seen, expected):
    """Prints what was seen; fails if it is not what this finding says."""
    print(seen)
    if seen != expected:
        print(f'not as before: {expected}')
        sys.exit(1)
    print('as described')
