"""The interpreter's exit: what is held becomes the globals of a module, and then python3.11 does what it does at its end."""
import atexit
import gc
import sys
import types
import weakref

import world
from library import begin_ending
from world import EV, Ending


def gccb(phase, info):
    EV.append(['gc', phase, info['generation'], info['collected'], info['uncollectable']])
    if phase == 'stop' and Ending.waits_for_collection:
        surrender()


def prepare():
    """The first exit function to be registered is the last to run: behind those of `weakref.finalize`."""
    Ending.waits_for_collection = False
    atexit.register(after_finalizers)
    # The library registers its own with the first finalize, for which it imports a module: too late once the exit has begun.
    weakref.finalize(world.Node, print).detach()
    sys.excepthook = on_error


def on_error(kind, error, trace):
    """What a function of `weakref.finalize` raises at the exit is told; anything else is a fault of the oracle."""
    if Ending.begun:
        EV.append(['unraisable', kind.__name__])
    else:
        sys.__excepthook__(kind, error, trace)


def op_shutdown(o):
    begin_ending()
    gc.set_threshold(0)             # no collection but those of the exit
    if o['gc']:
        gc.enable()


def after_finalizers():
    if not Ending.begun:
        return
    # What is not to run at the exit stays in the library's registry, and its weak reference would be freed, and counted,
    # with its call. The heap's goes with the handles.
    Ending.kept = [info.weakref for info in weakref.finalize._registry.values()]
    if gc.isenabled():
        Ending.waits_for_collection = True
    else:
        surrender()


def surrender():
    """A module's globals die in the order in which they stand. They stand as the heap drops its handles: oldest first."""
    Ending.waits_for_collection = False
    counts = {}
    for address in Ending.held:
        counts[address] = counts.get(address, 0) + 1
    Ending.held.clear()
    module = types.ModuleType('program')
    for generation in (2, 1, 0):
        for o in gc.get_objects(generation):
            if id(o) in counts:
                give(module, o, counts.pop(id(o)))
    # What is not tracked holds nothing that could tell of its death.
    for address, count in counts.items():
        give(module, world.PyObj_FromPtr(address), count)
    sys.modules['program'] = module


def give(module, o, count):
    setattr(module, 'v%d' % len(vars(module)), o)
    for _ in range(count):
        world._dec(id(o))
