export {Duck, VERSION} from './duck.js';
export {
  BadAnswer, BadRequest, Conflict, DuckError, Forbidden, Gone, NotFound, Problem, RateLimited,
  ServerError, TimedOut, TooLarge, Unauthorized, Unavailable, Unprocessable, Unreachable,
  VerificationError,
} from './errors.js';
export {Pages, Peck} from './lists.js';
export * as own from './own.js';
export * as proof from './proof.js';
export * as webhooks from './webhooks.js';
