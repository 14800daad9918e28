"""Pages for a browser: the report of a project, and the explored designs. One file each, which loads nothing."""
