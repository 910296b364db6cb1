"""Evaluation of the detectors: attack grid, false alarms, baselines, real runs, targets.

Run it through ``python tests/bench/bench_detection.py``; every part is seeded, uses the calibration
that ships (or one given), and goes through the product's own replay.

* :mod:`~detection_harness.families`, :mod:`~detection_harness.ordinary`: who attacks, who does not.
* :mod:`~detection_harness.staging`: makes a case of them, replays it, reads the verdicts.
* :mod:`~detection_harness.grid`: recall by family, credentials, dilution, queries, scoring.
* :mod:`~detection_harness.alarms`: false alarms per kind of ordinary traffic.
* :mod:`~detection_harness.windows`: irkit, MMD and PRADA on the very same windows.
* :mod:`~detection_harness.classifier`: rows sent to a classifier, on a calibration of its own.
* :mod:`~detection_harness.real_runs`: real extraction runs, real scripted runs, probe collections.
* :mod:`~detection_harness.targets`: what was to be reached, and whether it was.
"""
