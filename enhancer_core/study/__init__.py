"""Studies: recipes of data and runs, carried out with their controls.

`read_study` reads recipes, `only_runs` selects some of their runs, and `run_study` carries them
out; results already on disk are reused. `report.study.page.study_page` reports them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
