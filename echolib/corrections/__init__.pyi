from .comparison import agreement, agreement_summary
from .document import check_document, read_download
from .folder import Folder
from .outline import leaflet_mask, outline_points, spline, ventricle_mask, ventricle_tracing
from .videos import origin
