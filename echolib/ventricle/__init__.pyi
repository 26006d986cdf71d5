from .adaptation import adapt
from .calibration import SPREADS, Calibration, fit_calibration, load_calibration, needed_widening
from .clip import ClipFunction, measure_clip, measure_pair
from .function import Beat, HeartFunction, heart_function
from .networks import Networks, load_networks
from .scores import dice_scores, ef_scores, ef_scores_by_range
from .study import measure_study, stored_result
from .words import headline
