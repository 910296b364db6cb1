"""What the faces call a leak: training text that came out and concerns a person."""

from __future__ import annotations

#: Memorised passages linked to a person; where the case links nobody (no subject ids, no register),
#: every memorised passage.  Models repeat harmless training text all day, and a screen that
#: marked all of it would hide the breach.
LEAKS = """
SELECT e.* FROM exposure e WHERE e.provenance = 'memorised' AND (
  e.exposure_id IN (SELECT exposure_id FROM exposure_subject)
  OR NOT EXISTS (SELECT 1 FROM exposure_subject))
"""
