"""Stores in other people's formats: what one is (:class:`Exporter`), and those that any store has."""

from har_bench.exporting.contract import Done as Done
from har_bench.exporting.contract import Exporter as Exporter
from har_bench.exporting.contract import PeopleExporter as PeopleExporter
from har_bench.exporting.engine import Exported as Exported
from har_bench.exporting.engine import export as export
from har_bench.exporting.engine import export_people as export_people
from har_bench.exporting.engine import formats as formats
from har_bench.exporting.people import Followed as Followed
from har_bench.exporting.people import People as People
