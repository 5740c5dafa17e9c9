"""Views drawn from the one record."""

from agent.exports.html import html_page, index_page
from agent.exports.markdown import markdown_text

__all__ = ["html_page", "index_page", "markdown_text"]
