from .document import check_document, read_download
from .outline import leaflet_mask, outline_points, spline, ventricle_mask, ventricle_tracing
