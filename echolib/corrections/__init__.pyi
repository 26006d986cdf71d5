from .outline import leaflet_mask, outline_points, spline, ventricle_mask
