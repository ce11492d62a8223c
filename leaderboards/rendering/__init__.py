"""What draws documents: Markdown files and self-contained HTML pages. Neither knows any section."""
