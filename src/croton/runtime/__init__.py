"""Runs programs: the native call path, threads, memory, BLAS, the object cache."""
