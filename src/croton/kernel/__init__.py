"""The loop language in which the kernels of a program are written."""
