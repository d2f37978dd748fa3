/** Reading this thread's mail, under the exclusive lock. Runs disposers, callbacks and finalizers. */
import { MAIL_CALLBACK, MAIL_DISPOSE, MAIL_FINALIZE, MAIL_FORGET, MAIL_LEFT_POOL } from "../memory/layout.js";
import type { Context } from "./context.js";
import type { Mail, Mailbox } from "./mailbox.js";

/** Until there is none: what is called may post more. Pools first: what is called may end what is at the place of a lost instance. */
export function readMail(context: Context, mailbox: Mailbox): void {
  while (!mailbox.isEmpty) {
    const mails = mailbox.takeAll();
    for (const { kind, first } of mails) if (kind === MAIL_LEFT_POOL) context.pools.lose(first);
    for (const mail of mails) read(context, mail);
  }
}

function read({ core, foreign, callbacks }: Context, { kind, first, second }: Mail): void {
  switch (kind) {
    case MAIL_DISPOSE:
      foreign.endPosted(first);
      break;
    case MAIL_CALLBACK:
      callbacks.runCallback(first, 0, second);
      core.counts.decref(first);
      break;
    case MAIL_FORGET:
      callbacks.forget(first);
      break;
    case MAIL_FINALIZE:
      callbacks.runFinalizer(first);
      core.counts.decref(first);
  }
}
