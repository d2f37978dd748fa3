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
import weakref, ctypes
from _ctypes import PyObj_FromPtr
from weakref import ref, getweakrefs, getweakrefcount

_inc = ctypes.pythonapi.Py_IncRef; _inc.argtypes = [ctypes.c_void_p]; _inc.restype = None
_dec = ctypes.pythonapi.Py_DecRef; _dec.argtypes = [ctypes.c_void_p]; _dec.restype = None
_rc = ctypes.c_ssize_t.from_address

MARK = '\u00a7'            # every label starts with this character
ENV = {}                   # local name -> address (int)
WREG = {}                  # address of weakref -> its label
WMODE = {}                 # label of weakref -> callback mode
FIN = {}                   # label -> list of finalizer actions
EV = []                    # events of the operation in progress
SLOTS = ('s0', 's1', 's2', 's3')


class Node:
    __slots__ = ('label', '__weakref__') + SLOTS

    def __call__(self, wr):                      # used when a node is a weakref callback
        EV.append(['cbobj', self.label, WREG.get(id(wr)), wr() is not None])


class Fin:
    __slots__ = ('label', '__weakref__') + SLOTS

    def __del__(self):
        run_fin(self)


class S:                                          # only for bursts
    __slots__ = ('x',)


def label_of(o):
    t = type(o)
    if t is Node or t is Fin:
        return getattr(o, 'label', None)
    if t is list or t is tuple:
        if o and type(o[0]) is str and o[0][:1] == MARK:
            return o[0]
    elif t is dict:
        v = o.get('$')
        if type(v) is str and v[:1] == MARK:
            return v
    elif t is weakref.ReferenceType:
        return WREG.get(id(o))
    return None


def bind(name, obj):
    """name := obj (new strong reference first, old one dropped afterwards)"""
    a = id(obj)
    _inc(a)
    del obj
    old = ENV.get(name)
    ENV[name] = a
    if old is not None:
        _dec(old)


def drop(name):
    a = ENV.pop(name)
    _dec(a)


def get(name):
    return PyObj_FromPtr(ENV[name])


def val(v):
    """operand: {"n": name} | atom"""
    if type(v) is dict:
        return get(v['n'])
    return v


def on_dead(wr):
    lab = WREG.get(id(wr))
    EV.append(['cb', lab, label_of(wr()) if wr() is not None else None])
    mode = WMODE.get(lab)
    if mode is None or mode == 'log':
        return
    if mode == 'raise':
        raise ValueError('callback')
    if mode == 'collect':
        EV.append(['r', 'collect', gc.collect()])
    elif type(mode) is dict:
        do_action(None, mode['do'])


def do_action(self, a):
    k = a[0]
    if k == 'raise':
        raise RuntimeError('finalizer')
    if k == 'resurrect':
        bind(a[1], self)
    elif k == 'resurrect_slot':
        if label_of(getattr(self, a[1], None)) is not None:      # atoms are never bound
            bind(a[2], getattr(self, a[1]))
    elif k == 'clear_slot':
        if hasattr(self, a[1]):
            delattr(self, a[1])
    elif k == 'store':                 # self.slot = local
        if a[2] in ENV:
            setattr(self, a[1], get(a[2]))
    elif k == 'drop':
        if a[1] in ENV:
            drop(a[1])
    elif k == 'collect':
        r = gc.collect(a[1])
        EV.append(['r', 'collect', r])
    elif k == 'deref':
        if a[1] in ENV:
            if type(get(a[1])) is not weakref.ReferenceType:
                raise TypeError('not a weak reference')
            EV.append(['r', 'deref', label_of(get(a[1])())])
    elif k == 'alloc':                 # garbage cycles made inside a finalizer
        for i in range(a[1]):
            l = [MARK + 'tmp']; l.append(l)
        l = None
    elif k == 'mkweak':                # weakref to self (or slot) made inside a finalizer
        t = self if a[2] == 'self' else getattr(self, a[2], None)
        if t is not None:
            mkweak(a[1], t, a[3])
        t = None
    elif k == 'isfin':
        EV.append(['r', 'isfin', gc.is_finalized(self)])
    elif k == 'peek':                  # what a container looks like while something of it dies
        if a[1] in ENV:
            o = get(a[1])
            if type(o) is Node or type(o) is Fin:
                EV.append(['r', 'peek', label_of(getattr(o, a[2], None))])
            elif type(o) is list or type(o) is tuple or type(o) is dict:
                EV.append(['r', 'peek', len(o) - 1])
            o = None


