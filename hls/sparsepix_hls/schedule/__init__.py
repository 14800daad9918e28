"""A schedule of the generated C++, from the code itself: cycles and intervals without the vendor's tool."""
