# Databricks notebook source

# %% [markdown]
# # Quick start
#
# A job on a small lakehouse of invented schools: make the sources, run the job, look at what it made and at what it
# rejected. It is the same as the five minutes of docs/index.md, in Python. Open it in Jupyter with jupytext. On
# Databricks it needs a Git folder of this repository and compute that has the package's requirements; there, set
# `LAKEHOUSE` to None to work in a catalog.

# %%
import tempfile
from pathlib import Path

from expectations.contract import contract_of
from jobs.execution.job_run import run_with_retries, sentence_on
from jobs.execution.run import Run
from jobs.job import Call
from jobs.lake import Lake
from jobs.sample.lakehouse import sample_tables
from jobs.settings import Settings
from jobs.spark_session import open_session
from jobs.storage import Catalog, LocalFolder
from jobs.teacher_prompt_effectiveness import JOB

LAKEHOUSE: Path | None = Path(tempfile.mkdtemp())
CATALOG = "classwaves_quick_start"

spark = open_session("classwaves quick start")
lake = Lake(spark, LocalFolder(LAKEHOUSE) if LAKEHOUSE else Catalog(spark, CATALOG))

# COMMAND ----------

# %% [markdown]
# ## The sources
#
# Only those that this job reads. A catalog must be one of your own for this: the tables are written over.

# %%
call = Call(lakehouse=LAKEHOUSE, catalog=CATALOG, period="week")
rollup = JOB.rollup_of(call)
sample = sample_tables(spark, sessions=60, days=14)
for source in rollup.sources:
    lake.overwrite_all(contract_of(source), sample[source])

# COMMAND ----------

# %% [markdown]
# ## A run
#
# It reads each source at one version, rejects what cannot be used, computes, and asks the gate before it publishes.

# %%
table = rollup.targets[0]
outcome = run_with_retries(JOB, call, lake, Run.begin(rollup.job_name), Settings())
print(sentence_on(outcome))
if outcome.verdict:
    print(f"{len(outcome.verdict.checks)} checks, {len(outcome.verdict.failures)} of them failed")

# COMMAND ----------

# %% [markdown]
# ## What it made
#
# Each column is in the data dictionary.

# %%
rows = lake.read(table, lake.version(table))
rows.select("prompt_category", "subject_area", "calculation_period_start", "total_generated", "usage_rate").show(5)

# COMMAND ----------

# %% [markdown]
# ## What it rejected

# %%
rejected = lake.read("quality.quarantine", lake.version("quality.quarantine"))
rejected.groupBy("source_table", "reason").count().show(truncate=False)

# COMMAND ----------

# %% [markdown]
# ## Once more
#
# The sources are as they were, so nothing is new and nothing is written.

# %%
again = run_with_retries(JOB, call, lake, Run.begin(rollup.job_name), Settings())
print(sentence_on(again))
