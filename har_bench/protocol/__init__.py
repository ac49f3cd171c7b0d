"""What a protocol is, and what it is made of: declarations, records, options and tables."""

from har_bench.options import option as option
from har_bench.protocol.contract import Batch as Batch
from har_bench.protocol.contract import Foreign as Foreign
from har_bench.protocol.contract import Options as Options
from har_bench.protocol.contract import Protocol as Protocol
from har_bench.protocol.contract import Scores as Scores
from har_bench.protocol.contract import make_protocol as make_protocol
from har_bench.protocol.contract import of_split as of_split
from har_bench.protocol.declarations import Along as Along
from har_bench.protocol.declarations import Counted as Counted
from har_bench.protocol.declarations import Curve as Curve
from har_bench.protocol.declarations import Facts as Facts
from har_bench.protocol.declarations import Groups as Groups
from har_bench.protocol.declarations import Metric as Metric
from har_bench.protocol.declarations import Recipe as Recipe
from har_bench.protocol.declarations import Table as Table
from har_bench.protocol.declarations import by_name as by_name
from har_bench.protocol.records import Records as Records
from har_bench.protocol.records import matrix as matrix
