"""What results mean: two systems compared, the errors of one explained, results scored again and verified."""

from har_bench.studying.comparing import compare as compare
from har_bench.studying.explaining import explain as explain
from har_bench.studying.rescoring import rescore as rescore
from har_bench.studying.verifying import verify as verify
