"""finding.py: what findings share: one OpenCL driver alone, its device, and the end.

A program ends with 0 if it saw what its finding says, 1 if not, 77 where a driver is not to be had.
"""
import os
import sys


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
