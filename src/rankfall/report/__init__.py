"""From experiments to what people look at: stored results, and one page that shows them."""

from .page import stored_names, write_page
from .reproduce import reproduce

__all__ = ["reproduce", "stored_names", "write_page"]
