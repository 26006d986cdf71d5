from .finder import ValveFinder, find_leaflets, finder_files, load_finder
from .opening import Opening, opening_curve
from .scores import score_valves, summary
from .submission import read_submission, write_submission
from .training import (
    RECIPE_SIZE,
    RECIPE_THRESHOLD,
    changes,
    choose_threshold,
    fine_tuning,
    fold_splits,
    stage_one,
    stage_two,
    train_finder,
    train_recipe,
    tune,
)
