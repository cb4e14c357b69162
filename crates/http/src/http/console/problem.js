/** What went wrong, for the person at the page. */

import { hasKey } from "./api.js";
import { fill, make } from "./dom.js";

/** Shows an error in `place`: the role that is missing, or the problem's own words. */
export function show(place, error) {
  if (error.title === undefined) {
    // A mistake of this page: it is told as such, and can be read in the browser's tools.
    console.error(error);
  }
  const { title, text } = words(error);
  fill(
    place,
    make("div", { class: "problem", role: "alert" }, make("strong", {}, title), " ", text),
  );
}

/** Takes away what was shown. */
export function clear(place) {
  fill(place);
}

function words(error) {
  if (error.needs === undefined) {
    return { title: `${error.title ?? "This page made a mistake"}.`, text: error.message };
  }
  const role = `This needs an API key with the role “${error.needs}” (or “admin”).`;
  if (error.status === 403) {
    return { title: role, text: "The key that is used here does not have it." };
  }
  return {
    title: role,
    text: hasKey()
      ? "The server does not know the key that is used here: check it at the top of the page."
      : "Give one at the top of the page.",
  };
}
