"""Background windows of a genome: no N, far from genes, off excluded intervals and off each other.

What is allowed is cut into windows once, and windows are drawn from those. So nothing is tried and
thrown away: the time is linear in the genome, the number that a genome can supply is known, and no
two windows can overlap.
"""

from enhancer_core.background.candidates import BackgroundRules, Candidates, candidate_windows
from enhancer_core.background.composition import Composition, measure_composition
from enhancer_core.background.drawing import (
    GC_STEPS,
    REPEAT_STEPS,
    Background,
    Match,
    draw_background,
)

__all__ = [
    "GC_STEPS",
    "REPEAT_STEPS",
    "Background",
    "BackgroundRules",
    "Candidates",
    "Composition",
    "Match",
    "candidate_windows",
    "draw_background",
    "measure_composition",
]
