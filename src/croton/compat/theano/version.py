"""``theano.version``: the version whose programs are understood."""

from __future__ import annotations

version = "1.0.5+croton"
"""Theano's last, so that a program that asks for at least some version goes on."""

full_version = version
short_version = version
git_revision = ""
release = True
