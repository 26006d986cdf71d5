"""DICOM clips. What their samples show counts more than what their tags say."""
