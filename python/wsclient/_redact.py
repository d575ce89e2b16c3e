"""What may be shown of what holds secrets."""

from __future__ import annotations

import re


def shown_url(url: str) -> str:
    """Return a URL without user, password, query and fragment, whose places are marked."""
    without = re.sub("([?#]).*", r"\1***", url, flags=re.DOTALL)
    return re.sub("//[^/]*@", "//***@", without, count=1)


def shown_text(text: str) -> str:
    """Return what was meant as a URL without all that could be a user, a password or a query in it."""
    return shown_url(re.sub(r"\A([^/@]*//)?.*(?:@|%40)", r"\1***@", text, flags=re.DOTALL))
