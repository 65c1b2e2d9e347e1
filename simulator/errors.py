"""What the simulator refuses, in sentences."""


class BadInputError(ValueError):
    """A control or phone request cannot be understood; its text is the 400's sentence."""
