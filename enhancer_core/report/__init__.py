"""Write reports as HTML that needs nothing but a browser, or as Markdown with PNG images.

Functions that end in `_page` compose a `Page` out of results, `render_page` and `render_markdown`
write it. All are pure: the same values give the same bytes. `write_outcome` writes the files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