def run_fin(self):
    EV.append(['del', self.label])
    for a in FIN.get(self.label, ()):
        do_action(self, a)


def mkweak(name, target, cb):
    lab = MARK + name
    if type(cb) is dict and 'n' in cb:
        ENV[cb['n']]
    if cb is None:
        ws = getweakrefs(target)          # is there already a shared callback-less ref?
        fresh = not (ws and ws[0].__callback__ is None)
        ws = None
        w = ref(target)
        if fresh:
            WREG[id(w)] = lab
    else:
        if type(cb) is dict and 'n' in cb:
            w = ref(target, get(cb['n']))
        else:
            w = ref(target, on_dead)
            WMODE[lab] = cb
        WREG[id(w)] = lab
    del target
    bind(name, w)
    return WREG[id(w)]


def hook(u):
    EV.append(['unraisable', u.exc_type.__name__])


def gccb(phase, info):
    EV.append(['gc', phase, info['generation'], info['collected'], info['uncollectable']])


def labels(objs):
    return [l[1:] for l in map(label_of, objs) if l is not None]


def strip(x):
    if type(x) is str:
        return x[1:] if x[:1] == MARK else x
    if type(x) is list:
        return [strip(i) for i in x]
    return x


def gen_of(name):
    a = ENV[name]
    if not gc.is_tracked(PyObj_FromPtr(a)):
        return 'untracked'
    for g in range(3):
        for o in gc.get_objects(g):
            if id(o) == a:
                o = None
                return g
        o = None
    return 'permanent'


# ---- operations -------------------------------------------------------------------------

def op_new(o):
    for v in o.get('items', ()):          # all operands must exist before anything is built
        if type(v) is dict:
            ENV[v['n']]
    lab = MARK + o['name']
    k = o['kind']
    if k == 'node' or k == 'fin':
        x = Node() if k == 'node' else Fin()
        x.label = lab
        if k == 'fin':
            FIN[lab] = o.get('do', [])
        for i, v in enumerate(o.get('items', ())):
            setattr(x, SLOTS[i], val(v))
    elif k == 'list':
        x = [lab]
        for v in o.get('items', ()):
            x.append(val(v))
    elif k == 'tuple':
        x = tuple([lab] + [val(v) for v in o.get('items', ())])
    elif k == 'dict':
        x = {'$': lab}
        for i, v in enumerate(o.get('items', ())):
            x['k%d' % i] = val(v)
    v = None
    bind(o['name'], x)


def op_set(o):
    x = get(o['obj']); k = o['key']
    t = type(x)
    if t is list:
        v = val(o['val'])
        if k == 'append':
            x.append(v)
        else:
            i = k + 1
            if i >= len(x):
                return 'IndexError'
            v, x[i] = None, v            # evaluation order: old item released last
        v = None
    elif t is dict:
        x[k] = val(o['val'])
    elif t is tuple:
        return 'TypeError'
    else:
        setattr(x, k, val(o['val']))


def op_unset(o):
    x = get(o['obj']); k = o['key']
    t = type(x)
    try:
        if t is list:
            if k == 'clear':
                del x[1:]
            elif k == 'pop':
                if len(x) < 2:
                    return 'IndexError'
                x.pop()
            else:
                if k + 1 >= len(x):
                    return 'IndexError'
                del x[k + 1]
        elif t is dict:
            del x[k]
        elif t is tuple:
            return 'TypeError'
        else:
            delattr(x, k)
    except (KeyError, AttributeError) as e:
        return type(e).__name__


def op_load(o):
    x = get(o['obj']); k = o['key']; t = type(x)
    try:
        if t is list or t is tuple:
            v = x[k + 1]
        elif t is dict:
            v = x[k]
        else:
            v = getattr(x, k)
    except (KeyError, AttributeError, IndexError) as e:
        return type(e).__name__
    x = None
    if label_of(v) is None:
        return 'atom'
    r = label_of(v)
    bind(o['name'], v)
    return r


