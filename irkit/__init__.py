"""irkit: forensics and breach notification for training-data extraction from deployed AI models."""

from __future__ import annotations

__version__ = "0.1.0"
