"""Contracts: what each table of the catalog is, one YAML file per table, read into frozen models.

A contract is the single source of truth of a table: its Spark schema, its DDL, its expectation suite, its
sample data and its page in the data dictionary all derive from it.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Literal, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from expectations.literals import sql_text
from transforms.catalog import full_name

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

SUM = "sum"
"""The value of `report` for a column whose rows are added up."""

Kind = Literal["source", "rollup", "quality"]


class UnknownTableError(KeyError):
    """A table that no contract describes."""


class BrokenContractFileError(ValueError):
    """A contract file that its model refuses."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Model):
    """One column: its Spark type, what its values mean and what they may be.

    `minimum` and `maximum` are inclusive. On a source they are the range outside of which a measure counts as null;
    on a rollup the gate enforces them. `domain` lists the values of a text dimension, in lower case. `personal` marks
    texts, names, addresses and identifiers of pupils, which never leave their table. `definition`, `sources` and
    `null_when` describe the derived columns of the rollups. `report` gives a metric a chart in the report and says how
    its rows are aggregated there: `sum`, or the count by which a mean or share is weighted.
    """

    name: str
    type: str
    description: str
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    finite: bool = False
    domain: tuple[str, ...] = ()
    personal: bool = False
    not_null: bool = False
    proxy: str | None = None
    definition: str | None = None
    sources: tuple[str, ...] = ()
    null_when: str | None = None
    report: str | None = None

    @property
    def is_measure(self) -> bool:
        """Whether values can lie outside the range that the contract states."""
        return self.finite or self.minimum is not None or self.maximum is not None


class Contract(_Model):
    """One table: its grain, its key, its clustering columns and its columns in catalog order.

    `required`: a run that reads the source fails if it is absent; any other absent source counts as empty.
    """

    table: Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z0-9_]+$")]
    kind: Kind
    required: bool = False
    description: str
    grain: str
    key: tuple[str, ...] = ()
    clustering: tuple[str, ...] = ()
    columns: tuple[Column, ...]

    @model_validator(mode="after")
    def _names_resolve(self) -> Contract:
        names = [column.name for column in self.columns]
        if len(names) != len(set(names)):
            raise ValueError(f"{self.table} lists a column twice")
        weights = [column.report for column in self.columns if column.report and column.report != SUM]
        for name in (*self.key, *self.clustering, *weights):
            if name not in names:
                raise ValueError(f"{self.table} has no column {name}")
        return self

    @property
    def full_name(self) -> str:
        """The name used in row ids and documents: `classwaves.<schema>.<table>`."""
        return full_name(self.table)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns' names in catalog order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name; raises `KeyError` if the table has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.table} has no column {name}")

    @property
    def public_columns(self) -> tuple[str, ...]:
        """The columns that may be shown outside the table: all but the personal ones."""
        return tuple(column.name for column in self.columns if not column.personal)

    @property
    def reported(self) -> tuple[Column, ...]:
        """The columns that the contract gives a chart in the report; never a personal one."""
        return tuple(column for column in self.columns if column.report and not column.personal)

    @property
    def measures(self) -> tuple[Column, ...]:
        """The columns whose values can lie outside their range."""
        return tuple(column for column in self.columns if column.is_measure)

    @property
    def spark_schema(self) -> StructType:
        """The table's Spark schema: every column nullable, as in the catalog. Needs a Spark session."""
        from pyspark.sql.types import StructType

        fields = ", ".join(f"`{column.name}` {column.type}" for column in self.columns)
        return cast("StructType", StructType.fromDDL(fields))

    def column_definition(self, name: str) -> str:
        """The column's DDL: name, type and comment."""
        return f"`{name}` {self.column(name).type} COMMENT {sql_text(self.column(name).description)}"

    def create_statement(self, location: str | None = None) -> str:
        """The DDL that creates the table if it is missing, at `location` or managed by the catalog.

        The Change Data Feed is on, so that consumers can read row-level changes.
        """
        columns = ",\n  ".join(map(self.column_definition, self.column_names))
        parts = [f"CREATE TABLE IF NOT EXISTS {self.table} (\n  {columns}\n) USING delta"]
        if self.clustering:
            parts.append(f"CLUSTER BY ({', '.join(self.clustering)})")
        if location:
            parts.append(f"LOCATION {sql_text(location)}")
        parts.append(f"COMMENT {sql_text(self.description)}")
        parts.append("TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")
        return "\n".join(parts)


def read_contract(text: str, name: str) -> Contract:
    """The contract in a YAML text; raises `BrokenContractFileError`, which says what is wrong with contract `name`."""
    try:
        return Contract.model_validate(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        raise BrokenContractFileError(f"The contract {name} cannot be read: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = f"{'.'.join(map(str, first['loc']))}: " if first["loc"] else ""
        raise BrokenContractFileError(f"The contract {name} cannot be read: {place}{first['msg']}") from error


def contract_names() -> tuple[str, ...]:
    """The names of all tables that have a contract, sorted."""
    folders = (folder for folder in files(__package__).joinpath("contracts").iterdir() if folder.is_dir())
    found = ((folder.name, *os.path.splitext(file.name)) for folder in folders for file in folder.iterdir())
    # Systems and editors leave files of their own, with other endings or hidden.
    return tuple(sorted(f"{schema}.{name}" for schema, name, end in found if end == ".yaml" and name[0] != "."))


@cache
def contract_of(table: str) -> Contract:
    """The contract of `schema.table`; raises `UnknownTableError` if it has none."""
    if table not in contract_names():
        raise UnknownTableError(table)
    schema, name = table.split(".")
    file = files(__package__).joinpath("contracts") / schema / f"{name}.yaml"
    try:
        text = file.read_text(encoding="utf-8")
    except ValueError as error:
        raise BrokenContractFileError(f"The contract {table} cannot be read: it is not in UTF-8") from error
    contract = read_contract(text, table)
    if contract.table != table:
        raise BrokenContractFileError(f"The contract file of {table} describes {contract.table}")
    return contract


def own_contracts() -> list[Contract]:
    """The contracts of the tables that the jobs write."""
    contracts = [contract_of(name) for name in contract_names()]
    return [contract for contract in contracts if contract.kind != "source"]


def source_contracts() -> list[Contract]:
    """The contracts of the tables that the rollups' columns are computed from."""
    read = {source for contract in own_contracts() for column in contract.columns for source in column.sources}
    return [contract_of(name) for name in sorted(read)]
