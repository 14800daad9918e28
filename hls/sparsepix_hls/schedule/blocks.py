"""The blocks of a function: which ones are loops, and what decides between them."""

from collections.abc import Sequence
from functools import cached_property


class Blocks:
    """Blocks by number, the first one being the entry.

    Args:
        successors: of each block.
    """

    def __init__(self, successors: Sequence[Sequence[int]]) -> None:
        self.successors = successors
        self.predecessors: list[list[int]] = [[] for _ in successors]
        self.reached, waiting = {0}, [0]
        while waiting:  # LLVM leaves blocks that nothing leads to: they would seem to be a way around a loop's head
            block = waiting.pop()
            for other in successors[block]:
                self.predecessors[other].append(block)
                if other not in self.reached:
                    self.reached.add(other)
                    waiting.append(other)

    @cached_property
    def dominators(self) -> list[set[int]]:
        """The blocks that every way to a block goes through, itself included."""
        everything = set(range(len(self.successors)))
        found = [{0}, *(set(everything) for _ in self.successors[1:])]
        changed = True
        while changed:
            changed = False
            for block in range(1, len(found)):
                before = [found[p] for p in self.predecessors[block]]
                now = (set.intersection(*before) if before else set()) | {block}
                changed |= now != found[block]
                found[block] = now
        return found

    @cached_property
    def loops(self) -> dict[int, set[int]]:
        """The blocks of each loop, by the one at its head."""
        found: dict[int, set[int]] = {}
        for head, before in enumerate(self.predecessors):
            for block in before:
                if head not in self.dominators[block]:
                    continue
                body, waiting = {head}, [block]
                while waiting:
                    some = waiting.pop()
                    if some not in body:
                        body.add(some)
                        waiting += self.predecessors[some]
                found.setdefault(head, set()).update(body)
        return found

    def deciding(self, block: int) -> set[int]:
        """The blocks with more than one end between the block that dominates this one and itself."""
        above = self.dominators[block] - {block}
        if not above:
            return set()
        stop = max(above, key=lambda some: len(self.dominators[some]))
        seen, waiting = set(), [block]
        while waiting:
            for before in self.predecessors[waiting.pop()]:
                if before not in seen:
                    seen.add(before)
                    if before != stop:
                        waiting.append(before)
        return {some for some in seen if len(self.successors[some]) > 1}
