"""The left ventricle over a beat: volumes, beats, ejection fraction and its interval."""
