"""The ``nssa-gis`` command: options, progress and messages; what computes lies in :mod:`nssa_gis`."""
