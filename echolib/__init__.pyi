from .browser.opening import browse
from .data import open_data
from .data.clips import Clip, example_clip, read_clip
from .data.frames import FrameSet
from .data.packing import pack, pack_once
from .data.valve.study import open_mitral
from .errors import DataError
from .networks.inference import outline, predict, score
from .networks.models import UNet, load_model, save_model
from .networks.plan import TrainingConfig
from .networks.training import Training
from .phantom.mitral_study import find_mitral
from .phantom.studies import find_echonet
from .report.ventricle import write_report
from .valve.finder import find_leaflets, load_finder
from .valve.opening import opening_curve
from .ventricle.clip import ClipFunction, measure_clip
from .ventricle.networks import load_networks
from .ventricle.scores import ef_scores
from .ventricle.study import measure_study

__version__: str
