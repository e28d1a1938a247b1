"""Settings of the documentation site; CONTRIBUTING.md names the command that builds it."""

import re
import sys
from pathlib import Path

import sklearn_ff

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "sklearn_ff"
author = "sklearn_ff developers"
copyright = author
release = sklearn_ff.__version__
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx_design",
    "sphinx_copybutton",
    "internal_links",
]
exclude_patterns = ["build"]
templates_path = ["_templates"]
default_role = "literal"  # single backticks in docstrings are code, as in Markdown

# Pages. Headings have the anchors that they have on GitHub.
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# API. One page per name, which lists the examples that use it.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_context = {  # what modules of the package, and parts, ask of each other
    "hidden_methods": {"__init__", "changed", "check", "for_layer"},
    "hidden": {
        *("Affine", "BaseMap", "ImageLayer", "PositiveBatchNorm", "built", "checked_layers"),
        *("drawn_normal", "drawn_uniform", "ending", "images", "layer_kinds", "live"),
        *("ChannelNorm", "Pool", "Views", "overwriting"),
        *("load", "register", "save"),  # names of the package itself
    },
}
toc_object_entries_show_parents = "hide"
smartquotes = False  # quotes in docstrings are those of code
autodoc_typehints = "none"  # docstrings state types
numpydoc_show_class_members = False  # the template lists them
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": r"benchmarks",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_ff",),
    "reference_url": {"sklearn_ff": None},
    "inspect_global_variables": False,
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "within_subsection_order": "gallery_order.position",
    "default_thumb_file": str(Path(__file__).parent / "images" / "program.svg"),
    "abort_on_example_error": True,
    "plot_gallery": "True",  # a string, as -D plot_gallery=0 gives one
}

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_prev_next": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "changelog": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def without_foreign_labels(app, what, name, obj, options, lines):
    """scikit-learn's docstrings, which estimators inherit, refer to labels of its own site."""
    text = "\n".join(lines)
    text = re.sub(r":(?:ref|term):`([^<`]+?)(?:\s*<[^`]*>)?`", r"\1", text)
    lines[:] = text.split("\n")


FENCED = re.compile(r"(^```.*?^```$)", re.M | re.S)


def as_on_the_site(app, docname, source):
    """Change pages, which are written to be read on GitHub, outside of their code."""
    parts = FENCED.split(source[0])
    parts[::2] = map(linked, parts[::2])
    source[0] = "".join(parts)


def linked(text):
    """Links to the pages that show the same on the site, with titles in place of file names."""
    text = re.sub(r"\]\(\.\./examples/(plot_\w+)\.py\)", r"](auto_examples/\1.rst)", text)
    text = text.replace("](../CONTRIBUTING.md)", "](contributing.md)")
    text = re.sub(r"\]\((?=\.\./examples/benchmarks/\w+\.md\))", "](path:", text)  # no page here
    text = re.sub(r"\[[\w/]+\.(?:md|py)\]\((?!\.\.)", "[](", text)
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def setup(app):
    app.connect("source-read", as_on_the_site)
    app.connect("autodoc-process-docstring", without_foreign_labels)
