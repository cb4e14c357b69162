/**
 * The routes that this client calls, as `/openapi.json` names them. Ids of people go into bodies where that
 * can be, so of two routes that do the same the one without an id in its URL is here.
 */

/** A method and a path, in which `{id}` stands for an id. */
export interface Route {
  readonly method: string;
  readonly path: string;
}

const route = (method: string, path: string): Route => ({ method, path });

export const RECOMMEND = route("POST", "/recommend");
export const SIMILAR = route("POST", "/similar");
export const POPULAR = route("POST", "/popular");
export const TRENDING = route("POST", "/trending");
export const LATEST = route("POST", "/latest");
export const ITEMS = route("GET", "/items");
export const PUT_ITEMS = route("POST", "/items");
export const PUT_ITEM = route("PUT", "/items/{id}");
export const PATCH_ITEM = route("PATCH", "/items/{id}");
export const GET_ITEM = route("GET", "/items/{id}");
export const DELETE_ITEM = route("DELETE", "/items/{id}");
export const USERS = route("GET", "/users");
export const PUT_USER = route("PUT", "/users/{id}");
export const GET_USER = route("GET", "/users/{id}");
export const RESTRICT = route("POST", "/restrictions");
export const LIFT = route("POST", "/restrictions/lift");
export const ADD = route("POST", "/interactions");
export const ERASE = route("POST", "/erasures");
export const ERASURES = route("GET", "/erasures");
export const ERASURE = route("GET", "/erasures/{id}");
export const RECEIPT = route("GET", "/erasures/{id}/receipt");
export const EXPORT = route("POST", "/export");
export const MODEL = route("GET", "/model");
export const ALIVE = route("GET", "/healthz");
export const READY = route("GET", "/readyz");
export const JWKS = route("GET", "/.well-known/jwks.json");
export const OPENAPI = route("GET", "/openapi.json");
