"""The verbs of the language for objects, containers, weak references and the collector."""
import ctypes
import gc
import os
import sys
import weakref
from _ctypes import PyObj_FromPtr
from weakref import getweakrefs

from world import (CLEARING, ENV, FIN, HASH, HASH_MODULUS, MARK, SETS, SLOTS, WREG, Fin, Node, bind, drop, get, is_instance, label_of,
                   labels, mkweak, strip, val)

_rc = ctypes.c_ssize_t.from_address
BASE = []                  # what gc.get_stats() said before the program


class S:                                          # only for bursts
    __slots__ = ('x',)


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


def new_set(label, members):
    """A set with its label: a number as its first member, with the hash that all members have."""
    number = HASH + (len(SETS) + 1) * HASH_MODULUS
    SETS[number] = label
    x = {number}
    for member in members:
        add_member(x, member)
    return x


def add_member(x, member):
    """
    A new member would take the place of one that was discarded, and so come before older ones: the table is rebuilt
    first. That it stands in the order in which its members came is an assumption about HASH: it is checked.
    """
    x.intersection_update(x)
    before = [id(m) for m in x]
    x.add(member)
    after = [id(m) for m in x]
    if after[:len(before)] != before:
        raise AssertionError('HASH does not keep the order of a set of %d' % len(after))


def clear_set(x):
    """The label goes with the members, and comes back when they are dead; meanwhile CLEARING knows it."""
    number = next(iter(x))
    CLEARING[id(x)] = SETS[number]
    x.clear()
    x.add(number)
    del CLEARING[id(x)]


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
    elif k == 'set':
        members = [val(v) for v in o.get('items', ())]
        if not all(map(is_instance, members)):       # only these have the hash that keeps the order
            return 'TypeError'
        x = new_set(lab, members)
        members = None
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
    elif t is set:
        v = val(o['val'])
        if not is_instance(v):
            return 'TypeError'
        add_member(x, v)
        v = None
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
        elif t is set:
            clear_set(x)
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
        elif t is set:
            return 'TypeError'
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


def op_discard(o):
    x = get(o['obj']); v = val(o['val'])
    if type(x) is not set:
        return 'TypeError'
    if not is_instance(v) or v not in x:
        return False
    x.discard(v)
    return True
def op_has(o):
    x = get(o['obj']); v = val(o['val'])
    return is_instance(v) and v in x if type(x) is set else 'TypeError'
def op_members(o):
    x = get(o['obj'])
    return [strip(label_of(m)) for m in x if type(m) is not int] if type(x) is set else 'TypeError'
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
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
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
    gc.callbacks.extend(callbacks)
    ev = re.findall(r'collecting generation (\d)\.\.\.\ngc: objects in each generation: (\d+) (\d+) (\d+)', text)
    ev = [list(map(int, e)) for e in ev]
    return {'c0': c0, 'total': ev[1][3] if len(ev) > 1 else None, 'gens': ''.join(str(e[0]) for e in ev[1:]),
            'sizes': [e[1:] for e in ev[1:]]}


