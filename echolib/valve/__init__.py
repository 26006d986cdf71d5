"""The mitral valve: leaflets in every frame, how far they open, scores."""
