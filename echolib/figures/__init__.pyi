from .base import (
    PALETTE,
    dark_legend,
    draw_agreement,
    draw_landmarks,
    draw_mask,
    draw_mask_outlines,
    draw_outline,
    draw_tracing,
    image_grid,
    panel_grid,
    save,
    show_image,
    styled,
    use_style,
)
from .corrections import correction_curve
from .film import write_gif, write_video
from .heart import average_heart, heart_curves, heart_figure, heart_volume
from .leaflets import (
    Tile,
    augmented_sheet,
    draw_box,
    step_figure,
    valve_sheet,
)
from .measures import draw_measures
from .network import unet_diagram
from .numbers import (
    draw_bland_altman,
    draw_grey_levels,
    draw_histogram,
    draw_scatter,
    frame_times,
)
from .opening import (
    draw_opening,
    opening_figure,
    opening_video,
)
from .overlay import (
    GREEN,
    OVERLAY_COLOURS,
    PINK,
    Film,
    add_outlines,
    beside_curve,
    brightened,
    darken,
    draw_outlines,
    enlarge,
    outlined,
)
from .robustness import (
    MODEL_COLOURS,
    comparison_forest,
    corruption_sheet,
    difference_forest,
    heatmap_sheet,
    retention_curves,
    severity_curves,
    worst_cases,
)
from .training import (
    area_curve,
    compare_cases,
    learning_curves,
    score_histograms,
)
from .ventricle import (
    curve_figure,
    curve_legend,
    draw_function,
    draw_moment,
    ef_figure,
    for_display,
    function_figure,
    function_video,
    moment_figure,
)
