"""Claims: a statement with its source, the expected and the measured value, the tolerance, and a negative control.

``claim`` says what one consists of; ``relations`` make one from two numbers.
"""

from .claim import Claim, Control
from .relations import at_least, at_most, close_to

__all__ = ["Claim", "Control", "at_least", "at_most", "close_to"]
