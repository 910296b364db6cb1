"""The screens: each reads frozen facts in a worker thread and draws them."""
