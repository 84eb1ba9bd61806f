"""Studies: recipes of data and runs, one runner, one report.

`read_study` reads recipes, `only_runs` takes some of their runs, `run_study` does what they say,
and `study_page` sets what came out beside what the paper found.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
