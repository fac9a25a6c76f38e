"""The jobs: one module per rollup, the pipeline that they share, the lake, the command line."""
