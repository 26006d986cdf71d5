from .benchmark import conditions, corrupted_images, run_robustness, score_condition
from .comparison import (
    ALL,
    compare_models,
    differences_from_first,
    doubt_gains,
    falls_from_clean,
    mean_by_severity,
    robustness_summary,
    seen_in_training,
)
from .doubt import DOUBTS, doubt_cases, retention
