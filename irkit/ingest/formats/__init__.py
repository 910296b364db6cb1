"""One file per log format; each holds a declaration named ``FORMAT`` or ``FORMATS``.

A file may also declare ``ENVELOPES``: wrappers around records.  Nothing else needs to know of a
new file: :mod:`irkit.ingest.registry` imports every module of this package.
"""
