#!/usr/bin/env python3
"""Prints the architectures of the NVIDIA cards of this machine as nvcc names them ("90a", "86;89"), or nothing.

Asks the driver alone; no toolkit is needed. A card counts when libcuda.so.1 loads and cuInit succeeds.
"""
import ctypes
import sys

COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


def architecture(major, minor):
    # Hopper's own instructions exist only under the name with an a.
    return "90a" if (major, minor) == (9, 0) else f"{major}{minor}"


def main():
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return
    found = set()
    for index in range(count.value):
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        answers = (driver.cuDeviceGet(ctypes.byref(device), index),
                   driver.cuDeviceGetAttribute(ctypes.byref(major), COMPUTE_CAPABILITY_MAJOR, device),
                   driver.cuDeviceGetAttribute(ctypes.byref(minor), COMPUTE_CAPABILITY_MINOR, device))
        if any(answers):
            print(f"card {index}: the driver answered {answers}", file=sys.stderr)
            continue
        found.add(architecture(major.value, minor.value))
    print(";".join(sorted(found)), end="")


main()
