"""A checker of '#pragma HLS' in C++ sources: its reader of C++, the rules of the directives, and the checks."""

from hls_pragmas.checker import check as check
