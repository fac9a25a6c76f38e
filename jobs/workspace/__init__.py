"""What a Databricks workspace has of ours: tables beside contracts, jobs beside the bundle, their runs."""
