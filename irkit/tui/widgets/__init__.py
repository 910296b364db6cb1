"""Widgets of the screens; none of them reads the case itself."""
