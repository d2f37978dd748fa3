"""The Python half of a contest: side.py GROUP OPTIONS, steps on stdin, answers on stdout, a line of JSON each."""
import json
import os
import sys
from resource import RUSAGE_SELF, getrusage

# -I leaves the script's own folder out of the path.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

group, options = sys.argv[1:]
steps = __import__(group.replace("-", "_")).steps(json.loads(options))
# The most memory that this process has had; Linux counts it in KiB.
steps["peak"] = lambda _: {"bytes": getrusage(RUSAGE_SELF).ru_maxrss * 1024}
for line in sys.stdin:
    step, argument = json.loads(line)
    answer = steps[step](argument)
    print(json.dumps({} if answer is None else answer), flush=True)
