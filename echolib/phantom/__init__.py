"""Synthetic echocardiograms: data for those who have none, with outlines known by construction."""
