from .comparison import agreement, agreement_summary
from .document import check_document, read_download
from .folder import Folder
from .learning import (
    Lesson,
    learn,
    learning_config,
    read_lesson,
    remembered_frames,
    score_frames,
)
from .outline import leaflet_mask, outline_points, spline, ventricle_mask, ventricle_tracing
from .queue import correction_queue, order_frames, read_queue
from .simulated import mask_document
from .videos import origin
