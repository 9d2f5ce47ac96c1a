// What can go wrong, by whose fault. The tree is in index.d.ts.

export class DuckError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No answer came. `isUnsent`: the gateway cannot have seen the request. */
export class Unreachable extends DuckError {
  constructor(message, {cause, isUnsent = false} = {}) {
    super(message, {cause});
    this.isUnsent = isUnsent;
  }
}

export class TimedOut extends Unreachable {}
export class BadAnswer extends DuckError {}
export class VerificationError extends DuckError {}

/** The gateway's no (RFC 9457). `error` is the stable code, `members` all that was said. */
export class Problem extends DuckError {
  constructor(status, members, headers) {
    const said = `${status} ${members.error ?? members.title ?? ''}: ${members.detail ?? ''}`;
    super(members.field ? `${said} (field ${members.field})` : said);
    const {type = 'about:blank', title = '', detail = '', instance, error = '', field} = members;
    Object.assign(this, {status, type, title, detail, instance, error, field, members, headers});
    this.retryAfter = retryAfter(members, headers);
    this.tries = 1;
  }
}

export class BadRequest extends Problem {}
export class Unauthorized extends Problem {}
export class Forbidden extends Problem {}
export class NotFound extends Problem {}
export class Conflict extends Problem {}
export class Gone extends Problem {}
export class TooLarge extends Problem {}
export class Unprocessable extends Problem {}
export class RateLimited extends Problem {}
export class ServerError extends Problem {}
export class Unavailable extends ServerError {}

const classes = {
  400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone,
  413: TooLarge, 422: Unprocessable, 429: RateLimited, 503: Unavailable,
};

/** The error for an answer that is no success, whoever wrote it: a proxy's page is one too. */
export function problemOf(status, headers, text) {
  let members;
  try {
    members = JSON.parse(text);
  } catch {
    members = null;
  }
  if (members === null || typeof members !== 'object' || Array.isArray(members))
    members = {title: `HTTP ${status}`, detail: text.slice(0, 200)};
  const kind = classes[status] ?? (status >= 500 ? ServerError : Problem);
  return new kind(status, members, headers);
}

function retryAfter(members, headers) {
  const text = headers.get('retry-after');
  if (text !== null && /^\s*\d+\s*$/.test(text)) return Number(text);
  const date = text === null ? NaN : Date.parse(text);
  if (!Number.isNaN(date)) return Math.max(0, (date - Date.now()) / 1000);
  return typeof members.retry_after === 'number' ? members.retry_after : undefined;
}
