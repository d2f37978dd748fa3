#!/usr/bin/env python3.11
"""Differential oracle: JSON operations on stdin (one per line) -> JSON outcomes on stdout.

Run as:  python3.11 -I -S -B oracle.py < prog.jsonl > out.jsonl
See README.md for the language.  Original work written for this project.

Principles that make the outcome deterministic:
  * "locals" of a program are raw addresses plus a manual Py_IncRef, so the collector sees
    them as opaque external roots (never as a traversable dict/frame of the oracle);
  * refcounts are read straight from memory, so no temporaries are counted;
  * the interpreter's own objects are parked in the permanent generation at start-up;
  * automatic collection is off, except inside the "burst" operation;
  * every program object carries its own label, so generation lists can be printed in order.
"""
import sys, gc, json, os
gc.disable()
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'python'))   # -I leaves it out
import ending, library, operations
from ending import gccb
from world import EV, hook, strip

OPS = {name[3:]: function for module in (operations, library, ending)
       for name, function in vars(module).items() if name.startswith('op_')}
SEPARATOR = '---'
ENDED = 3                       # the child's exit code after `shutdown`


def main():
    sys.unraisablehook = hook
    gc.callbacks.append(gccb)
    ending.prepare()
    gc.collect(); gc.collect()
    operations.BASE[:] = [(s['collections'], s['collected']) for s in gc.get_stats()]
    gc.freeze()
    for program, end in programs(sys.stdin.read()):
        # A process of its own for each program, from the same state: starting an interpreter takes longer than a program.
        child = os.fork()
        if child == 0:
            run(program, sys.stdout)
            sys.stdout.flush()
            os._exit(0)             # interpreter teardown is compared only where the program asks for it
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == ENDED:
            end = ']}\n' + end
        elif code != 0:
            os._exit(1)
        os.write(1, end.encode())
    os._exit(0)


def programs(text):
    """programs stand one after the other, each ended by a line with the separator"""
    part = []
    for line in text.split('\n'):
        if line == SEPARATOR:
            yield part, SEPARATOR + '\n'
            part = []
        elif line.strip():
            part.append(line)
    if part:
        yield part, ''


def run(program, out):
    for n, line in enumerate(program):
        o = json.loads(line)
        EV.clear()
        try:
            r = OPS[o['op']](o)
        except KeyError as e:
            r = {'err': 'no such ' + str(e.args[0])}
        if o['op'] == 'shutdown':
            # The interpreter exits for real; its events follow, and the parent ends the line.
            out.write('{"i": %d, "op": "shutdown", "r": null, "ev": [' % n)
            out.flush()
            EV.write_to(1)
            sys.exit(ENDED)
        out.write(json.dumps({'i': n, 'op': o['op'], 'r': strip(r), 'ev': strip(EV.items)}) + '\n')


if __name__ == '__main__':
    main()
