/** Rows of any number, streamed in. */

import { written as writtenOf } from "./answers.js";
import { jsonText } from "./encode.js";
import { RecantError, WriteInterrupted } from "./errors.js";
import type { CallOptions, Written } from "./models.js";
import type { Route } from "./routes.js";
import { checkBatch, type Service } from "./service.js";

/** Values that are streamed in. */
export type Source<T> = Iterable<T> | AsyncIterable<T>;

export interface ManyOptions extends CallOptions {
  /** How many a request; 1000 unless given. */
  readonly batch?: number | undefined;
}

/** How rows are sent: where to, as what, and whether twice would count twice. */
interface Kind<T> {
  readonly route: Route;
  readonly row: (value: T) => object;
  readonly once: boolean;
}

/** A request of rows is sent when it has so many bytes; the service takes 8 MiB unless told otherwise. */
const REQUEST_BYTES = 4 * 1024 * 1024;

/** Sends all rows, some a request, and adds up what became of them. */
export async function writeRows<T>(
  service: Service,
  kind: Kind<T>,
  rows: Source<T>,
  { batch = 1000, signal }: ManyOptions,
): Promise<Written> {
  checkBatch(batch);
  const { route, once } = kind;
  const headers = { "content-type": "application/x-ndjson" };
  let written: Written = { accepted: 0, heldBack: 0, rejected: [] };
  for await (const lines of batches(rows, kind.row, batch)) {
    const request = { route, once, headers, body: lines.join("\n"), signal };
    try {
      written = sum(written, await service.object(request, writtenOf));
    } catch (error) {
      throw error instanceof RecantError
        ? new WriteInterrupted(written, lines.length, { cause: error })
        : error;
    }
  }
  return written;
}

/** The rows as lines, of at most so many rows and a few MiB each. */
async function* batches<T>(
  rows: Source<T>,
  row: (value: T) => object,
  most: number,
): AsyncGenerator<string[], void, undefined> {
  const encoder = new TextEncoder();
  let lines: string[] = [];
  let size = 0;
  for await (const value of rows) {
    const line = jsonText(row(value));
    const bytes = encoder.encode(line).length + 1;
    if (lines.length === most || (lines.length > 0 && size + bytes > REQUEST_BYTES)) {
      yield lines;
      [lines, size] = [[], 0];
    }
    lines.push(line);
    size += bytes;
  }
  if (lines.length > 0) {
    yield lines;
  }
}

/** These and the rows after them, whose places are counted on. */
function sum(before: Written, later: Written): Written {
  const rows = before.accepted + before.heldBack + before.rejected.length;
  const moved = later.rejected.map(({ index, reason }) => ({ index: rows + index, reason }));
  return {
    accepted: before.accepted + later.accepted,
    heldBack: before.heldBack + later.heldBack,
    rejected: [...before.rejected, ...moved],
  };
}
