from .augment import Augmentation, Augmenter
from .corruptions import CORRUPTIONS, SEEN, SEVERITIES, UNSEEN, corrupt
from .heatmaps import soft_argmax
from .inference import (
    Case,
    outline,
    outline_landmarks,
    predict,
    predict_cases,
    predict_regions,
    score,
    square_masks,
)
from .levels import count_parameters, level_table
from .losses import bce_dice_loss, dice_loss, soft_iou_loss
from .models import (
    ConvBlock,
    Encoder,
    LandmarkRegressor,
    LandmarkUNet,
    UNet,
    load_model,
    new_model,
    save_model,
    shape_of,
    start_from,
    weights_digest,
)
from .plan import TrainingConfig
from .training import Training

TARGETS: tuple[str, ...]
PRECISIONS: tuple[str, ...]
