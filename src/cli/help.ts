/** What the commands do, in words. */
export const HELP = `ouro: look into heaps, saved or running

  ouro run SCRIPT [ARGS]                    run a program; at its end: what it still holds and who made it, its
                                            collections, and what each line allocated (--profile: a function's lines)
  ouro report FILE                          types, generations, what keeps most alive, cycles, suspects
  ouro roots FILE                           what was held from outside, and how much each keeps alive
  ouro refs FILE ADDRESS                    what an object refers to
  ouro backrefs FILE ADDRESS                who holds an object, up to the roots
  ouro diff FILE FILE                       what there is more of in the second
  ouro heapsnapshot FILE OUT.heapsnapshot   for Chrome's DevTools: Memory, Load profile
  ouro verify FILE                          check every invariant

  --json         the result as JSON           --depth N       refs, backrefs: how far (3)
  --limit N      rows of a list (10)          --svg, --dot F  refs, backrefs: a picture too
  --profile F    run: line by line what F adds to the heap; F is FUNCTION, Class.method or FILE:FUNCTION; repeatable
  --trace N      run: frames kept of each allocation (25); 25/100 keeps one allocation in 100; 0 traces nothing
  -h, --help     this text                    --version       the version

FILE is a heap that a program has saved: await heap.save("app.heap"). ADDRESS is what the reports show.
A leak hunt from the first symptom to the culprit is told in docs/leaks.md.

Exit codes: 0 nothing found · 1 found: a leak, growth, a broken invariant · 2 usage · 3 a file that cannot be read
`;
