/** Looks at something again and again while its page is open and can be seen. */

/**
 * What opens and closes such looking. `look` is given a function that tells whether what it found is
 * still wanted: the page may be closed, or opened anew, before an answer comes. Between two looks are
 * `pause` milliseconds.
 */
export function poll(pause, look) {
  let timer;
  let round = 0;
  async function turn() {
    clearTimeout(timer);
    round += 1;
    if (document.hidden) {
      return;
    }
    const mine = round;
    await look(() => mine === round);
    if (mine === round) {
      timer = setTimeout(turn, pause);
    }
  }
  return {
    open() {
      document.addEventListener("visibilitychange", turn);
      turn();
    },
    close() {
      document.removeEventListener("visibilitychange", turn);
      clearTimeout(timer);
      round += 1;
    },
  };
}
