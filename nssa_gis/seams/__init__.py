"""Merging per-tile detections over tile seams."""

from nssa_gis.seams.merge import SeamMerger, merge_detections

__all__ = ["SeamMerger", "merge_detections"]
