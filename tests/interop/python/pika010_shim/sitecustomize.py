"""Lets pika 0.10.0 (2015) start under a Python of today; on PYTHONPATH of its programs only. Nothing that touches the
wire is changed."""
import collections
import collections.abc
import sys

# `collections.Callable` moved in Python 3.3 and its old name went in 3.10.
collections.Callable = collections.abc.Callable
# The libev adapter has an attribute called `async`, a keyword since 3.7. pika treats the adapter as optional when its
# import fails, but a SyntaxError is not an ImportError; a None here makes it one.
sys.modules["pika.adapters.libev_connection"] = None
