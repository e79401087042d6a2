#define _GNU_SOURCE
#include "sandbox.h"

#ifdef __linux__
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

/* struct mount_attr of linux/mount.h, which does not go together with sys/mount.h in some libraries. */
typedef struct {
    uint64_t set, clear, propagation, user_namespace;
} mount_attributes;

enum { READ_ONLY = 1, NO_SETUID = 2, NO_DEVICES = 4, RECURSIVE = 0x8000 };

enum { PATH_CAPACITY = 4096 };

const char *const qat_sandbox_devices[] = {
    "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", NULL,
};

/* root + path, in `joined`; 0 or ENAMETOOLONG. */
static int join(char joined[PATH_CAPACITY], const char *root, const char *path) {
    const size_t first = strlen(root), second = strlen(path);
    if (first + second + 1 > PATH_CAPACITY) return ENAMETOOLONG;
    memcpy(joined, root, first);
    memcpy(joined + first, path, second + 1);
    return 0;
}

/* Makes the folders above the last part of `path`, below its first `kept` bytes. */
static int make_parents(char *path, size_t kept) {
    char *slash;
    for (slash = strchr(path + kept + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        const int made = mkdir(path, 0755);
        const int error = errno;
        *slash = '/';
        if (made != 0 && error != EEXIST) return error;
    }
    return 0;
}

/* What is at `path` outside is there inside, too, and stays as it is. */
static int bind_path(const char *root, const char *path, uint64_t attributes) {
    char target[PATH_CAPACITY];
    struct stat found;
    int error = join(target, root, path);
    if (error != 0) return error;
    if (stat(path, &found) != 0) return errno;
    if ((error = make_parents(target, strlen(root))) != 0) return error;
    if (S_ISDIR(found.st_mode)) {
        if (mkdir(target, 0755) != 0 && errno != EEXIST) return errno;
    } else {
        /* Beneath a folder that is bound already it is there, and is not to be opened. */
        if (lstat(target, &found) != 0 && mknod(target, S_IFREG | 0644, 0) != 0) return errno;
    }
    if (mount(path, target, NULL, MS_BIND | MS_REC, NULL) != 0) return errno;
    /* Adds, and takes nothing away that a container's mounts are locked with. */
    const mount_attributes set = {.set = attributes};
    if (syscall(SYS_mount_setattr, AT_FDCWD, target, RECURSIVE, &set, sizeof set) != 0) return errno;
    return 0;
}

static int fill(const qat_sandbox_plan *plan, const char *root) {
    const char *const *path;
    char target[PATH_CAPACITY];
    int error;
    for (path = plan->readable; *path != NULL; path++) {
        if ((error = bind_path(root, *path, READ_ONLY | NO_SETUID | NO_DEVICES)) != 0) return error;
    }
    for (path = qat_sandbox_devices; *path != NULL; path++) {
        error = bind_path(root, *path, NO_SETUID);
        if (error != 0 && error != ENOENT) return error;
    }
    for (path = plan->links; *path != NULL; path += 2) {
        if ((error = join(target, root, path[0])) != 0) return error;
        if ((error = make_parents(target, strlen(root))) != 0) return error;
        if (symlink(path[1], target) != 0 && errno != EEXIST) return errno;
    }
    return 0;
}

/* A folder in memory: bounded by the system itself, and gone with the last process. */
static int make_scratch(const qat_sandbox_plan *plan, const char *root) {
    char target[PATH_CAPACITY], options[128];
    const int error = join(target, root, "/scratch");
    if (error != 0) return error;
    if (mkdir(target, 0700) != 0) return errno;
    /* One more for the folder. snprintf of integers takes no lock and allocates nothing. */
    snprintf(
        options, sizeof options, "mode=0700,size=%lld,nr_inodes=%lld", (long long)plan->scratch_bytes,
        (long long)plan->scratch_files + 1);
    if (mount("scratch", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0) return errno;
    if (plan->user_id >= 0 && chown(target, (uid_t)plan->user_id, (gid_t)plan->group_id) != 0) {
        return errno;
    }
    return 0;
}

/* The new root in the old one's place, which nothing leads to any more. */
static int enter(const char *root) {
    const mount_attributes set = {.set = READ_ONLY | NO_SETUID | NO_DEVICES};
    if (chdir(root) != 0) return errno;
    if (syscall(SYS_mount_setattr, AT_FDCWD, ".", 0, &set, sizeof set) != 0) return errno;
    if (syscall(SYS_pivot_root, ".", ".") != 0) return errno;
    /* The old root lies upon the new one now. */
    if (umount2(".", MNT_DETACH) != 0) return errno;
    return chdir("/scratch") == 0 ? 0 : errno;
}

int qat_sandbox_make_root(const qat_sandbox_plan *plan, qat_sandbox_step *step) {
    const char *root = plan->scratch;
    int error;
    *step = QAT_SANDBOX_STEP_MOUNTS;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return errno;
    if (mount("root", root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m,nr_inodes=1024") != 0) {
        return errno;
    }
    *step = QAT_SANDBOX_STEP_READABLE;
    if ((error = fill(plan, root)) != 0) return error;
    *step = QAT_SANDBOX_STEP_SCRATCH;
    if ((error = make_scratch(plan, root)) != 0) return error;
    *step = QAT_SANDBOX_STEP_ROOT;
    return enter(root);
}
#endif
