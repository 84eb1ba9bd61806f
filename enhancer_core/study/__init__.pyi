from .recipe import Recipe as Recipe
from .recipe import Study as Study
from .runner import Results as Results
from .runner import run_study as run_study
from .select import only_runs as only_runs
from .toml import read_study as read_study
