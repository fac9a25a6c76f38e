"""The report: figures aggregated from the lake, and the single HTML page that draws them."""
