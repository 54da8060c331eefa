"""The site: submissions in, static pages out, the same bytes every time."""
