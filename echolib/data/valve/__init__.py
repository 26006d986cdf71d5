"""Readers of the mitral valve sets: the course task and NN-MitralSeg."""
