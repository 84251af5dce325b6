"""npy.py: .npy files as tests in Python write them, without NumPy."""
import struct


def put_npy(name, descr, shape, data, order=False):
    """Version 1.0, of bytes; descr as NumPy writes it, or a list of fields."""
    header = f"{{'descr': {descr if descr[0] == '[' else repr(descr)}, 'fortran_order': {order}, 'shape': {shape}, }}"
    header += ' ' * (53 - len(header) % 64 if len(header) % 64 < 54 else 117 - len(header) % 64) + '\n'
    with open(name, 'wb') as file:
        file.write(b'\x93NUMPY\1\0' + struct.pack('<H', len(header)) + header.encode() + data)
