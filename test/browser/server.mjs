/** Serves the built package and the test page on loopback, with the headers of one mode. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";

const ROOT = new URL("../../", import.meta.url);
/** Nothing else of the repository is for the browser. */
const SERVED = /^\/(dist|test\/browser)\/[\w./-]+$/;
const CONTENT_TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".map": "application/json; charset=utf-8",
};

/** @returns the origin, and what ends the server. @param {Record<string, string>} headers sent with every file */
export async function serve(headers) {
  const server = createServer((request, response) => answer(request, response, headers));
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.closeAllConnections(); // a browser keeps its connections open
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(request, response, headers) {
  const { pathname } = new URL(request.url, "http://127.0.0.1"); // this resolves "..", so the pattern is enough
  const contentType = CONTENT_TYPES[extname(pathname)];
  try {
    if (!SERVED.test(pathname) || contentType === undefined) throw new Error("not served");
    const body = await readFile(new URL(`.${pathname}`, ROOT));
    response.writeHead(200, { ...headers, "Content-Type": contentType, "Cache-Control": "no-store" });
    response.end(body);
  } catch {
    response.writeHead(404, headers);
    response.end();
  }
}
