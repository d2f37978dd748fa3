/** The steps of a random program as commands of fast-check. */
import fc from "fast-check";
import { CONTENT_STEPS } from "./content-steps.js";
import type { Graph, Obj } from "./graph.js";
import { HEAP_STEPS } from "./heap-steps.js";
import { plainGraph } from "./plain.js";
import type { Session } from "./session.js";
import { type Arguments, nat, nth, type Step, spec } from "./specs.js";

const HANDLES_MAX = 14;
const OBJECTS_MAX = 120;

/** In this order: the programs that a seed makes depend on it. */
const STEPS = [...CONTENT_STEPS, ...HEAP_STEPS];

class StepCommand implements fc.Command<Graph, Session> {
  private readonly step: Step;
  private readonly args: Arguments;
  constructor(step: Step, args: Arguments) {
    this.step = step;
    this.args = args;
  }

  private target(graph: Graph): Obj | undefined {
    const { needs } = this.step;
    const objects = graph.reachable().filter(({ type }) => needs === "object" || type.kind === needs);
    return nth(objects, this.args.target);
  }

  check(graph: Readonly<Graph>): boolean {
    const { needs, grows } = this.step;
    const isFull = graph.handles.length >= HANDLES_MAX || graph.live.size >= OBJECTS_MAX;
    if (grows === true && isFull) return false;
    if (needs === undefined) return true;
    return needs === "handle" ? graph.handles.length > 0 : this.target(graph as Graph) !== undefined;
  }

  run(graph: Graph, session: Session): void {
    this.step.run(session, this.args, this.target(graph)!);
    session.check();
  }

  toString(): string {
    const { plain, ...args } = this.args;
    return `${this.step.name}(${JSON.stringify(plain === undefined ? args : this.args)})`;
  }
}

function commandFor(step: Step): fc.Arbitrary<StepCommand> {
  return fc
    .record({
      target: nat,
      n: nat,
      m: nat,
      specs: fc.array(spec, { maxLength: 5 }),
      plain: step.name === "from" ? plainGraph : fc.constant(undefined),
    })
    .map((args) => new StepCommand(step, args));
}

/** Programs of up to so many steps. */
export function programs(maxCommands: number, replayPath?: string) {
  // A weight is given by repetition: `fc.commands` takes each of its arbitraries as often as any other.
  const commands = STEPS.flatMap(([weight, step]) =>
    new Array<fc.Arbitrary<StepCommand>>(weight).fill(commandFor(step)),
  );
  return fc.commands(commands, { maxCommands, size: "max", ...(replayPath !== undefined && { replayPath }) });
}
