/* A loader of Vulkan that passes everything on to the real one, until work was submitted SUBMISSIONS times: then the device is
 * lost, as when a driver resets a card. Built as libvulkan.so.1 and found by LD_LIBRARY_PATH; REAL_VULKAN is the real loader. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef void (*function)(void);
typedef function (*get_address)(void *, const char *);
typedef int (*submit)(void *, unsigned, const void *, void *);

enum { DEVICE_LOST = -4 };

function vkGetInstanceProcAddr(void *instance, const char *name);
static function of_device(void *device, const char *name);

static submit real_submit;
static get_address real_of_device;
static long submissions;

static function real(const char *name) {
    static void *loader;
    if (!loader) loader = dlopen(getenv("REAL_VULKAN"), RTLD_NOW | RTLD_LOCAL);
    return loader ? (function)dlsym(loader, name) : NULL;
}

static int lost_submit(void *queue, unsigned count, const void *work, void *fence) {
    if (__atomic_fetch_add(&submissions, 1, __ATOMIC_SEQ_CST) >= atol(getenv("SUBMISSIONS"))) return DEVICE_LOST;
    return real_submit(queue, count, work, fence);
}

/* Returns our own function in the place of one of the loader's. */
static function replaced(const char *name, function found) {
    if (found && !strcmp(name, "vkGetInstanceProcAddr")) return (function)vkGetInstanceProcAddr;
    if (found && !strcmp(name, "vkGetDeviceProcAddr")) {
        real_of_device = (get_address)found;
        return (function)of_device;
    }
    if (found && !strcmp(name, "vkQueueSubmit")) {
        real_submit = (submit)found;
        return (function)lost_submit;
    }
    return found;
}

static function of_device(void *device, const char *name) {
    return replaced(name, real_of_device(device, name));
}

function vkGetInstanceProcAddr(void *instance, const char *name) {
    get_address address = (get_address)real("vkGetInstanceProcAddr");
    return replaced(name, address ? address(instance, name) : NULL);
}