def op_drop(o): drop(o['name'])
def op_alias(o): bind(o['name'], get(o['of']))
def op_weakref(o):
    try:
        return mkweak(o['name'], get(o['target']), o.get('cb'))
    except TypeError:
        return 'TypeError'
def op_deref(o):
    w = get(o['name'])
    if type(w) is not weakref.ReferenceType:
        return 'TypeError'
    return label_of(w())
def op_weakrefs(o):
    x = get(o['obj'])
    return [strip(WREG.get(id(w))) for w in getweakrefs(x)]   # stripped: an oracle list must never
                                                              # start with a marked string
def op_has_cb(o):
    w = get(o['name'])
    return 'TypeError' if type(w) is not weakref.ReferenceType else w.__callback__ is not None
def op_collect(o): return gc.collect(o.get('gen', 2))
def op_rc(o): return _rc(ENV[o['name']]).value
def op_tracked(o): return gc.is_tracked(get(o['name']))
def op_finalized(o): return gc.is_finalized(get(o['name']))
def op_gen(o): return gen_of(o['name'])
def op_order(o): return [labels(gc.get_objects(g)) for g in range(3)]
def op_referents(o): return labels(gc.get_referents(get(o['name'])))
def op_referrers(o): return labels(gc.get_referrers(get(o['name'])))
def op_freeze(o):
    n = len(labels(gc.get_objects()))
    gc.freeze()
    return n
def op_unfreeze(o): gc.unfreeze()
def op_debug(o): gc.set_debug(gc.DEBUG_SAVEALL if o['saveall'] else 0)
def op_garbage(o): return labels(gc.garbage)
def op_clear_garbage(o): del gc.garbage[:]
def op_stats(o):
    s = gc.get_stats()
    return [[s[g]['collections'] - BASE[g][0], s[g]['collected'] - BASE[g][1]] for g in range(3)]


def op_burst(o):
    """Automatic collections.  n S-instances are allocated into a preallocated list; the
    generations picked (and list sizes at the start of each collection) are read from the
    collector's own stderr trace, which allocates no GC objects when sys.stderr is None."""
    import re
    n = o['n']; keep = [None] * n
    old_t = gc.get_threshold()
    gc.callbacks.remove(gccb)
    fd = os.memfd_create('trace'); save = os.dup(2); os.dup2(fd, 2)
    se, sys.stderr = sys.stderr, None
    gc.set_threshold(*o['thr'])
    gc.set_debug(gc.DEBUG_STATS)
    gc.collect()
    gc.get_count(); c0 = gc.get_count()[0]
    gc.enable()
    if o.get('keep', True):
        for i in range(n): keep[i] = S()
    else:
        for i in range(n): keep[0] = S()
    gc.disable()
    gc.set_debug(0)
    gc.set_threshold(*old_t)
    os.dup2(save, 2); sys.stderr = se
    os.lseek(fd, 0, 0); text = os.read(fd, 1 << 26).decode(); os.close(fd); os.close(save)
    gc.callbacks.append(gccb)
    ev = re.findall(r'collecting generation (\d)\.\.\.\ngc: objects in each generation: (\d+) (\d+) (\d+)', text)
    ev = [list(map(int, e)) for e in ev]
    return {'c0': c0, 'total': ev[1][3] if len(ev) > 1 else None, 'gens': ''.join(str(e[0]) for e in ev[1:]),
            'sizes': [e[1:] for e in ev[1:]]}


OPS = {k[3:]: v for k, v in globals().items() if k.startswith('op_')}


def main():
    global BASE
    sys.unraisablehook = hook
    gc.callbacks.append(gccb)
    out = sys.stdout
    gc.collect(); gc.collect()
    BASE = [(s['collections'], s['collected']) for s in gc.get_stats()]
    gc.freeze()
    for program, end in programs(sys.stdin.read()):
        # A process of its own for each program, from the same state: starting an interpreter takes longer than a program.
        child = os.fork()
        if child == 0:
            run(program, out)
            out.flush()
            os._exit(0)             # program end: interpreter teardown is not part of the comparison
        status = os.waitpid(child, 0)[1]
        if status != 0:
            os._exit(1)
        os.write(1, end.encode())
    os._exit(0)


SEPARATOR = '---'


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
        out.write(json.dumps({'i': n, 'op': o['op'], 'r': strip(r), 'ev': strip(EV)}) + '\n')


if __name__ == '__main__':
    main()
