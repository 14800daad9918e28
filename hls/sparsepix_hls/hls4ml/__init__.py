"""Our models as hls4ml ``ModelGraph``s: its build flow, its reports and its other layers work on them.

Needs hls4ml 1.3 (``pip install sparsepix[hls4ml]``), which is imported when ``convert`` is called.
"""

from sparsepix_hls.hls4ml.conversion import convert

__all__ = ["convert"]
