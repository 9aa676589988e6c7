"""The studio: recordings are annotated, models adapted and beats corrected in a local web page.

`Project` does all of it without a browser; `server` gives it to the page in `page/` over HTTP, on this machine alone.
"""

from __future__ import annotations

from levada.studio.project import Project

__all__ = ["Project"]
