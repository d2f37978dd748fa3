"""The verbs for proxies, weak containers and `weakref.finalize`.

The standard library makes objects of its own for them. They have no labels, so that no list names them; one that comes to
stand where a labelled weak reference stood is taken out of WREG (`forget`).
"""
import ctypes
import weakref
from _ctypes import PyObj_FromPtr
from weakref import getweakrefs

import world
from world import (ACTIONS, ENV, EV, MARK, WMODE, WREG, Ending, Node, bind, do_action, get, is_instance, label_of,
                   on_dead_proxy, strip, val)

PROXIES = {}               # name -> address of a proxy, a reference each
CONTAINERS = {}            # name -> weak container
ITERATORS = {}             # name -> (generator, its container)
FINALIZERS = {}            # name -> weakref.finalize
FUNCTIONS = {}             # name -> actions of its function

# A suspended generator holds the current object, and the collector would see it through the generator. The heap's
# iterator holds it from outside. So a generator is out of the collector's sight while it is open.
_hide = ctypes.pythonapi.PyObject_GC_UnTrack
_show = ctypes.pythonapi.PyObject_GC_Track
for function in (_hide, _show):
    function.argtypes = [ctypes.py_object]
    function.restype = None


def forget(refs):
    for r in refs:
        WREG.pop(id(r), None)


# ---- proxies ------------------------------------------------------------------------------

def proxy(name):
    return PyObj_FromPtr(PROXIES[name])


def drop_proxy(name):
    world._dec(PROXIES.pop(name))


def op_proxy(o):
    target = get(o['target']); cb = o.get('cb'); lab = MARK + o['name']
    if not is_instance(target):
        return 'TypeError'
    before = {id(w) for w in getweakrefs(target)}
    p = weakref.proxy(target) if cb is None else weakref.proxy(target, on_dead_proxy)
    if id(p) not in before:
        WREG[id(p)] = lab
        if cb is not None:
            WMODE[lab] = cb
    target = None
    world._inc(id(p))
    if o['name'] in PROXIES:
        old, PROXIES[o['name']] = PROXIES[o['name']], id(p)
        world._dec(old)
    else:
        PROXIES[o['name']] = id(p)
    return WREG[id(p)]


def op_pload(o):
    try:
        v = getattr(proxy(o['obj']), o['key'])
    except (AttributeError, ReferenceError) as e:
        return type(e).__name__
    if label_of(v) is None:
        return 'atom'
    r = label_of(v)
    bind(o['name'], v)
    return r


def op_pset(o):
    p = proxy(o['obj']); v = val(o['val'])
    try:
        setattr(p, o['key'], v)
    except ReferenceError as e:
        return type(e).__name__


def op_punset(o):
    try:
        delattr(proxy(o['obj']), o['key'])
    except (AttributeError, ReferenceError) as e:
        return type(e).__name__


def op_pdrop(o): drop_proxy(o['name'])


def act_pdrop(name):
    if name in PROXIES:
        drop_proxy(name)


def act_pload(name, key):
    if name in PROXIES:
        EV.append(['r', 'pload', label_of(getattr(proxy(name), key, None))])


# ---- weak containers ----------------------------------------------------------------------

KINDS = {'values': weakref.WeakValueDictionary, 'keys': weakref.WeakKeyDictionary, 'set': weakref.WeakSet}


def is_iterated(container):
    return any(c is container for _, c in ITERATORS.values())


def is_busy(container):
    """Python's WeakValueDictionary removes at every access, and breaks its open iterators: the heap's never does."""
    return type(container) is KINDS['values'] and is_iterated(container)


def can_be_in(container, target):
    return is_instance(target) or (type(container) is KINDS['values'] and type(target) is set)


def op_wnew(o):
    old = CONTAINERS.get(o['name'])
    if old is not None and is_iterated(old):
        return 'iterating'
    c = CONTAINERS[o['name']] = KINDS[o['kind']]()
    forget(getweakrefs(c))


def op_wset(o):
    c = CONTAINERS[o['name']]; target = get(o['target'])
    if is_iterated(c):
        return 'iterating'
    if not can_be_in(c, target):
        return 'TypeError'
    if type(c) is KINDS['values']:
        c[o['key']] = target
    elif type(c) is KINDS['keys']:
        c[target] = o['val']
    else:
        add_weakly(c, target)
    forget(w for w in getweakrefs(target) if is_inside(c, w))


def add_weakly(c, target):
    """As `operations.add_member`."""
    c.data.intersection_update(c.data)
    before = [id(r) for r in c.data]
    c.add(target)
    if [id(r) for r in c.data][:len(before)] != before:
        raise AssertionError('HASH does not keep the order of a WeakSet of %d' % len(c.data))


def is_inside(c, w):
    """Whether a weak reference is one of a container's own."""
    return any(w is r for r in (c.data.values() if type(c) is KINDS['values'] else c.data))


