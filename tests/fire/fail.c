/* Lets one call of the system fail: the FIRE_AT-th of FIRE_CALL on a file below FIRE_BELOW. With FIRE_ERROR 0 the program is killed
   in its place. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int seen;

/* Whether this call of this name is the one that fails. */
static int fails(const char *name, const char *path) {
    const char *call = getenv("FIRE_CALL"), *below = getenv("FIRE_BELOW"), *at = getenv("FIRE_AT");
    if (!call || !below || !at || strcmp(call, name) || strncmp(path, below, strlen(below))) return 0;
    if (atomic_fetch_add(&seen, 1) + 1 != atoi(at)) return 0;
    const char *note = getenv("FIRE_NOTE");
    FILE *file = note ? fopen(note, "w") : NULL;
    if (file) fclose(file);
    const char *code = getenv("FIRE_ERROR");
    int error = code ? atoi(code) : ENOSPC;
    if (error == 0) kill(getpid(), SIGKILL);
    errno = error;
    return 1;
}

static int fails_on(const char *name, int descriptor) {
    char link[64], path[PATH_MAX];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (length < 0) return 0;
    path[length] = 0;
    return fails(name, path);
}

#define REAL(type, name, ...)                                         \
    static type (*real)(__VA_ARGS__);                                 \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int descriptor, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return fails_on("write", descriptor) ? -1 : real(descriptor, bytes, count);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return fails_on("write", descriptor) ? -1 : real(descriptor, parts, count);
}

int fsync(int descriptor) {
    REAL(int, "fsync", int);
    return fails_on("fsync", descriptor) ? -1 : real(descriptor);
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    char path[PATH_MAX];
    return fails("rename", realpath(from, path) ? path : from) ? -1 : real(from, to);
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    char resolved[PATH_MAX];
    return fails("remove", realpath(path, resolved) ? resolved : path) ? -1 : real(path);
}

int rmdir(const char *path) {
    REAL(int, "rmdir", const char *);
    char resolved[PATH_MAX];
    return fails("remove", realpath(path, resolved) ? resolved : path) ? -1 : real(path);
}

/* Directories are removed by descriptors of what they are in. */
int unlinkat(int directory, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    return fails_on("remove", directory) ? -1 : real(directory, path, flags);
}
