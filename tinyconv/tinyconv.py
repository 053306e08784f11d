"""A name that is not there: one file is one module, under one name."""

raise ImportError(
    "expected a module of tinyconv, got tinyconv.tinyconv: write `import tinyconv`, or `import tinyconv.X`"
)
