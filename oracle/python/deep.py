"""Deep structures die in python3.11: `deep.py chain|nest SIZE [EVERY]` prints how many events there were, their hash and times.

The programs are those of deep-programs.mjs. Nothing here makes a container while something dies: past the 50th nested
death python3.11 would defer it.
"""
import gc
import json
import sys
import time
import weakref

gc.disable()
count = 0
digest = 0x811c9dc5
NUMBERS = {}                    # address of a weak reference -> its number


def event(number):
    global count, digest
    count += 1
    digest = ((digest ^ number) * 16777619) & 0xffffffff


class Link:
    __slots__ = ('number', 'next', '__weakref__')


class FinalLink:
    __slots__ = ('number', 'next', '__weakref__')

    def __del__(self):
        event(2 * self.number)


def on_dead(wr):
    event(2 * NUMBERS[id(wr)] + 1)


def watch(target, number, refs):
    r = weakref.ref(target, on_dead)
    NUMBERS[id(r)] = number
    refs.append(r)


def chain(size, refs, every):
    """Of so many links (`every`) one has a finalizer, and one is watched."""
    last = None
    for number in range(size):
        link = FinalLink() if number % every == 0 else Link()
        link.number = number
        link.next = last
        if number % every == every >> 1:
            watch(link, number, refs)
        last = link
    return last


def nest(size, refs, every):
    """Each list holds the next one and a leaf, before it or behind it, that has a finalizer and is watched."""
    inner = None
    for number in range(size):
        leaf = FinalLink()
        leaf.number = number
        leaf.next = None
        watch(leaf, number, refs)
        inner = [leaf, inner] if number % 3 == 0 else [inner, leaf]
    return inner


def main():
    refs = []
    started = time.perf_counter()
    head = {'chain': chain, 'nest': nest}[sys.argv[1]](int(sys.argv[2]), refs, int(([*sys.argv, 10])[3]))
    built = time.perf_counter()
    head = None
    died = time.perf_counter()
    print(json.dumps({'events': count, 'hash': digest, 'built': (built - started) * 1e3, 'died': (died - built) * 1e3}))


main()
