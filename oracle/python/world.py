"""What every part of the oracle shares: the program's objects, locals, labels and events, and what finalizers do."""
import ctypes
import gc
import json
import os
import weakref
from _ctypes import PyObj_FromPtr
from weakref import getweakrefs, ref

_inc = ctypes.pythonapi.Py_IncRef
_dec = ctypes.pythonapi.Py_DecRef
for function in (_inc, _dec):
    function.argtypes = [ctypes.c_void_p]
    function.restype = None

MARK = '\u00a7'            # every label starts with this character
ENV = {}                   # local name -> address (int)
WREG = {}                  # address of a program's weak reference or proxy -> its label
WMODE = {}                 # label of a weak reference -> callback mode
FIN = {}                   # label -> list of finalizer actions
SETS = {}                  # the number that is a set's first member -> the set's label
CLEARING = {}              # address of a set that is being cleared -> its label
ACTIONS = {}               # further finalizer actions, by name: library.py adds its own
SLOTS = ('s0', 's1', 's2', 's3')
REFS = (weakref.ReferenceType, weakref.ProxyType, weakref.CallableProxyType)

# The hash of all nodes and fins. Python's sets stand in the order of their hash tables; members that all have this hash
# are probed for at places that only go up, so that the order is the one in which they came, as in the heap.
# `operations.add_member` checks that at every addition. It was found by trying numbers: the order holds for 38 members.
HASH = 0xd7238f57de79100
HASH_MODULUS = (1 << 61) - 1        # a number has its remainder by this as its hash


class Events:
    """What happened in the operation in progress. At the interpreter's exit each event is written as it comes."""

    def __init__(self):
        self.items = []
        self.stream = None

    def append(self, event):
        if self.stream is None:
            self.items.append(event)
        else:
            os.write(self.stream, (self.separator + json.dumps(strip(event))).encode())
            self.separator = ', '

    def clear(self):
        self.items.clear()

    def write_to(self, stream):
        self.stream = stream
        self.separator = ''
        for event in self.items:
            self.append(event)


EV = Events()


class Ending:
    """The interpreter is about to exit: names are no more, and what is bound is only held."""
    begun = False
    held = []                  # addresses, a reference each


class Node:
    __slots__ = ('label', '__weakref__') + SLOTS

    def __hash__(self):
        return HASH

    def __call__(self, wr):                      # used when a node is a weakref callback
        EV.append(['cbobj', self.label, WREG.get(id(wr)), wr() is not None])


class Fin:
    __slots__ = ('label', '__weakref__') + SLOTS

    def __hash__(self):
        return HASH

    def __del__(self):
        run_fin(self)


def is_instance(o):
    return type(o) is Node or type(o) is Fin


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
    elif t is set:
        for member in o:
            return SETS.get(member) if type(member) is int else None
        return CLEARING.get(id(o))
    elif t in REFS:
        return WREG.get(id(o))
    return None


def bind(name, obj):
    """name := obj (new strong reference first, old one dropped afterwards)"""
    a = id(obj)
    _inc(a)
    del obj
    if Ending.begun:
        Ending.held.append(a)
        return
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
    run_callback(WREG.get(id(wr)), label_of(wr()) if wr() is not None else None)


def on_dead_proxy(proxy):
    run_callback(WREG.get(id(proxy)), None)


def run_callback(lab, target):
    EV.append(['cb', lab, target])
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
            peek(get(a[1]), a[2])
    else:
        ACTIONS[k](*a[1:])


def peek(o, slot):
    if is_instance(o):
        EV.append(['r', 'peek', label_of(getattr(o, slot, None))])
    elif type(o) is list or type(o) is tuple or type(o) is dict:
        EV.append(['r', 'peek', len(o) - 1])
    elif type(o) is set:
        EV.append(['r', 'peek', sum(type(member) is not int for member in o)])


def run_fin(self):
    EV.append(['del', self.label])
    for a in FIN.get(self.label, ()):
        do_action(self, a)


def mkweak(name, target, cb):
    lab = MARK + name
    if type(cb) is dict and 'n' in cb:
        ENV[cb['n']]
    if cb is None:
        # Is there already a shared callback-less one? A proxy is asked for its type only: the rest goes to its target.
        fresh = not any(type(w) is ref and w.__callback__ is None for w in getweakrefs(target))
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


def labels(objs):
    return [l[1:] for l in map(label_of, objs) if l is not None]


def strip(x):
    if type(x) is str:
        return x[1:] if x[:1] == MARK else x
    if type(x) is list:
        return [strip(i) for i in x]
    return x
