"""Every picture: frames with outlines, curves, scores, overlays and videos."""
