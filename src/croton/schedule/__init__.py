"""From an optimised graph to a Program: what is fused, where it is kept, which loops run."""
