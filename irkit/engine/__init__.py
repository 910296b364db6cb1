"""Where batch stages run: this version has the local engine, threads of one process.

Stages hand over pure functions of a batch (reading, hashing and numeric work release the
interpreter lock for most of their time) and get results back in input order, so that an outcome
never depends on timing or on the number of threads.
"""

from __future__ import annotations
