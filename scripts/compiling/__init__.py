"""Compiling: how the package is built, with a compiled core if its owner asks for it."""
