"""Phantom studies: synthetic echocardiograms whose outlines are known by construction.

They stand in for real data sets that are absent.
"""
