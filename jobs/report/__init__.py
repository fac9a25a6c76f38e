"""The report: figures added up from the lake, and the one HTML page that draws them."""