def op_wdel(o):
    c = CONTAINERS[o['name']]
    if is_iterated(c):
        return 'iterating'
    if type(c) is KINDS['values']:
        return c.pop(o['key'], None) is not None
    target = get(o['target'])
    if not is_instance(target) or target not in c:
        return False
    if type(c) is KINDS['keys']:
        del c[target]
    else:
        c.discard(target)
    return True


def op_wget(o):
    c = CONTAINERS[o['name']]
    if is_busy(c):
        return 'iterating'
    if type(c) is KINDS['values']:
        return label_of(c.get(o['key']))
    target = get(o['target'])
    if not is_instance(target):
        return 'TypeError'
    return c.get(target) if type(c) is KINDS['keys'] else target in c


def op_whas(o):
    c = CONTAINERS[o['name']]
    if is_busy(c):
        return 'iterating'
    if type(c) is KINDS['values']:
        return o['key'] in c
    target = get(o['target'])
    return is_instance(target) and target in c


def op_wlen(o):
    c = CONTAINERS[o['name']]
    return 'iterating' if is_busy(c) else len(c)


def items(c):
    return iter(c) if type(c) is KINDS['set'] else c.items()


def shown(item):
    if type(item) is tuple:
        return [strip(label_of(part)) if type(part) is not int and type(part) is not str else part for part in item]
    return label_of(item)


def op_witems(o):
    c = CONTAINERS[o['name']]
    return 'iterating' if is_busy(c) else [strip(shown(item)) for item in items(c)]


def op_witer(o):
    """Open iterators and take the first item of each."""
    c = CONTAINERS[o['name']]
    if is_busy(c) or any(name in ITERATORS for name in o['iterators']):
        return 'iterating'
    for name in o['iterators']:
        ITERATORS[name] = (items(c), c)
    return [strip(advance(name)) for name in o['iterators']]


def advance(name):
    generator, _ = ITERATORS[name]
    _hide(generator)
    try:
        return shown(next(generator))
    except StopIteration:
        close(name)
        return 'end'


def close(name):
    generator, _ = ITERATORS.pop(name)
    generator.close()
    _show(generator)            # only what is tracked may die


def op_wnext(o): return advance(o['name'])
def op_wclose(o): close(o['name'])


def op_wdrop(o):
    c = CONTAINERS[o['name']]
    if is_iterated(c):
        return 'iterating'
    c = None
    del CONTAINERS[o['name']]


def act_wlen(name):
    if name in CONTAINERS and not is_busy(CONTAINERS[name]):
        EV.append(['r', 'wlen', len(CONTAINERS[name])])


# ---- finalize -----------------------------------------------------------------------------

def run_function(name):
    EV.append(['fz', name])
    for a in FUNCTIONS[name]:
        do_action(None, a)
    return name


def make_finalizer(name, target, actions):
    FUNCTIONS[name] = actions
    f = FINALIZERS[name] = weakref.finalize(target, run_function, name)
    forget([weakref.finalize._registry[f].weakref])


def op_finalize(o):
    target = get(o['target'])
    if not is_instance(target) and type(target) is not set:
        return 'TypeError'
    make_finalizer(o['name'], target, o.get('do', []))
    if not o.get('atexit', True):
        FINALIZERS[o['name']].atexit = False


def op_fcall(o):
    try:
        return FINALIZERS[o['name']]()
    except (RuntimeError, ValueError) as e:
        return type(e).__name__


def op_fdetach(o): return FINALIZERS[o['name']].detach() is not None
def op_falive(o): return FINALIZERS[o['name']].alive
def op_fatexit(o):
    f = FINALIZERS[o['name']]
    if 'value' in o:
        f.atexit = o['value']
    return f.atexit


def may_run():
    """
    What has not run by the end of the exit functions never will. The heap then says that it is not alive; Python says
    that it is.
    """
    return not weakref.finalize._shutdown


def act_fcall(name):
    if name in FINALIZERS:
        EV.append(['r', 'fcall', FINALIZERS[name]()])


def act_fdetach(name):
    if name in FINALIZERS:
        EV.append(['r', 'fdetach', may_run() and FINALIZERS[name].detach() is not None])


def act_falive(name):
    if name in FINALIZERS:
        EV.append(['r', 'falive', may_run() and FINALIZERS[name].alive])


def act_fnew(name, node):
    """A finalize made by a running one, on a new node."""
    x = Node()
    x.label = MARK + node
    make_finalizer(name, x, [])
    bind(node, x)


ACTIONS.update({name[4:]: function for name, function in globals().items() if name.startswith('act_')})


def begin_ending():
    """Iterators are closed and containers go; what locals and proxies hold is only held from now on."""
    for name in list(ITERATORS):
        close(name)
    CONTAINERS.clear()
    for table in (ENV, PROXIES):
        Ending.held.extend(table.values())
        table.clear()
    Ending.begun = True
