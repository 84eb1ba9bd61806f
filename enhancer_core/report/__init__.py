"""Write reports as HTML that needs nothing but a browser, or as Markdown with PNG images.

`report_page` composes the report of a training run out of a `ReportContent`; `render_page` and
`render_markdown` write any `Page`. All are pure functions: the same content gives the same bytes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
