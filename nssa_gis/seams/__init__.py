"""Merging per-tile detections over tile seams."""

from nssa_gis.seams.merge import METHODS, SeamMerger, merge_detections

__all__ = ["METHODS", "SeamMerger", "merge_detections"]
