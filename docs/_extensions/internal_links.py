"""Warn of links in the built pages that lead nowhere inside of the site."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

logger = logging.getLogger(__name__)


class Page(HTMLParser):
    """The targets of a page's links, and the names by which others may link into it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.names = set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.names.update(filter(None, (attrs.get("id"), attrs.get("name"))))
        self.links.update(filter(None, (attrs.get("href"), attrs.get("src"))))


def broken(root):
    """Pairs of a page and a link of it without a target."""
    pages = {
        path.resolve(): Page(path) for path in root.rglob("*.html") if "_static" not in path.parts
    }
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue  # another site's
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (
                parts.fragment
                and target in pages
                and unquote(parts.fragment) not in pages[target].names
            ):
                yield path.relative_to(root.resolve()), link


def check(app, exception):
    if exception is None and app.builder.format == "html":
        for path, link in broken(Path(app.outdir)):
            logger.warning("%s: no target of %s", path, link)


def setup(app):
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
