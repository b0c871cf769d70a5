"""From experiments to what people look at: stored results, and one page that shows them."""

from .comparison import store_comparison
from .page import write_page
from .reading import stored_names
from .reproduce import reproduce

__all__ = ["reproduce", "store_comparison", "stored_names", "write_page"]
