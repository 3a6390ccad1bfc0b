"""The exception that the live half raises."""

from unrolled.errors import MismatchError


class ModuleError(MismatchError):
    """A module, a batch or a request does not fit: one line that names what is wrong and what would be right."""


class InputChanged(Exception):
    """A part of the module changed the estimate it was given, in place. Caught while wrapping, which then passes a copy."""

    def __init__(self, part):
        super().__init__(part)
        self.part = part
