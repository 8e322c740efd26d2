"""Accuracy of detections against labels."""
