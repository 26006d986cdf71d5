from .benchmark import conditions, corrupted_images, run_robustness, score_condition
from .comparison import (
    ALL,
    compare_models,
    doubt_gains,
    falls_from_clean,
    mean_by_severity,
    robustness_summary,
)
from .doubt import DOUBTS, doubt_cases, retention
