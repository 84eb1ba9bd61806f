"""Studies: recipes of data and runs, one runner, one report.

`read_study` reads recipes, `only_runs` takes some of their runs, `run_study` does what they say,
and `study_page` sets what came out beside what the paper found.
"""

from enhancer_core.study.only import only_runs
from enhancer_core.study.page import study_page
from enhancer_core.study.reading import read_study
from enhancer_core.study.recipe import Recipe, Study
from enhancer_core.study.runner import Results, run_study

__all__ = ["Recipe", "Results", "Study", "only_runs", "read_study", "run_study", "study_page"]
