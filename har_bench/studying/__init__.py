"""What results mean: two systems compared, the errors of one explained, old results scored again."""

from har_bench.studying.comparing import compare as compare
from har_bench.studying.explaining import explain as explain
from har_bench.studying.rescoring import rescore as rescore
