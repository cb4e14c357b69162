/* A bad disk, put before the C library (LD_PRELOAD): syncs of a database take long, do not end, or fail, and
 * its reads fail, as the file that BAD_DISK names says from one moment to the next:
 *
 *   sync MILLISECONDS   each sync takes so long; it ends sooner when the file says less meanwhile
 *   sync-error          syncs fail with EIO
 *   read-error          reads fail with EIO
 *
 * Anything else, or no file, is a disk that does well. Other files than those of a database are left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static void said(char *text, size_t size) {
  const char *path = getenv("BAD_DISK");
  FILE *file = path ? fopen(path, "r") : NULL;
  text[0] = 0;
  if (!file) return;
  if (!fgets(text, (int)size, file)) text[0] = 0;
  fclose(file);
}

static int is_database(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 3) return 0;
  path[length] = 0;
  return strcmp(path + length - 3, "/db") == 0;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

/* Whether a sync may be made after the time that it takes. */
static int may_sync(int file) {
  char text[64];
  double began = now();
  if (!is_database(file)) return 1;
  for (;;) {
    int milliseconds = 0;
    said(text, sizeof text);
    if (strncmp(text, "sync-error", 10) == 0) {
      errno = EIO;
      return 0;
    }
    sscanf(text, "sync %d", &milliseconds);
    if ((now() - began) * 1000 >= milliseconds) return 1;
    usleep(10000);
  }
}

static int may_read(int file) {
  char text[64];
  if (!is_database(file)) return 1;
  said(text, sizeof text);
  if (strncmp(text, "read-error", 10) != 0) return 1;
  errno = EIO;
  return 0;
}

int fdatasync(int file) {
  static int (*real)(int);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
  return may_sync(file) ? real(file) : -1;
}

int fsync(int file) {
  static int (*real)(int);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fsync");
  return may_sync(file) ? real(file) : -1;
}

ssize_t pread64(int file, void *into, size_t count, off64_t from) {
  static ssize_t (*real)(int, void *, size_t, off64_t);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pread64");
  return may_read(file) ? real(file, into, count, from) : -1;
}
