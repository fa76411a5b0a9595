"""Sparse coding: notes 08-2. Reading order: `sparse_coding`."""
