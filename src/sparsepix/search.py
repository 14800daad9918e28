"""Search for models that are accurate and small: the public names of ``sparsepix.training.search``."""

from sparsepix.training.search import Found, front_table, pareto, pareto_front, search
from sparsepix.training.search_space import SPACE, parse_space

__all__ = ["SPACE", "Found", "front_table", "pareto", "pareto_front", "parse_space", "search"]
