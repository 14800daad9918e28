"""What layers keep of their last forward pass, for the penalties."""

from typing import Any


class LastForward:
    """The values of one layer's last forward pass, as attributes; not part of the layer's state.

    Copies and pickles of a layer start without: values that carry a gradient can be in neither.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> "LastForward":
        return LastForward()

    def __reduce__(self) -> tuple[type["LastForward"], tuple[()]]:
        return LastForward, ()
