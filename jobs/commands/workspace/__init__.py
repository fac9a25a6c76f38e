"""Our part of a Databricks workspace: tables compared with contracts, jobs with the bundle, and their runs."""
