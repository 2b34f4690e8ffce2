/*
 * Fails file calls of one process on purpose. LD_PRELOAD loads it into the process.
 *
 * Calls that change a file below the folder of TSIO_FAULT_FOLDER are counted: write, pwrite, pwrite64, pwritev,
 * pwritev64, fsync, fdatasync, ftruncate, ftruncate64 and posix_fallocate. The file of TSIO_FAULT_CONTROL, mapped into
 * this process, holds five numbers of 64 bits:
 *
 *   0  calls counted so far (written here)
 *   1  the first call that fails, from 1; 0 if no call fails
 *   2  the last call that fails
 *   3  the errno that the calls fail with
 *   4  1: a failing write writes half of its bytes first, as on a full disk
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
  _Atomic uint64_t calls;
  _Atomic uint64_t first;
  _Atomic uint64_t last;
  _Atomic uint64_t error;
  _Atomic uint64_t partial;
};

static struct control *control;
static const char *folder;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("TSIO_FAULT_CONTROL");
  folder = getenv("TSIO_FAULT_FOLDER");
  if (path == NULL || folder == NULL) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) abort();
  control = mapped;
}

/* Returns whether this call has to fail, and sets errno. Calls on files outside the folder never fail. */
static int fails(int fd) {
  if (control == NULL) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (strncmp(path, folder, strlen(folder)) != 0) return 0;
  uint64_t call = atomic_fetch_add(&control->calls, 1) + 1;
  uint64_t first = atomic_load(&control->first);
  if (first == 0 || call < first || call > atomic_load(&control->last)) return 0;
  errno = (int)atomic_load(&control->error);
  return 1;
}

static int is_partial(void) { return atomic_load(&control->partial) == 1; }

#define NEXT(name) \
  static __typeof__(name) *next; \
  if (next == NULL) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* A partial write() succeeds: it returns the number of bytes that it wrote. */
ssize_t write(int fd, const void *bytes, size_t count) {
  NEXT(write);
  if (!fails(fd)) return next(fd, bytes, count);
  return is_partial() && count > 1 ? next(fd, bytes, count / 2) : -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  NEXT(pwrite);
  if (!fails(fd)) return next(fd, bytes, count, at);
  int error = errno;
  if (is_partial() && count > 1) next(fd, bytes, count / 2, at);
  errno = error;
  return -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  NEXT(pwrite64);
  if (!fails(fd)) return next(fd, bytes, count, at);
  int error = errno;
  if (is_partial() && count > 1) next(fd, bytes, count / 2, at);
  errno = error;
  return -1;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  NEXT(pwritev);
  return fails(fd) ? -1 : next(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  NEXT(pwritev64);
  return fails(fd) ? -1 : next(fd, parts, count, at);
}

int posix_fallocate(int fd, off_t at, off_t length) {
  NEXT(posix_fallocate);
  return fails(fd) ? errno : next(fd, at, length);
}

int fsync(int fd) {
  NEXT(fsync);
  return fails(fd) ? -1 : next(fd);
}

int fdatasync(int fd) {
  NEXT(fdatasync);
  return fails(fd) ? -1 : next(fd);
}

int ftruncate(int fd, off_t length) {
  NEXT(ftruncate);
  return fails(fd) ? -1 : next(fd, length);
}

int ftruncate64(int fd, off64_t length) {
  NEXT(ftruncate64);
  return fails(fd) ? -1 : next(fd, length);
}
