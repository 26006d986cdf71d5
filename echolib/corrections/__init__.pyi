from .comparison import agreement, agreement_summary
from .document import check_document, read_download
from .folder import Folder
from .from_masks import drawn_masks, keep_masks, mask_document, read_masks
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
from .videos import origin
